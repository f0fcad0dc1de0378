"""What to expect of so much data with such a model on such a machine; said before anything is trained."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.config.settings import Config, listed
from pipeline.dataset.languages import SAMPLE, in_words, languages_of, name_of
from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.models.choice import Offer, Task, offers
from pipeline.models.machine import Machine, this_machine
from pipeline.models.needs import memory_to_train, seconds_to_train
from pipeline.models.picks import Pick, Shape, pick_named, shape_of
from pipeline.training.protocol import automatic_epochs
from pipeline.wording import counted

FEW, SOME, ENOUGH = 100, 500, 1400
"""Replies: with fewer than FEW a model recites; with about 1,500, SmolLM2-135M wrote as much like one person as that
person does at another time (1,482 replies, one person, one training), but made little sense."""

_SENSE = {
    1: "but it makes little sense",
    2: "and makes sense in short answers only",
    3: "and its small talk mostly makes sense",
    4: "and its small talk convinces",
}
_NAMED = 4
_NOTABLE = 0.12
_WINDOWS = (1024, 512, 256)
_ALL = 4_000_000
_PLACES = 50


class Data(NamedTuple):
    """What is to be learnt.

    Attributes:
        replies: turns of the person's that are learnt.
        languages: as `languages_of` says, of these replies.
        tokens: of all epochs; None where the trainer is not ours.
        longest: tokens of the longest example.
        is_sample: the ten dialogues that come with this package.
        is_rough: the archive has only been looked through.
    """

    replies: int
    languages: dict[str, float]
    tokens: int | None
    longest: int
    is_sample: bool = False
    is_rough: bool = False

    @property
    def language(self) -> str | None:
        """The one that most is written in."""
        return next(iter(self.languages), None)

    @property
    def task(self) -> Task:
        """What there is to be trained."""
        return Task(self.tokens or 0, self.longest, self.language)


class Expectations(NamedTuple):
    """What is to be expected, in words; empty where nothing can be said.

    Attributes:
        replies: how many there are, and in which language.
        speaks: whether the model speaks it.
        takes: how long the training takes, and how much memory.
        tight: a warning that the memory is not free now.
        expect: what such a model makes of so much.
        helps: what would help most.
        is_foreign: the model does not speak the language at all.
        refusal: the training takes more memory than the machine has, used or not.
    """

    replies: str
    speaks: str
    takes: str
    tight: str
    expect: str
    helps: str
    is_foreign: bool
    refusal: InputError | None

    def short(self) -> list[str]:
        """A line or two for a run."""
        begin = "WARNING: " if self.is_foreign else ""
        lines = [f"{begin}{self.replies}; {self.speaks if self.is_foreign else self.expect}. {self.helps}".rstrip()]
        return [*lines, *filter(None, [f"training takes {self.takes}" if self.takes else "", self.tight])]

    def long(self) -> list[tuple[str, str]]:
        """Each part with its label."""
        parts = [
            ("replies", self.replies), ("language", self.speaks), ("takes", self.takes), ("memory", self.tight),
            ("expect", self.expect), ("helps most", self.helps),
        ]  # fmt: skip
        return [(label, said) for label, said in parts if said]


def before_training(config: Config, data: Data) -> Expectations:
    """What to expect of a run that is about to train."""
    machine = this_machine() if config.backend.kind == "embedded" else None
    return expect(data, config.create_job.model, machine, can_cut=config.convert.preset == "texting")


def data_of(config: Config, train: Path, *, replies: int, examples: int, tokens: int, longest: int) -> Data:
    """What a training file holds.

    Args:
        tokens: of all examples, once.
    """
    epochs = config.create_job.hyperparameters.n_epochs
    times = automatic_epochs(examples) if epochs == "auto" else epochs
    is_ours = config.backend.kind == "embedded"
    is_sample = all(source.startswith("sample:") for source in listed(config.download.source))
    told = languages_of(_replies(train))
    return Data(replies, told, tokens * times if is_ours else None, longest, is_sample)


def expect(data: Data, model: str, machine: Machine | None, *, can_cut: bool = False) -> Expectations:
    """What to expect of training `model` on `data`.

    Args:
        machine: where it is trained; None for somewhere else.
        can_cut: `convert.window_tokens` says how long an example may be.
    """
    pick = pick_named(model)
    shape = pick.shape if pick else shape_of(model) if machine else None
    found = offers(machine, data.task) if machine else []
    is_foreign = pick is not None and data.language is not None and pick.speaks(data.language) is False
    memory = _Memory(data, model, shape, machine, found, can_cut)
    return Expectations(
        replies=_how_many(data),
        speaks=_speaks(data, pick),
        takes=_takes(data, shape, machine),
        tight=memory.warning(),
        expect="" if is_foreign else _outlook(data, pick),
        helps=_helps(data, pick, found, is_foreign=is_foreign),
        is_foreign=is_foreign,
        refusal=memory.refusal(),
    )


def how_long(seconds: float) -> str:
    """Such as "about 25 min": no more exact than it is."""
    minutes = seconds / 60
    if minutes < 1.5:
        return "about a minute"
    if minutes < 10:
        return f"about {minutes:.0f} min"
    if minutes < 90:
        return f"about {5 * round(minutes / 5)} min"
    hours = minutes / 60
    return f"about {hours:.0f} h" if hours < 36 else f"about {hours / 24:.0f} days"


def _replies(train: Path) -> Iterator[str]:
    """What is learnt of a training file; of a large one, from places all over it."""
    size = train.stat().st_size
    places = 1 if size <= _ALL else _PLACES
    with reading(train) as file:
        for number in range(places):
            file.seek(size * number // places)
            if number:
                file.readline()  # the rest of a line
            left = SAMPLE // places
            while left > 0 and (line := file.readline()):
                for message in msgspec.json.decode(line, type=_Example).messages:
                    if message.role == "assistant" and message.weight != 0:
                        left -= len(message.content)
                        yield message.content


class _Message(msgspec.Struct):
    role: str
    content: str
    weight: int | None = None


class _Example(msgspec.Struct):
    messages: list[_Message]


def _how_many(data: Data) -> str:
    about = "about " if data.is_rough else ""
    replies = f"{about}{counted(data.replies, 'reply', 'replies')} to learn"
    told = in_words(data.languages)
    return f"{replies}, in {told}" if told else f"{replies}, in a language that could not be told"


def _speaks(data: Data, pick: Pick | None) -> str:
    if pick is None or data.language is None:
        return ""
    name = name_of(data.language)
    if pick.speaks(data.language) is False:
        made_for = pick.languages[:_NAMED]
        more = f" and {len(pick.languages) - _NAMED} more" if pick.languages[_NAMED:] else ""
        knows = f"{', '.join(map(name_of, made_for))}{more}"
        return f"{pick.title} does not speak {name} (only {knows}): what it writes will make no sense"
    said = f"{pick.title} {'speaks' if pick.speaks(data.language) else 'writes'} {name}"
    said += "" if pick.speaks(data.language) else " with mistakes"
    others = [
        name_of(code) for code, share in data.languages.items() if share >= _NOTABLE and pick.speaks(code) is False
    ]
    return f"{said}, but not {' or '.join(others)}" if others else said


def _takes(data: Data, shape: Shape | None, machine: Machine | None) -> str:
    if shape is None or machine is None or machine.measured is None or data.tokens is None:
        return ""
    seconds = seconds_to_train(shape, machine, data.tokens)
    needed = _gb(memory_to_train(shape, machine.measured.dtype, data.longest))
    return f"{how_long(seconds or 0)} and {needed} of memory on this machine ({machine})"


class _Memory(NamedTuple):
    """What a training needs of a machine's memory, and what to do if that is not there."""

    data: Data
    model: str
    shape: Shape | None
    machine: Machine | None
    found: list[Offer]
    can_cut: bool

    def warning(self) -> str:
        """Of too little that is free now."""
        if self.machine is None or self.machine.free is None or self._needed() <= self.machine.free:
            return ""
        free = f"only {_gb(self.machine.free)} of memory are free"
        return f"WARNING: {free}, and the training takes about {_gb(self._needed())}. {self._ways_out()}"

    def refusal(self) -> InputError | None:
        """Where there is too little altogether: the system would end the training half-way."""
        if self.machine is None or self.machine.memory is None or self._needed() <= self.machine.memory:
            return None
        return InputError(
            "create_job.model",
            f"training it takes about {_gb(self._needed())} of memory with examples of up to {self.data.longest:,} "
            f"tokens, and this machine has {_gb(self.machine.memory)} in all",
            got=self.model,
            fix=self._ways_out(),
        )

    def _needed(self, window: int | None = None) -> int:
        if self.shape is None or self.machine is None or self.machine.measured is None:
            return 0  # nobody knows
        return memory_to_train(self.shape, self.machine.measured.dtype, window or self.data.longest)

    def _ways_out(self) -> str:
        free, memory = (self.machine.free or 0, self.machine.memory or 0) if self.machine else (0, 0)
        ways = ["close other programs"] if self._needed() <= memory else []
        windows = [window for window in _WINDOWS if window < self.data.longest and self._needed(window) <= free]
        if self.can_cut and windows:
            ways.append(f"set `convert.window_tokens: {windows[0]}` (about {_gb(self._needed(windows[0]))})")
        size = self.shape.parameters if self.shape else 0
        smaller = [each for each in self.found if each.fits and each.pick.shape.parameters < size]
        if smaller:
            best = max(smaller, key=lambda each: (each.is_best, each.pick.sense, each.pick.parameters))
            ways.append(f"set `create_job.model: {best.pick.name}` (about {_gb(best.train)})")
        said = ", or ".join([*ways, "train on another machine"])
        return f"{said[0].upper()}{said[1:]}; `finetune models CONFIG` shows what each model takes."


