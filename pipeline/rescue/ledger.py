"""What was asked of a model and what came of it: a line before each request, and one after it, neither ever changed.

The intent is durable before the request leaves. So after a crash, or an answer that was lost, it is known that the
question may have been paid for: it counts as spent, at its highest price, and is asked again only if the user says so.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline import failpoints
from pipeline.durable import open_file, sync_directory, sync_fd
from pipeline.errors import InputError, StateDamaged
from pipeline.rescue.prompts import Prompt


class Begun(msgspec.Struct, tag_field="is", tag="begun"):
    """The first line: whose answers these are."""

    model: str


class Asked(msgspec.Struct, tag_field="is", tag="asked"):
    """The request is about to leave; `most_usd` is what it can cost at most."""

    key: str
    at: str
    most_usd: float


class Withdrawn(msgspec.Struct, tag_field="is", tag="withdrawn"):
    """It surely was not carried out: the API refused it, or was not reached. Nothing was spent.

    Attributes:
        why: for good; None where the same may be asked again.
    """

    key: str
    why: str | None = None


class Answered(msgspec.Struct, tag_field="is", tag="answered"):
    """The answer, whole.

    Attributes:
        kind: greedy, or sampled.
        response: as the API sent it.
    """

    key: str
    at: str
    usd: float
    kind: str
    prompt: Prompt
    response: dict[str, Any]

    def texts(self) -> list[str]:
        """What was said; a call of tools as its JSON."""
        found = []
        for choice in self.response.get("choices") or []:
            message = choice.get("message") or {}
            calls = [each.get("function") for each in message.get("tool_calls") or []]
            said = message.get("content") or message.get("refusal") or ""
            found.append(said if not calls else msgspec.json.encode(calls, order="sorted").decode())
        return found


Line = Begun | Asked | Withdrawn | Answered
_decoder = msgspec.json.Decoder(Line)


class Ledger:
    """The lines of one file, read and appended to.

    Attributes:
        answers: by key.
        refused: why the API does not answer these, by key.
        lost: what was asked and may have been carried out, by key: at most what it cost.
        spent_usd: of the answers, and of what was lost.
    """

    def __init__(self, path: Path, model: str) -> None:
        """Open it, or begin it. A last line that a crash cut short was never acted on, and is taken off.

        Raises:
            InputError: the file is of another model.
            StateDamaged: another line cannot be read: what was paid for is then not known.
        """
        self.answers: dict[str, Answered] = {}
        self.refused: dict[str, str] = {}
        self.lost: dict[str, float] = {}
        self.spent_usd = 0.0
        self._last = ("", 0.0)  # request: its key, and what it can cost at most
        self._path = path
        self._fd = open_file(path, os.O_RDWR | os.O_CREAT)
        try:
            end = self._read(model)
            os.ftruncate(self._fd, end)
            os.lseek(self._fd, end, os.SEEK_SET)
            if not end:
                self._append(Begun(model))
                sync_directory(path.parent)
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Close the file; every line is durable already."""
        os.close(self._fd)

    def intend(self, key: str, at: str, most_usd: float) -> None:
        """Write down that a request is about to leave."""
        self._keep(Asked(key, at, most_usd))
        failpoints.hit("post.intended")

    def withdraw(self, key: str, why: str | None = None) -> None:
        """Write down that the request was surely not carried out."""
        self._keep(Withdrawn(key, why))

    def answer(self, answered: Answered) -> None:
        """Write an answer down."""
        failpoints.hit("post.answered")
        self._keep(answered)
        failpoints.hit("post.recorded")

    def _keep(self, line: Line) -> None:
        self._append(line)
        self._take_in(line)

    def _append(self, line: Line) -> None:
        left = memoryview(msgspec.json.encode(line) + b"\n")
        while left:
            left = left[os.write(self._fd, left) :]
        sync_fd(self._fd)

    def _take_in(self, line: Line) -> None:
        match line:
            case Asked(key, _, most_usd):
                self.spent_usd += most_usd
                self.lost[key] = self.lost.get(key, 0.0) + most_usd
                self._last = (key, most_usd)
            case Withdrawn(key, why):
                self._settle(key, 0.0)
                if why is not None:
                    self.refused[key] = why
            case Answered(key):
                self._settle(key, line.usd)
                self.lost.pop(key, None)
                self.answers[key] = line

    def _settle(self, key: str, usd: float) -> None:
        """The last request for this has an outcome; one before it that was lost stays spent."""
        asked, most_usd = self._last
        if asked == key:
            self.spent_usd += usd - most_usd
            left = self.lost[key] - most_usd
            if left > 0:
                self.lost[key] = left
            else:
                del self.lost[key]

    def _read(self, model: str) -> int:
        end = 0
        with os.fdopen(os.dup(self._fd), "rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    line = _decoder.decode(raw)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    raise StateDamaged(
                        f"{self._path}:{number}",
                        "cannot be read, and what was paid for is in it",
                        fix="Put a copy of the file back. Moved away, everything is asked and paid for again.",
                    ) from None
                if isinstance(line, Begun):
                    self._check(line, model)
                else:
                    self._take_in(line)
                end += len(raw)
        return end

    def _check(self, begun: Begun, model: str) -> None:
        if begun.model != model:
            raise InputError(
                str(self._path),
                f"holds answers of {begun.model}, not of {model}",
                fix="Move it away, or name another folder with --into.",
            )


@contextlib.contextmanager
def opened(path: Path, model: str) -> Iterator[Ledger]:
    """A ledger for the block."""
    ledger = Ledger(path, model)
    try:
        yield ledger
    finally:
        ledger.close()
