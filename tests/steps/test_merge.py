"""Step 3: how runs of one sender are joined follows from the preset, unless the config says it."""

from typing import Any

import pytest

from pipeline.sessions.session import Message, Session, read_sessions
from pipeline.steps import merge
from pipeline.steps.outputs import Load, Merge
from tests.sessions.files import write_sessions
from tests.steps.bench import Bench

SAID = [
    Message("Ann", False, "2023-01-02T10:00:00Z", "a"),
    Message("Ann", False, "2023-01-02T10:00:30Z", "b"),
    Message("Ann", False, "2023-01-02T15:00:00Z", "c"),
    Message("Bob", False, "2023-01-02T15:00:10Z", "d"),
]


def merged(bench: Bench, **sections: dict[str, Any]) -> tuple[Merge, list[str]]:
    path = write_sessions(bench.run_dir / "02_sessions.jsonl", [Session("s", "direct", None, SAID)])
    load = Load(bench.put(path.name, path.read_bytes()), 1, len(SAID), {})
    made = merge.run(bench.config(**sections), load, bench.work)
    bench.read(made.sessions)
    (session,) = read_sessions(bench.run_dir / made.sessions.path)
    return made, [message.content for message in session.messages]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, ["a\n\nb\n\nc", "d"]),
        ({"convert": {"preset": "texting"}}, ["a\nb", "c", "d"]),
        ({"merge": {"delimiter": ""}}, ["abc", "d"]),
        ({"merge": {"max_gap_s": 10}}, ["a", "b", "c", "d"]),
        ({"merge": {"delimiter": " / ", "max_gap_s": 86_400}, "convert": {"preset": "texting"}}, ["a / b / c", "d"]),
    ],
)
def test_messages_of_one_sender_are_joined_as_the_preset_or_the_config_says(
    bench: Bench, sections: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    made, contents = merged(bench, **sections)
    assert (contents, made.before, made.after) == (expected, 4, len(expected))