def _outlook(data: Data, pick: Pick | None) -> str:
    if data.is_sample:
        return "it will recite its ten dialogues, which is what this sample shows"
    if data.replies < FEW:
        return f"it will recite them: fewer than {FEW} are learnt by heart, not understood"
    style = "it picks up greetings and habits, and still recites often"
    if data.replies >= SOME:
        style = "it begins to write like them"
    if data.replies >= ENOUGH:
        style = "enough to write like them"
    if pick is None:
        return style
    sense = {
        1: "but to make little sense",
        2: "with sense in short answers only",
        3: "and small talk mostly makes sense",
    }
    return f"{style}, {sense.get(pick.sense, 'and small talk convinces')}"


def _helps(data: Data, pick: Pick | None, found: Iterable[Offer], *, is_foreign: bool) -> str:
    best = next((each for each in found if each.is_best), None)
    name = name_of(data.language or "")
    if is_foreign:
        able = best is not None and best.pick.speaks(data.language or "") is not False
        named = f"`create_job.model: {best.pick.name}`; `finetune models CONFIG` lists more" if best and able else ""
        return f"A model that speaks {name} helps most: {named or '`finetune models CONFIG` lists them'}."
    if data.is_sample:
        return "About 1,500 replies of your own make it write like you."
    if data.replies < SOME:
        return "More of their messages help most: from some 500 it is worth while, about 1,500 are plenty."
    if pick is not None and pick.sense <= 2 and best is not None and best.pick.sense > pick.sense:
        return f"A larger model helps most: `create_job.model: {best.pick.name}`; `finetune models CONFIG` lists more."
    return "" if data.replies >= ENOUGH else "More of their messages help most: about 1,500 are plenty."


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
