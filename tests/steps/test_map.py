"""Step 4: who becomes the assistant."""

from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session
from pipeline.steps import map as step
from pipeline.steps.outputs import Map, Merge
from tests.sessions.files import write_sessions
from tests.steps.bench import Bench

SAID = [("Ann", False), ("me", True), ("Bob", False), ("Ann", False)]


def mapped(bench: Bench, assistant: Any, said: list[tuple[str, bool]] = SAID) -> Map:
    messages = [Message(sender, own, f"2023-01-02T10:00:0{n}Z", "hello") for n, (sender, own) in enumerate(said)]
    path = write_sessions(bench.run_dir / "03_merged.jsonl", [Session("s", "group", None, messages)])
    merge = Merge(bench.put(path.name, path.read_bytes()), len(said), len(said))
    made = step.run(bench.config(map={"assistant": assistant}), merge, bench.work)
    bench.read(made.sessions)
    return made


@pytest.mark.parametrize(("assistant", "own"), [("me", 1), ("Ann", 2), (["Ann", "Bob"], 3)])
def test_the_chosen_are_the_assistant_and_everybody_else_the_user(bench: Bench, assistant: Any, own: int) -> None:
    made = mapped(bench, assistant)
    assert (made.assistant, made.user) == (own, 4 - own)


def test_nobody_of_that_name_is_refused_with_those_who_speak(bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        mapped(bench, ["Ann", "Snail"])
    assert str(caught.value) == (
        "map.assistant: no such sender, got Snail. Choose one of the senders found: Ann (2), me (1), Bob (1)."
    )
    assert not (bench.run_dir / "04_mapped.jsonl").exists()
