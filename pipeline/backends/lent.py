"""The embedded server of a run at work, for other commands on the same run directory.

The run that started it holds the directory's lock, and the server the store's; so `chat` and `cancel` use the one that
is there. Where it is and its key, which is made for one process and means nothing after it, lie beside its store,
readable by the owner alone, signed as the lock is and with when that was taken: what a killed run left behind is never
believed, for another server may have its port by now.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from pipeline.errors import Locked, TryLater
from pipeline.state.lock import holder, signature, taken_at

FILE = "address.json"


class _Address(msgspec.Struct):
    signed: str
    base_url: str
    key: str


class LentServer:
    """Somebody else's embedded server.

    Attributes:
        base_url: "http://127.0.0.1:PORT/v1".
    """

    def __init__(self, data_dir: Path, owner: str) -> None:
        """Find the server of `owner`, as the lock names it.

        Raises:
            Locked: it has none yet.
        """
        self._run_dir, self._owner = data_dir.parent, owner
        try:
            address = msgspec.json.decode((data_dir / FILE).read_bytes(), type=_Address)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            address = None
        if address is None or address.signed != _signed(owner, self._run_dir):
            raise Locked(
                str(self._run_dir),
                "another run is at work here, and its server is not up",
                got=owner,
                fix="Wait for it or stop it, then try again.",
            )
        self.base_url, self.key = address.base_url, address.key

    def check(self) -> None:
        """Notice that its run has ended.

        Raises:
            TryLater: it has.
        """
        if holder(self._run_dir) != self._owner:
            raise TryLater(
                "embedded server",
                "the run at work has ended, and its server with it",
                fix="Run the same command again.",
            )

    def stop(self) -> None:
        """It goes on: it is not ours."""


def lend(data_dir: Path, base_url: str, key: str) -> None:
    """Let other commands of this user find our server; on a disk that refuses they do not."""
    take_back(data_dir)
    with contextlib.suppress(OSError):
        fd = os.open(data_dir / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(_Address(_signed(signature(), data_dir.parent), base_url, key)))


def take_back(data_dir: Path) -> None:
    """Our server is about to end."""
    with contextlib.suppress(OSError):
        (data_dir / FILE).unlink()


def _signed(owner: str, run_dir: Path) -> str:
    return f"{owner}, lock taken at {taken_at(run_dir)}"
