"""The notebook preset over a file: block by block, it is what each session makes by itself."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import notebook
from pipeline.dataset.example import Example
from pipeline.dataset.notebook import note_file, to_example, usable_ids
from pipeline.dataset.tokens import Role, token_counter
from pipeline.sessions import stream
from pipeline.sessions.session import Message, Session
from tests.sessions.files import write_sessions

TURNS = st.lists(
    st.tuples(st.sampled_from(["assistant", "user", None]), st.text(max_size=40), st.sampled_from([1, 1, 3])),
    min_size=1,
    max_size=30,
)


class Letters:
    """Counts letters, and nine for each role."""

    special: re.Pattern[str] | None = None

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    def frame(self, roles: tuple[Role, ...]) -> int:
        return 9 * len(roles)


def in_letters(example: Example) -> int:
    return sum(9 + len(turn["content"]) for turn in example["messages"])


def session(number: int, turns: list[tuple[str | None, str, int]]) -> Session:
    messages = []
    for role, content, merged in turns:
        message = Message("x", role == "assistant", None, content, role)  # type: ignore[arg-type]  # one of its literals
        message.merged = merged if merged > 1 else msgspec.UNSET
        messages.append(message)
    return Session(f"chat-{number}", "direct", None, messages)


def line(each: Session, prompt: str | None) -> bytes:
    example = to_example(each, prompt)
    return b"" if example is None else msgspec.json.encode(example) + b"\n"


@given(
    chats=st.lists(TURNS, min_size=1, max_size=6),
    prompt=st.none() | st.text(max_size=9),
    held=st.sets(st.integers(0, 5)),
    exact=st.booleans(),
    piece=st.integers(200, 900),
)
def test_a_files_examples_are_those_of_its_sessions(
    tmp_path_factory: pytest.TempPathFactory,
    chats: list[list[tuple[str | None, str, int]]],
    prompt: str | None,
    held: set[int],
    exact: bool,
    piece: int,
) -> None:
    folder = tmp_path_factory.mktemp("noting")
    sessions = [session(number, turns) for number, turns in enumerate(chats)]
    path = write_sessions(folder / "04", sessions)
    chosen = frozenset(f"chat-{number}" for number in held)
    train, valid = io.BytesIO(), io.BytesIO()
    before = stream.BLOCK, notebook.HELD
    stream.BLOCK = notebook.HELD = piece
    try:
        counting = Letters() if exact else None
        noted = note_file(path, train, valid, folder=folder, system_prompt=prompt, held_out=chosen, tokens=counting)
        ids = usable_ids(path)
    finally:
        stream.BLOCK, notebook.HELD = before
    usable = [each for each in sessions if to_example(each, prompt) is not None]
    kept = [each for each in usable if each.id not in chosen]
    assert ids == [each.id for each in usable]
    assert train.getvalue() == b"".join(line(each, prompt) for each in kept)
    assert valid.getvalue() == b"".join(line(each, prompt) for each in usable if each.id in chosen)
    examples = [example for each in kept if (example := to_example(each, prompt))]
    assert noted.tokens == [in_letters(each) if exact else token_counter("", "estimate")(each) for each in examples]
    assert (noted.held_out, noted.left_out) == (len(usable) - len(kept), len(sessions) - len(usable))
    for found, there in ((noted.train, kept), (noted.valid, [each for each in usable if each not in kept])):
        said = [message for each in there for message in each.messages]
        own = [message.merged or 1 for message in said if message.role == "assistant"]
        others = [message.merged or 1 for message in said if message.role != "assistant"]
        assert (found.target, found.target_merged) == (len(own), sum(own) - len(own))
        assert (found.context, found.context_merged) == (len(others), sum(others) - len(others))
    left = [message.merged or 1 for each in sessions if each not in usable for message in each.messages]
    assert noted.left_out_messages == sum(left)
    assert [each.name for each in folder.iterdir()] == ["04"]


def test_own_turns_beyond_what_the_trainer_takes_are_counted(tmp_path: Path) -> None:
    long = session(0, [("user", "a", 1), ("assistant", "b" * 10, 1), ("user", "c", 1), ("assistant", "d" * 10, 1)])
    short = session(1, [("user", "a", 1), ("assistant", "b", 1)])
    path = write_sessions(tmp_path / "04", [long, short])
    for most, told in ((58, (0, 0)), (57, (1, 1)), (30, (1, 1)), (29, (1, 1)), (28, (1, 2)), (None, (0, 0))):
        noted = note_file(path, io.BytesIO(), folder=tmp_path, tokens=Letters(), most_tokens=most)
        assert (most, noted.too_long, noted.beyond) == (most, *told)
