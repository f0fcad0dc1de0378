"""Whether a job's files can be trained on: what OpenAI checks between `validating_files` and `queued`."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.dataset.checks import check_example, check_preference
from pipeline.durable import reading
from pipeline.server.http.bounds import excess
from pipeline.server.responses import JobError, MethodName

# Our own limits. OpenAI cuts an example at 65,536 tokens or more, by model, which is about 300 kB of text.
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_LINE_VALUES = 250_000  # more than 80,000 messages
_SHORT_BYTES = 64 * 1024  # a line that cannot hold enough values to be worth counting them
MAX_BLANK_LINES = 1_000_000  # an upload may hold five hundred times as many, and other jobs wait for this check
MIN_EXAMPLES = 10  # OpenAI's fine-tuning guide; live message of code invalid_n_examples


def check_training_file(
    path: Path, param: str, min_examples: int, method: MethodName, stopped: Callable[[], bool]
) -> JobError | None:
    """Check the examples of one JSONL file; returns what is wrong with it, in the live API's words.

    Constant memory. A byte order mark and MAX_BLANK_LINES blank lines are allowed.

    Args:
        param: `training_file` or `validation_file`.
        method: what is to be learnt from: chats, or pairs of answers.
        stopped: asked now and then; when it says True the check is given up and None returned.
    """
    check = check_preference if method == "dpo" else check_example
    kind = param.replace("_", " ")
    count = blank = 0
    try:
        for line in _lines(path):
            if stopped():
                return None
            if not line:
                blank += 1
                if blank > MAX_BLANK_LINES:
                    what = f"More than {MAX_BLANK_LINES} of its lines are blank"
                    message = f"The job failed due to an invalid {kind}. Invalid file format. {what}"
                    return JobError(f"invalid_{param}", message, param)
                continue
            count += 1
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
    """Each line, empty if it is blank; of one that is too long only so much as shows that it is."""
    with reading(path) as file:
        beginning = codecs.BOM_UTF8
        while line := file.readline(MAX_LINE_BYTES + 1):
            line = line.removeprefix(beginning)
            beginning = b""
            yield line if line.strip() else b""


def _broken_rule(line: bytes, check: Callable[[object], str | None]) -> str | None:
    if len(line) > MAX_LINE_BYTES:
        return f"a line of more than {MAX_LINE_BYTES} bytes"
    try:
        if len(line) > _SHORT_BYTES and (too_much := excess(line.decode(), MAX_LINE_VALUES)):
            return f"a line of JSON that {too_much}"
        example = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "not a line of JSON"
    return check(example)
