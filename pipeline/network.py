"""What the environment says about the network, and whose fault it is when no HTTP client can be made of it."""

import contextlib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import FinetuneError, InputError

if TYPE_CHECKING:
    pass

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@contextlib.contextmanager
def blaming_the_environment() -> Iterator[None]:
    """For the block that makes an HTTP client, which reads proxies and certificates from the environment.

    Raises:
        InputError: it cannot be made; names the variables, and never a proxy's password.
    """
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:
        import ssl

        names = _CERTIFICATES if isinstance(error, OSError) else (*_PROXIES, *map(str.lower, _PROXIES))
        found = [name for name in names if os.environ.get(name)]
        if not found:
            raise
        if isinstance(error, FileNotFoundError):
            found = [name for name in found if not Path(os.environ[name]).exists()] or found
        where = f"environment {', '.join(found)}"
        if isinstance(error, ssl.SSLError):
            raise InputError(where, "holds no certificates", fix="Correct it, or unset it.") from None
        if isinstance(error, OSError):
            got = os.environ[found[0]]
            raise InputError(
                where, f"cannot be read ({error.strerror})", got=got, fix="Correct it, or unset it."
            ) from None
        if isinstance(error, ImportError):
            raise InputError(
                where, "names a SOCKS proxy, which needs another package", fix="Run `pip install socksio`, or unset it."
            ) from None
        raise InputError(
            where, "not the address of a proxy", fix="Write it as http://HOST:PORT, or unset it."
        ) from None


def unproxied(base_url: str) -> dict[str, None]:
    """`mounts` for httpx that keep proxies away from a server on this machine: to a proxy, 127.0.0.1 is itself."""
    host = urlsplit(base_url).hostname or ""
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        is_here = False
    return {f"all://[{host}]" if ":" in host else f"all://{host}": None} if is_here else {}


def is_host(name: str) -> bool:
    """Whether a host's name can be asked for: Python's sockets and httpx fail over others with a UnicodeError."""
    try:
        name.encode("idna")  # as a socket does; it refuses labels that are empty or longer than 63 characters
        if not name.isascii() or name.startswith("xn--"):
            import idna

            idna.decode(idna.encode(name.lower()))
    except UnicodeError:
        return False
    return bool(name)


def check_base_url(value: str) -> None:
    """Check that an API can be asked at this address.

    Raises:
        ValueError: it cannot; says in a sentence's beginning what was expected.
    """
    expected = "expected the address of an API, such as https://api.example.com/v1"
    if not value.isprintable() or " " in value:
        raise ValueError(f"{expected}, without blanks")
    try:
        url = urlsplit(value)
        host = url.hostname or ""
        usable = url.scheme in ("http", "https") and is_host(host) and url.port != 0
        if "[" in url.netloc:
            ipaddress.IPv6Address(host)
    except ValueError:  # of the port, or of brackets
        usable = None
    if "@" in value:
        raise ValueError("holds a user's name or password; keys come from the environment alone")
    if not usable:
        raise ValueError(expected)
    if url.query or url.fragment:
        raise ValueError(f"{expected}, with nothing after `?` or `#`")


class Transient(Exception):
    """A look that failed in a way that may pass.

    Args:
        reason: what to tell the user.
        cause: the SDK's error.
        retry_after_s: what the server asked for, if it did.
    """

    def __init__(self, reason: str, cause: Exception | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.cause = cause
        self.retry_after_s = retry_after_s


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, or Retry-After as seconds or an HTTP date (RFC 9110).

    Args:
        headers: with lower-case names, or case-insensitive.
        now: Unix seconds, to measure a date against.

    Returns:
        None if absent, negative or unreadable.
    """
    import email.utils

    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            text = headers.get("retry-after", "").strip()
            if not text:
                return None
            number = text.replace(".", "", 1).isdigit()
            seconds = float(text) if number else email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
