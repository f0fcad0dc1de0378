"""The keys that clients show. They are kept nowhere themselves: memory and disk hold their hashes only.

A key made here has 256 random bits, so that its plain SHA-256 gives nothing away.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

import msgspec

from pipeline import durable
from pipeline.errors import InputError, StateDamaged

FILE = "keys.json"
MIN_PUBLIC_KEY = 16


class _Made(msgspec.Struct):
    sha256: list[str]


def given(text: str) -> list[str]:
    """The keys in a setting: several are separated by blanks, which no key can hold."""
    return text.split()


def check(keys: list[str], host: str, *, is_loopback: bool) -> None:
    """Refuse keys that can be guessed by those who can reach the server.

    Raises:
        InputError: one is short, and the address is not this machine's own.
    """
    shortest = min(map(len, keys), default=MIN_PUBLIC_KEY)
    if shortest < MIN_PUBLIC_KEY and not is_loopback:
        raise InputError(
            "server key",
            f"an address that others can reach needs a key of at least {MIN_PUBLIC_KEY} characters",
            got=f"{shortest} characters for {host}",
            fix="Set FINETUNE_SERVER_KEY to a long random one, or serve on 127.0.0.1.",
        )


def make(data_dir: Path) -> str:
    """Make the key of a store, in place of any that was made before. This is the only time that it can be shown."""
    key = secrets.token_urlsafe(32)
    durable.write_atomically(data_dir / FILE, msgspec.json.encode(_Made([digest(key).hex()])))
    return key


def made(data_dir: Path) -> frozenset[bytes]:
    """The hashes of the keys that were made for a store; empty if none was.

    Raises:
        StateDamaged: the file that holds them cannot be read.
    """
    path = data_dir / FILE
    try:
        return frozenset(map(bytes.fromhex, msgspec.json.decode(durable.read_file(path), type=_Made).sha256))
    except FileNotFoundError:
        return frozenset()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        fix = "Remove it, and the next start makes a new key."
        raise StateDamaged(str(path), "the server's keys cannot be read", got=type(error).__name__, fix=fix) from error


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def is_known(shown: bytes, digests: frozenset[bytes]) -> bool:
    """Whether a digest is one of them, in a time that tells nothing about them."""
    return sum(hmac.compare_digest(shown, known) for known in digests) > 0
