"""Training files: JSONL chat examples in OpenAI's format, read and checked. Torch-free."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.errors import InputError
from pipeline.training.protocol import ChatMessage

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


class _TextPart(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Turn(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart]
    weight: Literal[0, 1] | None = None


class _Line(msgspec.Struct):
    messages: list[_Turn]


_decoder = msgspec.json.Decoder(_Line)


def read_examples(path: Path, param: FileParam) -> Iterator[Example]:
    """Read one example a line; blank lines and a byte order mark are left out.

    `developer` is another word for `system` (OpenAI API reference).

    Raises:
        ExamplesError: a line is not a chat example, or holds what cannot be trained here (tool calls, images). The
            message counts examples and messages from 1.
    """
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        for number, line in enumerate((line for line in file if line.strip()), start=1):
            yield _example(line, number, param)


def _example(line: bytes, number: int, param: FileParam) -> Example:
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
        messages=tuple(ChatMessage("system" if t.role == "developer" else t.role, _text(t.content)) for t in turns),
        trained=tuple(t.role == "assistant" and t.weight != 0 for t in turns),
    )


def _text(content: str | list[_TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
