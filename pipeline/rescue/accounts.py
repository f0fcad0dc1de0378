"""The keys in hand, each one project of a provider, and the host that each of them may go to."""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.backends.client import Connection
from pipeline.backends.profiles import PROFILES
from pipeline.config.settings import Backend
from pipeline.errors import InputError
from pipeline.network import check_base_url
from pipeline.process.clock import Clock

_OPENAI = re.compile(r"OPENAI_API_KEY(_\w+)?")
_WHERE = "--key-env"


@dataclasses.dataclass(frozen=True)
class Account:
    """What one key sees.

    Attributes:
        name: of the environment variable that holds the key; the key itself is never kept or shown.
    """

    name: str
    connection: Connection


def accounts(
    names: Sequence[str], base_url: str | None, folder: Path, clock: Clock, say: Callable[[str], None]
) -> list[Account]:
    """One account for each key, keys that are the same only once.

    Args:
        names: of environment variables; none for OPENAI_API_KEY and whatever begins with OPENAI_API_KEY_.
        base_url: where the API is; None for OpenAI's.
        folder: the private folder of the rescue.

    Raises:
        InputError: there is no key, or one that would go to another provider's host.
    """
    if base_url is not None:
        _check_address(base_url)
    if not names:
        names = _named_for_openai(base_url)
    chosen: dict[str, str] = {}
    for name in names:
        _check_host(name, base_url)
        key = os.environ.get(name, "").strip()
        if not key:
            raise InputError(f"environment {name}", "not set, and no model is seen without a key",
                             fix=f"export {name}=…, or name another with {_WHERE}.")  # fmt: skip
        chosen.setdefault(key, name)
    return [Account(name, _connection(name, base_url, folder, clock, say)) for name in chosen.values()]


def _named_for_openai(base_url: str | None) -> list[str]:
    if not _is_openai(base_url):
        raise InputError(
            "--base-url",
            "OPENAI_API_KEY goes to OpenAI alone",
            fix=f"Name the variable that holds the key for that host with {_WHERE} NAME.",
        )
    found = [name for name in sorted(os.environ) if _OPENAI.fullmatch(name) and os.environ[name].strip()]
    if not found:
        raise InputError(
            "environment OPENAI_API_KEY",
            "not set, and no model is seen without a key",
            fix=f"export OPENAI_API_KEY=…, one OPENAI_API_KEY_NAME=… for each further project, or {_WHERE} NAME.",
        )
    return found


def _check_host(name: str, base_url: str | None) -> None:
    """A key of one provider never goes to another's host.

    Raises:
        InputError: the variable's name says that it would.
    """
    to_openai = _is_openai(base_url)
    if _OPENAI.fullmatch(name) and not to_openai:
        raise InputError(
            f"{_WHERE} {name}",
            f"OpenAI's key does not go to {urlsplit(base_url or '').hostname}",
            fix="Put the key for that host into a variable of another name, and give that.",
        )
    for profile in PROFILES.values():
        if profile.key_env == name and not _OPENAI.fullmatch(name) and not _may_have(profile.base_url, base_url):
            raise InputError(
                f"{_WHERE} {name}",
                f"the key of {profile.title} does not go to {urlsplit(base_url or OPENAI_URL).hostname}",
                fix="Give the address of its API with --base-url, or another variable.",
            )


OPENAI_URL = PROFILES["openai"].base_url or ""


def _may_have(own: str | None, base_url: str | None) -> bool:
    """Whether a provider at `own` may be asked at `base_url`; one that has an address for each customer has none."""
    if base_url is None or _is_openai(base_url):
        return False
    known = {_site(each.base_url) for each in PROFILES.values() if each.base_url}
    return _site(own) == _site(base_url) if own is not None else _site(base_url) not in known


def _site(url: str) -> str:
    """The last two labels of the host's name."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def _is_openai(base_url: str | None) -> bool:
    """api.openai.com, and the same for regions, such as eu.api.openai.com."""
    url = urlsplit(base_url or OPENAI_URL)
    host = url.hostname or ""
    return url.scheme == "https" and (host == "api.openai.com" or host.endswith(".api.openai.com"))


def _check_address(base_url: str) -> None:
    try:
        check_base_url(base_url)
    except ValueError as error:
        raise InputError("--base-url", str(error), got=base_url, fix="Correct it.") from None
    url = urlsplit(base_url)
    if url.scheme != "https" and not _is_here(url.hostname or ""):
        raise InputError("--base-url", "a key goes over https only", got=base_url, fix="Write https://….")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connection(name: str, base_url: str | None, folder: Path, clock: Clock, say: Callable[[str], None]) -> Connection:
    backend = Backend(kind="openai") if base_url is None else Backend(kind="compatible", base_url=base_url)
    connection = Connection(backend, folder, clock, say=say)
    title = "OpenAI" if _is_openai(base_url) else urlsplit(base_url or "").netloc
    connection.profile = dataclasses.replace(connection.profile, key_env=name, title=title)
    return connection
