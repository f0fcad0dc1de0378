"""Replies come out of the files that were sent, each once, with what they answer; the others' with roles changed."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.evaluation.replies import MOST_CHARACTERS, MOST_TURNS, others_replies, others_words, own_replies
from pipeline.models.messages import ChatMessage

SYSTEM = ("system", "You are Theo.")


def file_of(folder: Path, *talks: Sequence[tuple[str, str] | tuple[str, str, int]]) -> Path:
    lines = []
    for talk in talks:
        turns = [dict(zip(("role", "content", "weight"), turn, strict=False)) for turn in talk]
        lines.append(json.dumps({"messages": turns}))
    path = folder / "train.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_own_replies_are_the_targets_with_what_came_before(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        [SYSTEM, ("user", "a?"), ("assistant", "b", 0), ("user", "c?"), ("assistant", "d")],
        [("assistant", "nobody asked"), ("user", "e?"), ("assistant", " "), ("user", "f?"), ("assistant", "g")],
    )
    first, second = own_replies(path, weights=True)
    assert (first.text, first.line, second.text, second.line) == ("d", 1, "g", 2)
    assert [message.content for message in first.context] == ["You are Theo.", "a?", "b", "c?"]
    assert [message.content for message in first.bare] == ["a?", "b", "c?"]
    assert second.context[-1] == ChatMessage("user", "f?")


def test_without_weights_the_last_turn_alone_is_a_target(tmp_path: Path) -> None:
    path = file_of(tmp_path, [("user", "a?"), ("assistant", "b"), ("user", "c?"), ("assistant", "d")])
    assert [reply.text for reply in own_replies(path, weights=False)] == ["d"]
    assert others_words(path, weights=False, names=()) == ["c?"]


def test_the_others_replies_answer_the_person(tmp_path: Path) -> None:
    talk: list[tuple[str, str] | tuple[str, str, int]] = [
        SYSTEM,
        ("user", "a?"),
        ("assistant", "b"),
        ("user", "c?"),
        ("assistant", "d"),
        ("user", "e"),
        ("assistant", "f"),
    ]
    path = file_of(tmp_path, talk)
    found = others_replies(path, weights=True, names=())
    assert [reply.text for reply in found] == ["c?", "e"]
    assert found[1].context == (
        ChatMessage("system", "You are Theo."),
        ChatMessage("user", "b"),
        ChatMessage("assistant", "c?"),
        ChatMessage("user", "d"),
    )


def test_in_a_group_the_names_before_words_are_no_words_of_theirs(tmp_path: Path) -> None:
    said = "Ann: hi all\nand more\nBob: Re: yes\nnote: milk"
    path = file_of(tmp_path, [("user", said), ("assistant", "b"), ("user", "Ann: c"), ("assistant", "d")])
    assert others_words(path, weights=True, names={"Ann", "Bob"}) == ["hi all\nand more", "Re: yes\nnote: milk", "c"]
    assert [reply.text for reply in others_replies(path, weights=True, names={"Ann"})] == ["c"]


@pytest.mark.parametrize("long", [5, MOST_CHARACTERS])
def test_a_long_context_is_cut_and_begins_with_the_others(tmp_path: Path, long: int) -> None:
    turns = [(role, f"{n}" * long) for n in range(9) for role in ("user", "assistant")]
    path = file_of(tmp_path, [SYSTEM, *turns])
    last = own_replies(path, weights=True)[-1]
    assert last.context[0].role == "system"
    assert last.bare[0].role == "user"
    assert last.context[-1].content == "8" * long
    assert len(last.bare) <= MOST_TURNS
    assert sum(len(message.content) for message in last.bare) <= MOST_CHARACTERS
