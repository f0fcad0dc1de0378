"""What a run shows: lines for a person, in a terminal or piped, or one JSON object a line for a program.

Every line also goes to run.log. A reader that goes away (a closed pipe) never stops a run.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, cast

import msgspec

from pipeline.process.clock import Clock, stamp
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.run_log import RunLog
from pipeline.terminal.streams import SurvivingOutput
from pipeline.terminal.style import INDENT, Lines, Piece, head, mark
from pipeline.wording import took, visible

if TYPE_CHECKING:
    from pipeline.terminal.live_region import Below

SPEECH_INDENT = 7
_ENDS = re.compile(r"\s")
_WORDS = re.compile(r"\n|\r|[^\S\n\r]+|\S+")


class Display(Protocol):
    """What the runner and the steps tell the user."""

    def begin(self, name: str, backend: str, run_dir: Path, steps: Sequence[str]) -> None:
        """A run begins; `steps` names all that there are, in order."""

    def preparing(self, what: str) -> None:
        """Something is seen to before the first step; `progress` may follow."""

    def started(self, step: str, why: str | None) -> None:
        """A step begins; `why` it runs, unless it never ran."""

    def skipped(self, number: int, total: int, step: str, summary: str) -> None:
        """A step was done already."""

    def finished(self, number: int, total: int, step: str, summary: str, seconds: float) -> None:
        """A step is done."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def table(self, lines: Sequence[str]) -> None:
        """What a step found out, on several lines."""

    def progress(self, done: float, total: float | None, text: str) -> None:
        """How far the step is; shown in place in a terminal, now and then in a pipe and in run.log."""

    def waiting(self, label: str) -> None:
        """Somebody is about to speak; shown in place in a terminal, and nowhere else."""

    def speaker(self, label: str) -> None:
        """Somebody starts to speak; `speech` follows."""

    def speech(self, text: str) -> None:
        """A piece of what is being said, as it comes."""

    def end(self, text: str) -> None:
        """The run is over; `text` may be empty."""


class TextDisplay:
    """For a person."""

    def __init__(
        self,
        log: RunLog | None,
        clock: Clock,
        called: Invocation | None = None,
        lines: Lines | None = None,
        *,
        is_aside: bool = False,
    ) -> None:
        """With `is_aside`, only what is done now is told: nothing of before, and no tables."""
        self._is_aside = is_aside
        self._called = called or Invocation()
        self._lines = lines or Lines(cast(TextIO, SurvivingOutput()))
        self._log = log
        self._clock = clock
        self._heads: dict[str, str] = {}
        self._below: Below | None = None
        self._step = ""
        self._is_preparing = False
        self._began = 0.0
        self._tenth = -1
        self._speaking = False
        self._begun: list[str] = []
        self._column = 0
        self._edge = len(INDENT) + SPEECH_INDENT

    def begin(self, name: str, backend: str, run_dir: Path, steps: Sequence[str]) -> None:  # noqa: D102 - see Display
        self._heads = {step: head(number, len(steps), step) for number, step in enumerate(steps, start=1)}
        self._line((name, "bold"), text=f" with {backend}, in {run_dir}/")

    def preparing(self, what: str) -> None:  # noqa: D102
        self._clear()
        self._step, self._tenth, self._began = what, -1, self._clock.monotonic()
        self._is_preparing = True
        self.progress(0, None, "")

    def started(self, step: str, why: str | None) -> None:  # noqa: D102
        self._clear()
        self._step, self._tenth, self._began = step, -1, self._clock.monotonic()
        self._is_preparing = False
        if why is not None:
            self._line((INDENT, ""), text=f"{step} runs again: {why}", style="yellow")
        self.progress(0, None, "")

    def skipped(self, number: int, total: int, step: str, summary: str) -> None:  # noqa: D102
        self._clear()
        if not self._is_aside:
            self._line((head(number, total, step), ""), (mark("done before"), "dim"), text=summary)

    def finished(self, number: int, total: int, step: str, summary: str, seconds: float) -> None:  # noqa: D102
        self._clear()
        self._line((head(number, total, step), ""), (mark(took(seconds)), "green"), text=summary)

    def note(self, text: str) -> None:  # noqa: D102
        style = "yellow" if text.startswith("WARNING") else "dim"
        self._line((INDENT, ""), text=self._called.typable(text), style=style)

    def table(self, lines: Sequence[str]) -> None:  # noqa: D102
        for line in () if self._is_aside else lines:
            self.note(line)

    def progress(self, done: float, total: float | None, text: str) -> None:  # noqa: D102
        in_place = (bool(self._heads) or self._is_preparing) and self._lines.is_terminal
        if in_place:
            below = self._moving()
            below.show(self._step)
            below.update(done, total, text)
        tenth = int(10 * done / total) if total else -1
        at_once = self._tenth < 0 and tenth >= 10
        if tenth > self._tenth and not at_once:
            self._tenth = tenth
            said = f"{text}  {took(self._clock.monotonic() - self._began)}"
            if in_place:
                self._keep(f"{INDENT}{said}")
            else:
                self._line((INDENT, ""), text=said)

    def waiting(self, label: str) -> None:  # noqa: D102
        if self._lines.is_terminal:
            self._moving().wait(f"{INDENT}{label}")

    def speaker(self, label: str) -> None:  # noqa: D102
        self._clear()
        self._end_speech()
        self._edge = len(INDENT) + max(SPEECH_INDENT, len(label) + 1)
        self._write(self._lines.styled([(f"{INDENT}{label}".ljust(self._edge), "bold")]))
        self._speaking, self._column = True, self._edge

    def speech(self, text: str) -> None:  # noqa: D102
        self._begun.append(text)
        if not _ENDS.search(text):  # in the midst of a word, which may be long
            return
        words = _WORDS.findall("".join(self._begun).replace("\r\n", "\n"))
        # Its end is still to come; and a carriage return may be half the end of a line.
        self._begun = [words.pop()] if words and (words[-1] == "\r" or not words[-1].isspace()) else []
        self._write("".join(map(self._placed, words)))

    def _placed(self, word: str) -> str:
        """A word, a stretch of blanks or a line's end, below the words before it; in a terminal lines are broken."""
        word = word if word == "\n" else visible(word)
        edge = self._edge
        too_long = self._lines.is_terminal and edge < self._column and self._column + len(word) > self._lines.width
        if word == "\n" or too_long:
            self._column = 0
            return "\n" if word.isspace() else "\n" + self._placed(word)
        margin = " " * (edge - self._column) if self._column < edge else ""
        self._column += len(margin) + len(word)
        return margin + word

    def end(self, text: str) -> None:  # noqa: D102
        self._clear()
        self._end_speech()
        if text:
            self._line(text=text)

    def _moving(self) -> "Below":
        from pipeline.terminal.live_region import Below

        self._below = self._below or Below(self._lines.stream, self._heads)
        return self._below

    def _clear(self) -> None:
        if self._below is not None:
            self._below.hide()

    def _end_speech(self) -> None:
        if self._speaking:
            self._speaking = False
            begun = "".join(self._begun)
            self._write((self._placed(begun) if begun else "") + "\n")
            self._begun = []

    def _line(self, *before: Piece, text: str, style: str = "") -> None:
        self._end_speech()
        self._write(self._lines.line(*before, text=text, style=style) + "\n")
        self._keep(f"{''.join(words for words, _ in before)}{text}")

    def _keep(self, line: str) -> None:
        if self._log is not None:
            self._log.write(f"{stamp(self._clock)} {line}")

    def _write(self, text: str) -> None:
        if self._below is not None and self._below.is_shown:
            self._below.write_above(text)
            return
        self._lines.stream.write(text)
        self._lines.stream.flush()


