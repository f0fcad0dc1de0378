"""Whether a job's files can be trained on: what OpenAI checks between `validating_files` and `queued`."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.dataset.checks import check_example, check_preference
from pipeline.durable import reading
from pipeline.server.wire import JobError, MethodName

MIN_EXAMPLES = 10  # OpenAI's fine-tuning guide; live message of code invalid_n_examples


def check_training_file(
    path: Path, param: str, min_examples: int, method: MethodName, stopped: Callable[[], bool]
) -> JobError | None:
    """Check the examples of one JSONL file; returns what is wrong with it, in the live API's words.

    Constant memory. A byte order mark and blank lines are allowed.

    Args:
        param: `training_file` or `validation_file`.
        method: what is to be learnt from: chats, or pairs of answers.
        stopped: asked now and then; when it says True the check is given up and None returned.
    """
    check = check_preference if method == "dpo" else check_example
    kind = param.replace("_", " ")
    count = 0
    try:
        for count, line in enumerate(_lines(path), 1):
            if stopped():
                return None
            broken = _broken_rule(line, check)
            if broken is not None:
                place = f"Example {count}{', ' if broken.startswith('message ') else ': '}{broken}"
                message = f"The job failed due to an invalid {kind}. Invalid file format. {place}"
                return JobError(f"invalid_{param}", message, param)
    except FileNotFoundError:
        return JobError(f"invalid_{param}", was_deleted(param), param)
    if count < min_examples:
        message = f"{kind.capitalize()} has {count} example(s), but must have at least {min_examples} examples"
        return JobError("invalid_n_examples", message, param)
    return None


def was_deleted(param: str) -> str:
    """Say that a job's file is gone."""
    return f"The job failed because its {param.replace('_', ' ')} was deleted."


def _lines(path: Path) -> Iterator[bytes]:
    with reading(path) as file:
        for number, line in enumerate(file):
            if number == 0:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                yield line


def _broken_rule(line: bytes, check: Callable[[object], str | None]) -> str | None:
    try:
        example = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "not a line of JSON"
    return check(example)
