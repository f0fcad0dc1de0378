"""What the environment says about the network, and whose fault it is when no HTTP client can be made of it."""

import contextlib
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import FinetuneError, InputError

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
