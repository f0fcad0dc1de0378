"""Training files: JSONL chat examples in OpenAI's format, read and checked. Torch-free."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.models.messages import ChatMessage

FileParam = Literal["training_file", "validation_file"]


class ExamplesError(InputError):
    """A training or validation file that no trainer can use; becomes the job's `error` in OpenAI's terms.

    Args:
        param: which of the job's two files it is.
    """

    def __init__(self, param: FileParam, where: str, what: str, *, fix: str) -> None:
        super().__init__(where, what, fix=fix)
        self.param = param


class Example(msgspec.Struct, frozen=True):
    """One conversation to learn from.

    Attributes:
        messages: as the chat template sees them.
        trained: for each message, whether its content is a target: an assistant turn whose weight is not 0.
    """

    messages: tuple[ChatMessage, ...]
    trained: tuple[bool, ...]


class Preference(msgspec.Struct, frozen=True):
    """Two answers to one conversation: the one to prefer and the other."""

    prompt: tuple[ChatMessage, ...]
    preferred: ChatMessage
    other: ChatMessage


class _TextPart(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Turn(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart]
    weight: Literal[0, 1] | None = None


class _Line(msgspec.Struct):
    messages: list[_Turn]


class _Input(msgspec.Struct):
    messages: Annotated[list[_Turn], msgspec.Meta(min_length=1)]


class _Answer(msgspec.Struct):
    role: Literal["assistant"]
    content: str | list[_TextPart]


_Answers = Annotated[list[_Answer], msgspec.Meta(min_length=1, max_length=1)]


class _Pair(msgspec.Struct):
    input: _Input
    preferred_output: _Answers
    non_preferred_output: _Answers


_decoder = msgspec.json.Decoder(_Line)
_pair_decoder = msgspec.json.Decoder(_Pair)


def read_examples(path: Path, param: FileParam) -> Iterator[Example]:
    """Read one example a line; blank lines and a byte order mark are left out.

    `developer` is another word for `system` (OpenAI API reference).

    Raises:
        ExamplesError: a line is not a chat example, or holds what cannot be trained here (tool calls, images). The
            message counts examples and messages from 1.
    """
    for number, line in _lines(path):
        yield parse_example(line, number, param)


def read_preferences(path: Path, param: FileParam) -> Iterator[Preference]:
    """Read one pair of answers a line, as OpenAI's guide to direct preference optimisation writes them.

    Raises:
        ExamplesError: as `read_examples`.
    """
    fix = 'Write {"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}, text only.'
    for number, line in _lines(path):
        try:
            pair = _pair_decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ExamplesError(param, f"Example {number}", str(error), fix=fix) from None
        preferred, other = (
            ChatMessage("assistant", _text(answers[0].content))
            for answers in (pair.preferred_output, pair.non_preferred_output)
        )
        yield Preference(tuple(_message(turn) for turn in pair.input.messages), preferred, other)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with reading(path) as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield from enumerate((line for line in file if line.strip()), start=1)


def parse_example(line: bytes, number: int, param: FileParam) -> Example:
    """One line.

    Raises:
        ExamplesError: as `read_examples`.
    """
    fix = 'Write {"messages": [{"role": ..., "content": ...}, ...]} with text only, one example a line.'
    try:
        turns = _decoder.decode(line).messages
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExamplesError(param, f"Example {number}", str(error), fix=fix) from None
    for position, turn in enumerate(turns, start=1):
        if turn.weight is not None and turn.role != "assistant":
            what = f"`weight` on a message of role {turn.role}"
            raise ExamplesError(
                param, f"Example {number}, message {position}", what, fix="Only assistant messages have a weight."
            )
    if not any(turn.role == "assistant" for turn in turns):
        raise ExamplesError(
            param, f"Example {number}", "no message from the assistant", fix="Add one, or leave it out."
        )
    return Example(
        messages=tuple(map(_message, turns)),
        trained=tuple(t.role == "assistant" and t.weight != 0 for t in turns),
    )


def _message(turn: _Turn) -> ChatMessage:
    return ChatMessage("system" if turn.role == "developer" else turn.role, _text(turn.content))


def _text(content: str | list[_TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
