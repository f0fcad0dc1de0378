"""What each step leaves behind, typed: the only thing that steps know of one another.

An output is compared by content: two runs that make equal outputs leave everything after them done. So nothing here
may hold a time, a duration or a count of attempts; those belong to the step's record in the state.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import msgspec

from pipeline.dataset.funnel import Funnel
from pipeline.durable import Artifact
from pipeline.wording import counted, in_bytes


class Output(msgspec.Struct, frozen=True):
    """What a step made. Fields that are Artifacts are verified before the step counts as done."""

    def summary(self) -> str:
        """One line for the terminal: no path outside the run directory, no chat text."""
        raise NotImplementedError


class Download(Output, frozen=True, omit_defaults=True):
    """The archive, checked.

    Attributes:
        more: further ones, where `download.source` is a list.
        names: what each file was called where it came from, for apps that write a chat's name there; "" for what is no
            file.
    """

    archive: Artifact
    more: tuple[Artifact, ...] = ()
    names: tuple[str, ...] = ()

    def paths(self, run_dir: Path) -> list[Path]:
        """Where all of them lie."""
        return [run_dir / each.path for each in (self.archive, *self.more)]

    def originals(self, run_dir: Path) -> list[tuple[Path, str]]:
        """Where all of them lie, each with its name."""
        paths = self.paths(run_dir)
        return list(zip(paths, self.names or [""] * len(paths), strict=True))

    def summary(self) -> str:  # noqa: D102 - see Output
        return ", ".join(f"{each.path} ({in_bytes(each.size)})" for each in (self.archive, *self.more))


class Load(Output, frozen=True, omit_defaults=True):
    """Sessions as the archive has them; `dropped` counts the rows that are no utterances, by reason.

    `region` is the country of most telephone numbers in it, such as "DE"; `ready` says that the sessions are training
    examples already.
    """

    sessions: Artifact
    count: int
    messages: int
    dropped: dict[str, int]
    region: str | None = None
    ready: bool = False

    def summary(self) -> str:  # noqa: D102
        if self.ready:
            return f"{counted(self.count, 'training example')} of {counted(self.messages, 'message')}"
        return f"{counted(self.count, 'session')}, {counted(self.messages, 'message')}{_dropped(self.dropped)}"


class Merge(Output, frozen=True):
    """Sessions in which nobody speaks twice in a row."""

    sessions: Artifact
    before: int
    after: int

    def summary(self) -> str:  # noqa: D102
        return f"{counted(self.before, 'message')} became {self.after:,}"


class Map(Output, frozen=True):
    """Sessions whose messages have roles."""

    sessions: Artifact
    assistant: int
    user: int

    def summary(self) -> str:  # noqa: D102
        return f"{self.assistant:,} by the assistant, {self.user:,} by the user"


class Convert(Output, frozen=True, omit_defaults=True):
    """Training examples, one a line. Tokens are those of one epoch.

    Attributes:
        dropped: sessions by reason.
        funnel: every message of the archive.
        system_prompt: that of most targets.
        weights: whether own turns that are not to be learnt have weight 0.
        too_long: examples that have more tokens than the trainer takes.
        beyond: about so many targets stand in what it leaves out.
        redacted: what was replaced in texts, by kind.
    """

    train: Artifact
    valid: Artifact | None
    examples: int
    valid_examples: int
    tokens: int
    tokens_least: int
    tokens_median: int
    tokens_most: int
    tokens_are_exact: bool
    dropped: dict[str, int]
    funnel: Funnel
    system_prompt: str | None
    weights: bool
    too_long: int = 0
    beyond: int = 0
    redacted: dict[str, int] = {}

    def summary(self) -> str:  # noqa: D102
        about = "" if self.tokens_are_exact else "about "
        valid = f" and {self.valid_examples:,} for validation" if self.valid else ""
        return (
            f"Prepared {counted(self.examples, 'dialogue')} for training{valid}: {about}"
            f"{counted(self.tokens, 'token')}, {self.tokens_least:,} to {self.tokens_most:,} each, "
            f"median {self.tokens_median:,}{_dropped(self.dropped)}"
            f"{f'; replaced in texts: {replaced(self.redacted)}' if self.redacted else ''}"
        )


class Upload(Output, frozen=True):
    """The files as the backend knows them."""

    train_file: str
    valid_file: str | None

    def summary(self) -> str:  # noqa: D102
        return self.train_file if self.valid_file is None else f"{self.train_file}, {self.valid_file}"


class PollFile(Output, frozen=True):
    """Files that the backend has read and accepted."""

    train_file: str
    valid_file: str | None

    def summary(self) -> str:  # noqa: D102
        return "processed"


class CreateJob(Output, frozen=True):
    """The job, and what it was made of: `identity` tells it from any other, on the backend too."""

    job: str
    identity: str
    train_file: str
    valid_file: str | None

    def summary(self) -> str:  # noqa: D102
        return self.job


class Consumed(msgspec.Struct, frozen=True):
    """What the trainer says it took from the training file.

    Attributes:
        examples: those it trained on; `skipped` are not among them.
        targets: turns of the assistant's that it learns.
        truncated: examples that lost their end.
    """

    examples: int
    targets: int
    truncated: int
    skipped: int


class Kept(msgspec.Struct, frozen=True):
    """The epoch whose model was taken, because its loss on what was held out (nats per token) is the lowest.

    Attributes:
        step, steps: after how many optimiser steps, and how many there were in all.
        loss, last_loss: of that epoch's model, and of the last one's.
    """

    step: int
    steps: int
    loss: float
    last_loss: float

    def __str__(self) -> str:
        if self.step == self.steps:
            return f"the last epoch's model is kept: its loss on what was held out, {self.loss:.3f}, is the lowest"
        return (
            f"the model after step {self.step:,} of {self.steps:,} is kept: its loss on what was held out, "
            f"{self.loss:.3f}, is the lowest; at the end it was {self.last_loss:.3f}"
        )


class PollJob(Output, frozen=True):
    """The tuned model, how the training went, and what the server said of it."""

    model: str
    trained_tokens: int | None
    metrics: Artifact | None
    events: Artifact | None = None
    consumed: Consumed | None = None
    kept: Kept | None = None

    def summary(self) -> str:  # noqa: D102
        tokens = "" if self.trained_tokens is None else f", {counted(self.trained_tokens, 'token')} trained"
        return f"{self.model}{tokens}{f'; {self.kept}' if self.kept else ''}"


class Deploy(Output, frozen=True):
    """The tuned model where it answers: `name` is what to ask for. `model` is its own name."""

    name: str
    model: str

    def summary(self) -> str:  # noqa: D102
        return f"answers as {self.name}"


class SmokeTest(Output, frozen=True):
    """The transcript."""

    transcript: Artifact
    answers: int

    def summary(self) -> str:  # noqa: D102
        return f"{counted(self.answers, 'answer')} in {self.transcript.path}"


class Evaluate(Output, frozen=True):
    """What was measured of the tuned model, and the verdict's first sentence."""

    evaluation: Artifact
    verdict: str

    def summary(self) -> str:  # noqa: D102
        return self.verdict.rstrip(".")


def artifacts_of(output: Output) -> list[Artifact]:
    """The files a step vouches for."""
    values = (getattr(output, name) for name in output.__struct_fields__)
    return [each for value in values for each in (value if isinstance(value, tuple) else (value,)) if _is_file(each)]


def _is_file(value: object) -> TypeGuard[Artifact]:
    return isinstance(value, Artifact)


def replaced(counts: Mapping[str, int]) -> str:
    """Counts by kind, such as "12 phones, 1 email"."""
    return ", ".join(counted(number, kind.removesuffix("s")) for kind, number in sorted(counts.items()))


def _dropped(dropped: dict[str, int]) -> str:
    if not dropped:
        return ""
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(dropped.items(), key=lambda i: -i[1]))
    return f"; left out: {reasons}"
