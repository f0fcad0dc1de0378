"""What has been asked and answered already, a line each, so that a stopped evaluation goes on where it was."""

import os
from pathlib import Path
from types import TracebackType

import msgspec

from pipeline.durable import open_file, sync_fd
from pipeline.state.file import Json

NAME = "11_answers.jsonl"


class _Head(msgspec.Struct):
    of: str


class _Line(msgspec.Struct):
    key: str
    value: Json
    seconds: float = 0.0


class Journal:
    """Values by key; a line that a kill cut short is forgotten, and so is all that belongs to another evaluation.

    Attributes:
        seconds: what has been spent on what is in it.
    """

    def __init__(self, path: Path, of: str) -> None:
        """Open it, or begin it.

        Args:
            of: what is evaluated, and how.

        Raises:
            OSError: something else stands in its place, or the disk refuses.
        """
        self._fd = open_file(path, os.O_RDWR | os.O_CREAT)
        self._values: dict[str, Json] = {}
        self.seconds = 0.0
        end = self._read(of)
        os.ftruncate(self._fd, end)
        os.lseek(self._fd, end, os.SEEK_SET)
        if not end:
            self._append(msgspec.json.encode(_Head(of)))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sync_fd(self._fd)
        os.close(self._fd)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Json:
        return self._values[key]

    def keep(self, key: str, value: Json, seconds: float = 0.0) -> None:
        """Write a value down."""
        self._append(msgspec.json.encode(_Line(key, value, round(seconds, 4))))
        self._values[key] = value
        self.seconds += seconds

    def _append(self, line: bytes) -> None:
        left = memoryview(line + b"\n")
        while left:
            left = left[os.write(self._fd, left) :]

    def _read(self, of: str) -> int:
        """Take in what is whole; returns where it ends."""
        with os.fdopen(os.dup(self._fd), "rb") as file:
            head = file.readline()
            try:
                if not head.endswith(b"\n") or msgspec.json.decode(head, type=_Head).of != of:
                    return 0
            except (msgspec.DecodeError, UnicodeDecodeError):
                return 0
            end = len(head)
            for line in file:
                try:
                    kept = msgspec.json.decode(line, type=_Line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    break
                if not line.endswith(b"\n"):
                    break
                self._values[kept.key] = kept.value
                self.seconds += kept.seconds
                end += len(line)
            return end
