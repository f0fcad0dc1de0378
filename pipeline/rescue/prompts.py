"""What a dying model is asked: held-out prompts first, then training prompts, stored ones, and the user's own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.durable import reading
from pipeline.errors import InputError
from pipeline.rescue.folders import STORED, TRAIN, VALID

_CARRIED = (
    "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "stop",
)  # fmt: skip
_NOT_ASKED = ("weight", "id")
"""Keys of a message that training and stored completions have, and requests have not."""


class Prompt(msgspec.Struct, frozen=True):
    """One thing to ask.

    Attributes:
        source: valid, train, stored or yours.
        line: of its file, from 1.
        messages: as the API takes them.
        more: tools and the like, which belong to the question.
        reference: what the assistant said there; None where that is no text, or nothing.
    """

    source: str
    line: int
    messages: list[dict[str, Any]]
    more: dict[str, Any] = {}
    reference: str | None = None

    @property
    def id(self) -> str:
        """By what is asked: the same question in two files is one."""
        asked = msgspec.json.encode([self.messages, self.more], order="sorted")
        return hashlib.sha256(asked).hexdigest()[:20]


def prompts(folder: Path, own: Path | None) -> list[Prompt]:
    """What a model's folder has to ask, each question once.

    Args:
        own: a file of the user's: a line each with `messages`, or with a text in quotes.

    Raises:
        InputError: a line of the user's file is no prompt.
    """
    found: dict[str, Prompt] = {}
    for source, name in (("valid", VALID), ("train", TRAIN), ("stored", STORED)):
        if (folder / name).is_file():
            for prompt in _of_file(folder / name, source, strict=False):
                found.setdefault(prompt.id, prompt)
    if own is not None:
        try:
            for prompt in _of_file(own, "yours", strict=True):
                found.setdefault(prompt.id, prompt)
        except OSError as error:
            raise InputError(f"--prompts {own}", f"cannot be read ({error.strerror})", fix="Name a file.") from None
    return list(found.values())


def _of_file(path: Path, source: str, *, strict: bool) -> Iterator[Prompt]:
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                row = None
            prompt = _prompt(row, source, number)
            if prompt is not None:
                yield prompt
            elif strict:
                raise InputError(
                    f"{path}:{number}",
                    "no prompt",
                    fix='Write {"messages": [{"role": "user", "content": "…"}]} on each line, or a text in quotes.',
                )


def _prompt(row: object, source: str, number: int) -> Prompt | None:
    """A line as something to ask, the assistant's last turn and what follows it cut; None if nothing is asked."""
    if isinstance(row, str) and row.strip():
        return Prompt(source, number, [{"role": "user", "content": row}])
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(messages, list) or not all(map(_is_message, messages)):
        return None
    own = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    # A stored completion's messages are what was asked; of the others the last answer is what would be given away.
    is_asked = source == "stored" or (source == "yours" and bool(messages) and messages[-1]["role"] != "assistant")
    cut = len(messages) if is_asked or not own else own[-1]
    asked = [_bare(message) for message in messages[:cut]]
    if not asked:
        return None
    said = _answer_of(row) if source == "stored" else messages[cut].get("content") if cut < len(messages) else None
    more = {name: row[name] for name in _CARRIED if row.get(name) is not None}
    return Prompt(source, number, asked, more, said if isinstance(said, str) else None)


def _is_message(message: object) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str)


def _bare(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _NOT_ASKED and value is not None}


def _answer_of(row: dict[str, Any]) -> object:
    try:
        return row["completion"]["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None