class JsonDisplay:
    """For a program: one object a line on stdout."""

    def __init__(self, log: RunLog | None, clock: Clock, called: Invocation | None = None) -> None:
        self._called = called or Invocation()
        self._out = SurvivingOutput()
        self._log = log
        self._clock = clock

    def begin(self, name: str, backend: str, run_dir: Path, steps: Sequence[str]) -> None:  # noqa: D102 - see Display
        self._emit("begin", {"name": name, "backend": backend, "run_dir": str(run_dir), "steps": list(steps)})

    def preparing(self, what: str) -> None:  # noqa: D102
        self._emit("preparing", {"what": what})

    def started(self, step: str, why: str | None) -> None:  # noqa: D102
        self._emit("started", {"step": step, "why": why})

    def skipped(self, number: int, total: int, step: str, summary: str) -> None:  # noqa: D102
        self._emit("skipped", {"number": number, "of": total, "step": step, "summary": summary})

    def finished(self, number: int, total: int, step: str, summary: str, seconds: float) -> None:  # noqa: D102
        found = {"number": number, "of": total, "step": step, "summary": summary, "seconds": round(seconds, 3)}
        self._emit("finished", found)

    def note(self, text: str) -> None:  # noqa: D102
        self._emit("note", {"text": self._called.typable(text)})

    def table(self, lines: Sequence[str]) -> None:  # noqa: D102
        for line in lines:
            self.note(line)

    def progress(self, done: float, total: float | None, text: str) -> None:  # noqa: D102
        self._emit("progress", {"done": done, "total": total, "text": text})

    def waiting(self, label: str) -> None:
        """Nothing has happened yet."""

    def speaker(self, label: str) -> None:  # noqa: D102
        self._emit("speaker", {"label": label})

    def speech(self, text: str) -> None:  # noqa: D102
        self._emit("speech", {"text": text})

    def end(self, text: str) -> None:  # noqa: D102
        if text:
            self._emit("end", {"text": text})

    def _emit(self, event: str, fields: Mapping[str, object]) -> None:
        # LangChain's answers are texts of a class of its own, which msgspec does not take for texts.
        line = msgspec.json.encode({"event": event, "at": stamp(self._clock), **fields}, enc_hook=str).decode()
        self._out.write(visible(line) + "\n")
        self._out.flush()
        if self._log is not None and event not in ("progress", "speech"):
            self._log.write(line)
