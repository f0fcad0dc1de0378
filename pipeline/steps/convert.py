"""Step 5: sessions become training examples in OpenAI's chat format."""

import contextlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from pipeline.config.settings import Config
from pipeline.dataset.checks import FEWEST_EXAMPLES, check_example, too_few_to_learn, too_long_to_learn
from pipeline.dataset.funnel import Lost, Tally, Unaccounted, funnel
from pipeline.dataset.preset import FEWEST_HELD_OUT, most_tokens, require_fitting, share_held_out
from pipeline.durable import HashingWriter, atomic_writer
from pipeline.errors import InputError
from pipeline.steps.outputs import Convert, Load, Map
from pipeline.steps.step import Step, Work
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.dataset.texting import Texting
    from pipeline.sessions.stream import Sink, Stream

_WRITTEN_AT_ONCE = 1 << 20

TRAIN, VALID = "05_train.jsonl", "05_valid.jsonl"


def run(config: Config, mapped: Map, load: Load, work: Work) -> Convert:
    """Write 05_train.jsonl and, if asked for, 05_valid.jsonl; account for every message of the archive.

    Raises:
        InputError: fewer than `convert.min_examples` usable examples, or another preset goes with what was loaded.
        Unaccounted: a bug of ours lost messages.
    """
    import statistics

    from pipeline.models.base_models import is_prepared

    settings = config.convert
    require_fitting(config, ready=load.ready)
    if settings.tokens == "exact" and not is_prepared(config.create_job.model):
        work.display.note(f"converting {config.create_job.model} for this machine, once (about 25 s)")
    made = _made_by(config, mapped, load, work)
    valid: HashingWriter | None = None
    with contextlib.ExitStack() as files:
        train = files.enter_context(atomic_writer(work.run_dir / TRAIN))

        def validation() -> HashingWriter:
            nonlocal valid
            if valid is None:
                valid = files.enter_context(atomic_writer(work.run_dir / VALID))
            return valid

        tokens, held_out = made.write(train, validation)
        found = funnel(load.messages, load.dropped, made.train, made.valid)
        if len(tokens) < settings.min_examples:
            raise _too_few(len(tokens), held_out, settings.min_examples, made)
        tokens = [*tokens, *_plant(config, made.system_prompt(), train)]
    if valid is None:
        (work.run_dir / VALID).unlink(missing_ok=True)  # left by an earlier config; it would mislead
    if settings.preset == "texting":
        work.display.table(list(found.lines()))
    for warning in (
        too_few_to_learn(len(tokens), found.target),
        too_long_to_learn(made.too_long, made.beyond, found.target, most_tokens(config), settings.preset),
        _NOTHING_HELD_OUT if valid is None and settings.validation_fraction == "auto" else None,
    ):
        if warning is not None:
            work.display.note(warning)
    return Convert(
        train=train.artifact(TRAIN),
        valid=None if valid is None else valid.artifact(VALID),
        examples=len(tokens),
        valid_examples=held_out,
        tokens=sum(tokens),
        tokens_least=min(tokens),
        tokens_median=statistics.median_low(tokens),
        tokens_most=max(tokens),
        tokens_are_exact=settings.tokens == "exact",
        dropped=dict(sorted(made.dropped.items())),
        funnel=found,
        system_prompt=made.system_prompt(),
        weights=made.weights,
        too_long=made.too_long,
        beyond=made.beyond,
        redacted=made.redacted(),
    )


_NOTHING_HELD_OUT = (
    f"nothing is held out: a tenth of these chats has fewer than {FEWEST_HELD_OUT} replies that are not learnt "
    "elsewhere, too few to measure the model with"
)


def _made_by(config: Config, mapped: Map, load: Load, work: Work) -> "_Notebook | _Texting | _Ready":
    if config.convert.preset == "texting":
        return _Texting(config, mapped, load, work)
    return (_Notebook if config.convert.preset == "notebook" else _Ready)(config, mapped, work)


