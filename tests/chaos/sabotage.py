"""Connections that never come about and system calls that fail, in the process of a scenario."""

import errno
import os
import pickle
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import httpx2

from tests.chaos.order import Disk, Line
from tests.fault_server import call_of

_NOWHERE: dict[str, dict[str, Any]] = {
    "dns": {"host": "no-such-host.invalid"},
    "refused": {"port": 1},
    "tls": {"scheme": "https"},
}


def cut_line(line: Line) -> None:
    """Make some requests fail before anything is sent: no such name, nobody listens, no TLS."""
    real = httpx2.HTTPTransport.handle_request
    look_up = socket.getaddrinfo
    seen = 0

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "no-such-host.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **named)

    def handle_request(self: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        nonlocal seen
        if call_of(request.method, request.url.path) == line.call:
            seen += 1
            if line.skip < seen <= line.skip + line.times:
                request.url = request.url.copy_with(**_NOWHERE[line.kind])
        return real(self, request)

    socket.getaddrinfo = getaddrinfo
    httpx2.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]


class _BrokenFile:
    """A file whose writes go through `break_disk`'s counter."""

    def __init__(self, file: IO[bytes], check: Callable[[str], None]) -> None:
        self._file = file
        self._check = check

    def write(self, data: bytes) -> int:
        self._check("write")
        return self._file.write(data)

    def __enter__(self) -> "_BrokenFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def break_disk(disk: Disk) -> None:
    """From the n-th call of one kind on, `times` calls fail with an errno."""
    seen = 0

    def check(call: str) -> None:
        nonlocal seen
        if call != disk.call:
            return
        seen += 1
        if disk.at <= seen < disk.at + disk.times:
            number = getattr(errno, disk.error)
            raise OSError(number, os.strerror(number))

    mkstemp, fdopen, fsync, replace = tempfile.mkstemp, os.fdopen, os.fsync, os.replace

    def broken_mkstemp(*arguments: Any, **named: Any) -> tuple[int, str]:
        check("open")
        return mkstemp(*arguments, **named)

    def broken_fdopen(fd: int, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        file = fdopen(fd, mode, *arguments, **named)
        return _BrokenFile(file, check) if mode == "wb" else file

    def broken_fsync(fd: int) -> None:
        check("dirsync" if os.path.isdir(f"/proc/self/fd/{fd}") else "fsync")  # noqa: PTH112
        fsync(fd)

    def broken_replace(source: Any, target: Any, **named: Any) -> None:
        check("replace")
        replace(source, target, **named)

    tempfile.mkstemp = broken_mkstemp  # type: ignore[assignment]
    os.fdopen = broken_fdopen
    os.fsync = broken_fsync  # type: ignore[assignment]
    os.replace = broken_replace  # type: ignore[assignment]


def record_disk(path: str) -> None:
    """Write down what the disk is asked to do, in order: tests/chaos/power.py loses power at each step of it."""
    log = Path(path).open("ab")  # noqa: SIM115 - open as long as the process
    mkstemp, fsync, replace, link = tempfile.mkstemp, os.fsync, os.replace, os.link

    def note(*what: object) -> None:
        pickle.dump(what, log)
        log.flush()

    def recorded_mkstemp(*arguments: Any, **named: Any) -> tuple[int, str]:
        fd, name = mkstemp(*arguments, **named)
        note("create", str(Path(name).absolute()))
        return fd, name

    def recorded_fsync(fd: int) -> None:
        real = Path(f"/proc/self/fd/{fd}").readlink()
        if real.is_dir():
            note("dirsync", str(real))
        else:
            note("fsync", str(real), real.read_bytes())
        fsync(fd)

    def recorded_replace(source: Any, target: Any, **named: Any) -> None:
        content = Path(source).read_bytes() if Path(source).is_file() else None
        note("rename", str(Path(source).absolute()), str(Path(target).absolute()), content)
        replace(source, target, **named)

    def recorded_link(source: Any, target: Any, **named: Any) -> None:
        note("link", str(Path(source).absolute()), str(Path(target).absolute()), Path(source).read_bytes())
        link(source, target, **named)

    tempfile.mkstemp = recorded_mkstemp  # type: ignore[assignment]
    os.fsync = recorded_fsync  # type: ignore[assignment]
    os.replace = recorded_replace  # type: ignore[assignment]
    os.link = recorded_link  # type: ignore[assignment]
