"""Replies with what came before them, out of the training and validation files.

Everything that was learnt or held out is read from the files that were sent, so that redaction and cleaning are as in
training. What the other people said is in the same files as the user's turns: their replies are these, with the roles
changed over.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.dataset.example import Example
from pipeline.durable import reading
from pipeline.models.messages import ChatMessage

MOST_TURNS = 6
"""Turns of context; what is further away is left out, for the time that it takes."""

MOST_CHARACTERS = 1500

_SPEAKER = re.compile(r"([^:\n]{1,60}): ")
_decoder = msgspec.json.Decoder(Example)


class Reply(msgspec.Struct, frozen=True):
    """Something that was said, and what it answers.

    Attributes:
        context: the system prompt if there is one, then turns, the last of them the user's.
        line: of the file, from 1.
    """

    context: tuple[ChatMessage, ...]
    text: str
    line: int = 0

    @property
    def bare(self) -> tuple[ChatMessage, ...]:
        """The context without a system prompt."""
        return tuple(message for message in self.context if message.role != "system")


def own_replies(path: Path, *, weights: bool) -> list[Reply]:
    """The person's replies in a file of examples, each of them once.

    Args:
        weights: turns that are only context have weight 0; else the last turn of an example alone is a target.
    """
    found = []
    for line, example in _examples(path):
        turns = example["messages"]
        targets = [n for n, turn in enumerate(turns) if turn["role"] == "assistant" and turn.get("weight", 1)]
        for at in targets if weights else targets[-1:]:
            before = [ChatMessage(turn["role"], turn["content"]) for turn in turns[:at]]
            found += _reply(before, turns[at]["content"], line)
    return found


def others_replies(path: Path, *, weights: bool, names: Collection[str]) -> list[Reply]:
    """What the other people replied to the person, the roles changed over.

    Args:
        weights: see `own_replies`.
        names: of people, which stand before each of their words in groups.
    """
    found = []
    for line, example in _examples(path):
        turns = example["messages"]
        system = [ChatMessage(turn["role"], turn["content"]) for turn in turns[:1] if turn["role"] == "system"]
        talk = [turn for turn in turns if turn["role"] != "system"]
        pairs = range(2, len(talk) - 1, 2) if weights else range(len(talk) - 2, len(talk) - 1)
        for at in pairs:
            if at < 2 or talk[at]["role"] != "user" or not talk[at + 1].get("weight", 1):
                continue
            before = [
                ChatMessage("user" if turn["role"] == "assistant" else "assistant", _unnamed(turn["content"], names))
                for turn in talk[1:at]
            ]
            found += _reply([*system, *before], _unnamed(talk[at]["content"], names), line)
    return found


def others_words(path: Path, *, weights: bool, names: Collection[str]) -> list[str]:
    """What the other people wrote, each turn once; of groups, each speaker's words by themselves."""
    found = []
    for _, example in _examples(path):
        turns = [turn for turn in example["messages"] if turn["role"] != "system"]
        pairs = list(zip(turns[::2], turns[1::2], strict=False))
        for others, own in pairs if weights else pairs[-1:]:
            if own.get("weight", 1):
                found += [words for words in _by_speaker(others["content"], names) if words.strip()]
    return found


def _examples(path: Path) -> Iterator[tuple[int, Example]]:
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _decoder.decode(line)


def _reply(before: Sequence[ChatMessage], text: str, line: int) -> list[Reply]:
    """None of what is empty, or answers nothing."""
    context = _shortened(before)
    is_answer = bool(context) and context[-1].role == "user"
    return [Reply(context, text, line)] if is_answer and text.strip() else []


def _shortened(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The system prompt and the last turns, beginning with the user's."""
    system = [message for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"][-MOST_TURNS:]
    while len(turns) > 1 and (turns[0].role != "user" or sum(len(turn.content) for turn in turns) > MOST_CHARACTERS):
        turns = turns[1:]
    if turns and len(turns[0].content) > MOST_CHARACTERS:
        turns = [ChatMessage(turns[0].role, turns[0].content[-MOST_CHARACTERS:]), *turns[1:]]
    while turns and turns[0].role != "user":
        turns = turns[1:]
    return (*system, *turns)


def _unnamed(text: str, names: Collection[str]) -> str:
    return "\n".join(_by_speaker(text, names))


def _by_speaker(text: str, names: Collection[str]) -> list[str]:
    """What each speaker in a group's turn says; all of it where no name stands before it."""
    found = _SPEAKER.match(text)
    if found is None or found[1] not in names:
        return [text]
    parts: list[str] = []
    for line in text.split("\n"):
        speaker = _SPEAKER.match(line)
        if speaker is not None and speaker[1] in names:
            parts.append(line[speaker.end() :])
        else:
            parts[-1] += f"\n{line}"
    return parts