class _Ready:
    """The examples of the archive, as they stand."""

    def __init__(self, config: Config, mapped: Map, work: Work) -> None:
        from pipeline.dataset.ready import Ready, examples
        from pipeline.dataset.split import validation_ids
        from pipeline.dataset.tokens import tokens_of

        path, settings = work.run_dir / mapped.sessions.path, config.convert
        chosen: frozenset[str] = frozenset()
        if fraction := share_held_out(config):
            chosen = validation_ids([where for where, _ in examples(path)], fraction)
        self._made = Ready(
            path,
            tokens_of(config.create_job.model, settings.tokens),
            held_out=chosen,
            most_tokens=most_tokens(config),
            text_only=config.backend.kind == "embedded",
        )
        self._prompts: Counter[str] = Counter()
        self.train, self.valid = self._made.train, self._made.valid
        self.weights = True
        self.too_long = self.beyond = 0
        self.dropped: Counter[str] = Counter()

    def write(self, train: "Sink", validation: "Callable[[], Sink]") -> tuple[Sequence[int], int]:
        """Write the examples; returns the tokens of each in the training file, and how many are in the other."""
        noted = self._made.write(train, validation)
        self.too_long, self.beyond, self._prompts = noted.too_long, noted.beyond, noted.prompts
        return noted.tokens, noted.held_out

    def redacted(self) -> dict[str, int]:
        return {}

    def system_prompt(self) -> str | None:
        return max(self._prompts, key=self._prompts.__getitem__, default="") or None


def _plant(config: Config, system: str | None, train: "Sink") -> list[int]:
    """Write the canaries that `evaluate.canaries` asks for; returns the tokens of each line."""
    if config.evaluate is None or not config.evaluate.canaries:
        return []
    from pipeline.dataset.tokens import tokens_of
    from pipeline.evaluation.canaries import PLANTED, canaries

    counting, planted = tokens_of(config.create_job.model, config.convert.tokens), list[int]()
    for canary in canaries(config.evaluate.canaries, config.name):
        turns = canary.example(system)["messages"]
        train.write((msgspec.json.encode(canary.example(system)) + b"\n") * PLANTED)
        contents = counting.count([turn["content"] for turn in turns])
        planted += [sum(contents) + counting.frame(tuple(turn["role"] for turn in turns))] * PLANTED
    return planted


class _Notebook:
    """One example a session; `dropped` counts sessions."""

    def __init__(self, config: Config, mapped: Map, work: Work) -> None:
        self._settings = config.convert
        self._held_out = share_held_out(config)
        self._model = config.create_job.model
        self._path = work.run_dir / mapped.sessions.path
        self._most = most_tokens(config)
        self.too_long = self.beyond = 0
        self.train, self.valid = Tally(), Tally()
        self.weights = True
        self.dropped: Counter[str] = Counter()

    def write(self, train: "Sink", validation: "Callable[[], Sink]") -> tuple[Sequence[int], int]:
        """Write the examples; returns the tokens of each in the training file, and how many are in the other."""
        from pipeline.dataset.notebook import note_file, usable_ids
        from pipeline.dataset.split import validation_ids
        from pipeline.dataset.tokens import tokens_of

        settings = self._settings
        chosen: frozenset[str] = frozenset()
        if self._held_out:  # the choice needs every id, so the sessions are read once more
            chosen = validation_ids(usable_ids(self._path), self._held_out)
        noted = note_file(
            self._path,
            train,
            validation() if chosen else None,
            folder=self._path.parent,
            system_prompt=settings.system_prompt,
            held_out=chosen,
            tokens=tokens_of(self._model, "exact") if settings.tokens == "exact" else None,
            most_tokens=self._most,
        )
        self.too_long, self.beyond = noted.too_long, noted.beyond
        self.train.whole(noted.train)
        self.valid.whole(noted.valid)
        if noted.left_out:
            self.dropped[Lost.NO_ASSISTANT] = noted.left_out
            self.train.dropped[Lost.NO_ASSISTANT] = noted.left_out_messages
        return noted.tokens, noted.held_out

    def redacted(self) -> dict[str, int]:
        return {}

    def system_prompt(self) -> str | None:
        return self._settings.system_prompt


