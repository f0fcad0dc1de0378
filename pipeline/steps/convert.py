"""Step 5: sessions become training examples in OpenAI's chat format."""

import contextlib
import statistics
from array import array
from collections import Counter
from collections.abc import Iterator

import msgspec

from pipeline.chats.session import read_sessions
from pipeline.config import Config
from pipeline.dataset.checks import check_example
from pipeline.dataset.funnel import Lost, Tally, Unaccounted, funnel
from pipeline.dataset.notebook import to_example
from pipeline.dataset.preset import texting_of
from pipeline.dataset.split import validation_ids
from pipeline.dataset.texting import Texting, Written
from pipeline.dataset.tokens import token_counter
from pipeline.durable import Artifact, HashingWriter, atomic_writer
from pipeline.errors import InputError
from pipeline.steps.outputs import Convert, Load, Map
from pipeline.steps.step import Step, Work
from pipeline.training.base_models import is_prepared

TRAIN, VALID = "05_train.jsonl", "05_valid.jsonl"


def run(config: Config, mapped: Map, load: Load, work: Work) -> Convert:
    """Write 05_train.jsonl and, if asked for, 05_valid.jsonl; account for every message of the archive.

    Raises:
        InputError: fewer than `convert.min_examples` usable examples.
        Unaccounted: a bug of ours lost messages.
    """
    settings = config.convert
    if settings.tokens == "exact" and not is_prepared(config.create_job.model):
        work.display.note(f"converting {config.create_job.model} for this machine, once (about 25 s)")
    made = _Texting(config, mapped, work) if settings.preset == "texting" else _Notebook(config, mapped, work)
    tokens, held_out = array("q"), 0
    valid: HashingWriter | None = None
    with contextlib.ExitStack() as files:
        train = files.enter_context(atomic_writer(work.run_dir / TRAIN))
        for written in made.examples():
            if not written.held_out:
                _write(train, written)
                tokens.append(written.tokens)
                continue
            if valid is None:
                valid = files.enter_context(atomic_writer(work.run_dir / VALID))
            held_out += 1
            _write(valid, written)
        found = funnel(load.messages, load.dropped, made.train, made.valid)
        if len(tokens) < settings.min_examples:
            raise _too_few(len(tokens), held_out, settings.min_examples, made)
    if valid is None:
        (work.run_dir / VALID).unlink(missing_ok=True)  # left by an earlier config; it would mislead
    if settings.preset == "texting":
        for line in found.lines():
            work.display.note(line)
    return Convert(
        train=Artifact(TRAIN, train.sha256, train.size),
        valid=None if valid is None else Artifact(VALID, valid.sha256, valid.size),
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
    )


class _Notebook:
    """One example a session; `dropped` counts sessions."""

    def __init__(self, config: Config, mapped: Map, work: Work) -> None:
        self._settings = config.convert
        self._model = config.create_job.model
        self._path = work.run_dir / mapped.sessions.path
        self.train, self.valid = Tally(), Tally()
        self.weights = True
        self.dropped: Counter[str] = Counter()

    def examples(self) -> Iterator[Written]:
        settings = self._settings
        chosen: frozenset[str] = frozenset()
        if settings.validation_fraction:  # the choice needs every id, so the sessions are read once more
            ids = [id_ for id_, _ in self._usable(Tally(), Tally(), frozenset(), Counter())]
            chosen = validation_ids(ids, settings.validation_fraction)
        count = token_counter(self._model, settings.tokens)
        for id_, written in self._usable(self.train, self.valid, chosen, self.dropped):
            yield written if id_ in chosen else msgspec.structs.replace(written, tokens=count(written.example))

    def system_prompt(self) -> str | None:
        return self._settings.system_prompt

    def _usable(
        self, train: Tally, valid: Tally, chosen: frozenset[str], dropped: Counter[str]
    ) -> Iterator[tuple[str, Written]]:
        """Read the sessions anew each time: an archive of any size passes through without being held."""
        for session in read_sessions(self._path):
            example = to_example(session, self._settings.system_prompt)
            reason = Lost.NO_ASSISTANT if example is None else check_example(example)
            if example is None or reason is not None:
                dropped[str(reason)] += 1
                train.session_left_out(str(reason), session)
                continue
            held_out = session.id in chosen
            (valid if held_out else train).session(session)
            yield session.id, Written(example, 0, held_out)


class _Texting:
    """Examples of talks; messages are counted, not sessions."""

    def __init__(self, config: Config, mapped: Map, work: Work) -> None:
        self._path = work.run_dir / mapped.sessions.path
        self._made: Texting = texting_of(config, weights=work.connection.profile.weights)
        self.train, self.valid = self._made.train, self._made.valid
        self.weights = self._made.style.weights
        self.dropped: Counter[str] = Counter()

    def examples(self) -> Iterator[Written]:
        for written in self._made.examples(lambda: read_sessions(self._path)):
            broken = check_example(written.example)
            if broken is not None:
                raise Unaccounted("convert", f"made an example that breaks a rule: {broken}", fix="Please report it.")
            yield written

    def system_prompt(self) -> str | None:
        return max(self._made.prompts, key=self._made.prompts.__getitem__, default="") or None


def _write(file: HashingWriter, written: Written) -> None:
    file.write(msgspec.json.encode(written.example) + b"\n")


def _too_few(found: int, held_out: int, needed: int, made: _Notebook | _Texting) -> InputError:
    dropped = made.dropped or made.train.dropped + made.train.own_context
    unit = "" if made.dropped or not dropped else " messages"
    reasons = "".join(f"; {number:,}{unit} left out: {reason}" for reason, number in dropped.most_common())
    held = f"; {held_out:,} held out for validation" if held_out else ""
    return InputError(
        "convert.min_examples",
        f"needs at least {needed:,} examples to train on",
        got=f"{found:,}{held}{reasons}",
        fix="Load more conversations, or lower convert.min_examples (OpenAI refuses fewer than 10).",
    )


STEP = Step(
    name="convert",
    version=2,
    needs=("map", "load"),
    declares=("convert", "create_job.model", "map.assistant", "backend.kind", "merge.max_gap_s"),
    output=Convert,
    run=run,
)
