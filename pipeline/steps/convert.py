"""Step 5: sessions become training examples in OpenAI's chat format."""

import statistics
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pipeline.chats.session import read_sessions
from pipeline.config import Config
from pipeline.dataset.checks import check_example
from pipeline.dataset.notebook import Example, to_example
from pipeline.dataset.split import validation_ids
from pipeline.dataset.tokens import token_counter
from pipeline.durable import Artifact, HashingWriter, atomic_writer
from pipeline.errors import InputError
from pipeline.steps.outputs import Convert, Map
from pipeline.steps.step import Step, Work
from pipeline.training.base_models import is_prepared

TRAIN, VALID = "05_train.jsonl", "05_valid.jsonl"


class _Usable(NamedTuple):
    id: str
    example: Example


def run(config: Config, mapped: Map, work: Work) -> Convert:
    """Write 05_train.jsonl and, if asked for, 05_valid.jsonl; count tokens and what is left out.

    Raises:
        InputError: fewer than `convert.min_examples` usable examples.
    """
    settings = config.convert
    dropped: Counter[str] = Counter()
    chosen: frozenset[str] = frozenset()
    if settings.validation_fraction:  # the choice needs every id, so the sessions are read once more
        ids = [usable.id for usable in _examples(config, mapped, work, Counter())]
        chosen = validation_ids(ids, settings.validation_fraction)
    if settings.tokens == "exact" and not is_prepared(config.create_job.model):
        work.display.note(f"converting {config.create_job.model} for this machine, once (about 25 s)")
    count = token_counter(config.create_job.model, settings.tokens)
    tokens = []
    with atomic_writer(work.run_dir / TRAIN) as train:
        for usable in _examples(config, mapped, work, dropped):
            if usable.id not in chosen:
                _write(train, usable.example)
                tokens.append(count(usable.example))
        if len(tokens) < settings.min_examples:
            raise _too_few(len(tokens), len(chosen), settings.min_examples, dropped)
    valid = None
    if chosen:
        with atomic_writer(work.run_dir / VALID) as file:
            for usable in _examples(config, mapped, work, Counter()):
                if usable.id in chosen:
                    _write(file, usable.example)
        valid = Artifact(VALID, file.sha256, file.size)
    else:
        (work.run_dir / VALID).unlink(missing_ok=True)  # left by an earlier config; it would mislead
    return Convert(
        train=Artifact(TRAIN, train.sha256, train.size),
        valid=valid,
        examples=len(tokens),
        valid_examples=len(chosen),
        tokens=sum(tokens),
        tokens_least=min(tokens),
        tokens_median=statistics.median_low(tokens),
        tokens_most=max(tokens),
        tokens_are_exact=settings.tokens == "exact",
        dropped=dict(sorted(dropped.items())),
    )


def _examples(config: Config, mapped: Map, work: Work, dropped: Counter[str]) -> Iterator[_Usable]:
    """Read the sessions anew each time: an archive of any size passes through without being held."""
    for session in read_sessions(work.run_dir / mapped.sessions.path):
        example = to_example(session, config.convert.system_prompt)
        if example is None:
            dropped["without the assistant"] += 1
            continue
        broken = check_example(example)
        if broken is not None:
            dropped[broken] += 1
            continue
        yield _Usable(session.id, example)


def _write(file: HashingWriter, example: Example) -> None:
    file.write(msgspec.json.encode(example) + b"\n")


def _too_few(found: int, held_out: int, needed: int, dropped: Counter[str]) -> InputError:
    reasons = "".join(f"; {number:,} left out: {reason}" for reason, number in dropped.most_common())
    held = f"; {held_out:,} held out for validation" if held_out else ""
    return InputError(
        "convert.min_examples",
        f"needs at least {needed:,} examples to train on",
        got=f"{found:,}{held}{reasons}",
        fix="Load more conversations, or lower convert.min_examples (OpenAI refuses fewer than 10).",
    )


STEP = Step(
    name="convert",
    version=1,
    needs=("map",),
    declares=("convert", "create_job.model"),
    output=Convert,
    run=run,
)