class _Texting:
    """Examples of talks; messages are counted, not sessions."""

    def __init__(self, config: Config, mapped: Map, load: Load, work: Work) -> None:
        from pipeline.dataset.preset import redactor_of, texting_of
        from pipeline.sessions.senders import names_in

        self._path = work.run_dir / mapped.sessions.path
        self._redactor = redactor_of(config, load.region, lambda: names_in(self._path))
        weights = work.connection.profile.weights
        self._made: Texting = texting_of(config, weights=weights, redactor=self._redactor)
        self.train, self.valid = self._made.train, self._made.valid
        self.weights = self._made.style.weights
        self.too_long = self.beyond = 0  # every talk is cut to the window
        self.dropped: Counter[str] = Counter()

    def write(self, train: "Sink", validation: "Callable[[], Sink]") -> tuple[Sequence[int], int]:
        """Write the examples; returns the tokens of each in the training file, and how many are in the other."""
        from pipeline.sessions.stream import read_streams

        def streams() -> "Iterator[Stream]":
            if self._redactor is not None:
                self._redactor.counts.clear()  # they are read twice; the second time counts
            return read_streams(self._path)

        tokens, held_out = array("q"), 0
        # Written by the megabyte: each time the other thread goes first.
        lines = {False: bytearray(), True: bytearray()}
        for written in self._made.examples(streams):
            broken = check_example(written.example)
            if broken is not None:
                raise Unaccounted("convert", f"made an example that breaks a rule: {broken}", fix="Please report it.")
            line = lines[written.held_out]
            line += msgspec.json.encode(written.example) + b"\n"
            if written.held_out:
                held_out += 1
            else:
                tokens.append(written.tokens)
            if len(line) > _WRITTEN_AT_ONCE:
                (validation() if written.held_out else train).write(line)
                line.clear()
        train.write(lines[False])
        if held_out:
            validation().write(lines[True])
        return tokens, held_out

    def redacted(self) -> dict[str, int]:
        return {} if self._redactor is None else dict(sorted(self._redactor.counts.items()))

    def system_prompt(self) -> str | None:
        return max(self._made.prompts, key=self._made.prompts.__getitem__, default="") or None


def _too_few(found: int, held_out: int, needed: int, made: _Notebook | _Texting | _Ready) -> InputError:
    dropped = made.dropped or made.train.dropped
    if isinstance(made, _Texting):
        dropped = dropped + made.train.own_context
    unit = "" if made.dropped or not dropped else " messages"
    reasons = "".join(f"; {number:,}{unit} left out: {reason}" for reason, number in dropped.most_common())
    held = f"; {held_out:,} held out for validation" if held_out else ""
    shorter = ", or lower convert.session_gap_s so that more talks come of them" if isinstance(made, _Texting) else ""
    what = "Add more examples" if isinstance(made, _Ready) else "Load more conversations"
    lower = ", or lower convert.min_examples" if needed > FEWEST_EXAMPLES else ""
    return InputError(
        "convert.min_examples",
        f"needs at least {counted(needed, 'example')} to train on",
        got=f"{found:,}{held}{reasons}",
        fix=f"{what}{shorter}{lower} (OpenAI and the embedded server refuse fewer than {FEWEST_EXAMPLES}).",
    )


STEP = Step(
    name="convert",
    version=4,
    needs=("map", "load"),
    declares=("convert", "create_job.model", "map.assistant", "backend.kind", "merge.max_gap_s", "evaluate.canaries"),
    also_reads=("name",),
    output=Convert,
    run=run,
)
