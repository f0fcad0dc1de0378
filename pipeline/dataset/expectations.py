"""What to expect of so much data with such a model on such a machine; said before anything is trained."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.config.settings import Config, listed
from pipeline.dataset.languages import SAMPLE, in_words, languages_of, name_of
from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.models.choice import Offer, Task, offers
from pipeline.models.machine import Machine, this_machine
from pipeline.models.needs import memory_to_train, seconds_to_train, tokens_at_once
from pipeline.models.picks import Pick, Shape, pick_named, shape_of
from pipeline.training.protocol import automatic_epochs
from pipeline.wording import counted

FEW, SOME, ENOUGH = 100, 500, 1400
"""Replies: with fewer than FEW a model recites; with about 1,500, SmolLM2-135M wrote as much like one person as that
person does at another time (1,482 replies, one person, one training), but made little sense."""

_SENSE = {
    1: "what it says makes little sense",
    2: "short answers make sense, longer ones do not",
    3: "its small talk mostly makes sense",
    4: "its small talk convinces",
}
_LITTLE_SENSE = 2
_NAMED = 4
_NOTABLE = 0.12
_WINDOWS = (1024, 512, 256)
_ALL = 4_000_000
_PLACES = 50
_CLEARLY = 1.25
"""An estimate is no measurement: a training is refused only if it needs that much more than all memory."""


class Data(NamedTuple):
    """What is to be learnt.

    Attributes:
        replies: turns of the person's that are learnt.
        languages: as `languages_of` says, of these replies.
        tokens: of all epochs; None where the trainer is not ours.
        at_once: tokens that go through the model at once, at most.
        is_sample: the ten dialogues that come with this package.
        is_rough: the archive has only been looked through.
    """

    replies: int
    languages: dict[str, float]
    tokens: int | None
    at_once: int
    is_sample: bool = False
    is_rough: bool = False

    @property
    def language(self) -> str | None:
        """The one that most is written in."""
        return next(iter(self.languages), None)

    @property
    def notable(self) -> list[str]:
        """Those that more than a little is written in."""
        return [code for code, share in self.languages.items() if share >= _NOTABLE]

    @property
    def task(self) -> Task:
        """What there is to be trained."""
        return Task(self.tokens or 0, self.at_once, self.language)


class Expectations(NamedTuple):
    """What is to be expected, in words; empty where nothing can be said.

    Attributes:
        replies: how many there are, and in which language.
        speaks: whether the model speaks it.
        takes: how long the training takes, and how much memory.
        tight: a warning that the memory is not free now.
        expect: what such a model makes of so much.
        helps: what would help most.
        is_foreign: the model does not speak the language at all; `is_halting`: not well, or not another that is there.
        refusal: the training takes more memory than the machine has, used or not.
    """

    replies: str
    speaks: str
    takes: str
    tight: str
    expect: str
    helps: str
    is_foreign: bool
    is_halting: bool
    refusal: InputError | None

    def short(self) -> list[str]:
        """A line or two for a run."""
        said = f"WARNING: {self.replies}; {self.speaks}" if self.is_foreign else f"{self.replies}: {self.expect}"
        said += f"; {self.speaks}" if self.is_halting else ""
        lines = [f"{said}. What helps most: {self.helps}." if self.helps else f"{said}."]
        return [*lines, *filter(None, [f"training takes {self.takes}" if self.takes else "", self.tight])]

    def long(self) -> list[tuple[str, str]]:
        """Each part with its label."""
        parts = [
            ("replies", self.replies), ("language", self.speaks), ("takes", self.takes), ("memory", self.tight),
            ("expect", self.expect), ("would help", self.helps),
        ]  # fmt: skip
        return [(label, said) for label, said in parts if said]


def before_training(config: Config, data: Data, say: Callable[[str], None] = lambda _: None) -> Expectations:
    """What to expect of a run that is about to train; `say` is told before this machine is measured."""
    machine = this_machine(say) if config.backend.kind == "embedded" else None
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
    batch = config.create_job.hyperparameters.batch_size
    at_once = tokens_at_once(longest, examples, None if batch == "auto" else batch)
    return Data(replies, told, tokens * times if is_ours else None, at_once, is_sample)


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
        is_halting=not is_foreign and pick is not None and any(pick.speaks(code) is not True for code in data.notable),
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
                for said in _learnt(line):
                    left -= len(said)
                    yield said


def _learnt(line: bytes) -> list[str]:
    try:
        messages = msgspec.json.decode(line, type=_Example).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []  # whoever trains on it says what is wrong with it
    return [each.content for each in messages if each.role == "assistant" and each.weight != 0]


class _Message(msgspec.Struct):
    role: str
    content: str
    weight: int | None = None


class _Example(msgspec.Struct):
    messages: list[_Message]


def _how_many(data: Data) -> str:
    number, about = (_rounded(data.replies), "about ") if data.is_rough else (data.replies, "")
    told = in_words(data.languages) or "in a language that could not be told"
    return f"{about}{counted(number, 'reply', 'replies')} to learn, {'in ' if len(data.languages) == 1 else ''}{told}"


def _rounded(number: int) -> int:
    """To two digits."""
    tens: int = 10 ** max(0, len(str(number)) - 2)
    return round(number / tens) * tens


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
    needed = _gb(memory_to_train(shape, machine.measured.dtype, data.at_once, machine.measured.device))
    up_to = "up to " if data.is_rough else ""
    return f"{how_long(seconds or 0)} and {up_to}{needed} of memory on this machine ({machine})"


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
        if self.machine is None or self.machine.free is None or self._needed() <= self.machine.free or self.refusal():
            return ""
        free = f"only {_gb(self.machine.free)} of memory are free"
        return f"WARNING: {free}, and the training takes about {_gb(self._needed())}. {self._ways_out()}"

    def refusal(self) -> InputError | None:
        """Where there is clearly too little altogether: the system would end the training half-way."""
        if self.machine is None or self.machine.memory is None or self._needed() <= _CLEARLY * self.machine.memory:
            return None
        return InputError(
            "create_job.model",
            f"training it takes about {_gb(self._needed())} of memory for {self.data.at_once:,} tokens at once, "
            f"and this machine has {_gb(self.machine.memory)} in all",
            got=self.model,
            fix=self._ways_out(),
        )

    def _needed(self, window: int | None = None) -> int:
        if self.shape is None or self.machine is None or self.machine.measured is None:
            return 0  # nobody knows
        measured = self.machine.measured
        return memory_to_train(self.shape, measured.dtype, window or self.data.at_once, measured.device)

    def _ways_out(self) -> str:
        free, memory = (self.machine.free or 0, self.machine.memory or 0) if self.machine else (0, 0)
        ways = ["close other programs"] if self._needed() <= memory else []
        windows = [window for window in _WINDOWS if window < self.data.at_once and self._needed(window) <= free]
        if self.can_cut and windows:
            keys = f"`convert.window_tokens: {windows[0]}` and `create_job.hyperparameters.batch_size: 1`"
            ways.append(f"set {keys} (about {_gb(self._needed(windows[0]))})")
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
        return f"it will recite them: fewer than {FEW} are learnt by heart"
    style = "it picks up greetings and habits, and still recites often"
    if data.replies >= SOME:
        style = "it begins to write like them"
    if data.replies >= ENOUGH:
        style = "enough to write like them"
    return style if pick is None else f"{style}; {_SENSE[pick.sense]}"


def _helps(data: Data, pick: Pick | None, found: Iterable[Offer], *, is_foreign: bool) -> str:
    best = next((each for each in found if each.is_best), None)
    named = f": `create_job.model: {best.pick.name}`" if best else ""
    if is_foreign:
        able = best is not None and best.pick.speaks(data.language or "") is not False
        return f"a model that speaks {name_of(data.language or '')}{named if able else ''} (`finetune models CONFIG`)"
    if data.is_sample:
        return "chats of your own (about 1,500 replies make it write like you)"
    if data.replies < SOME:
        return "more of their messages (500 replies are worth while, about 1,500 plenty)"
    if pick is not None and pick.sense <= _LITTLE_SENSE and best is not None:
        if best.pick.sense > pick.sense:
            return f"a larger model{named} (`finetune models CONFIG`)"
        if data.replies >= ENOUGH:
            return "a larger model, which takes more memory than is free here, or hours (`finetune models CONFIG`)"
    return "" if data.replies >= ENOUGH else "more of their messages (about 1,500 replies are plenty)"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
