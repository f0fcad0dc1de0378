from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archives import gathered as module
from pipeline.archives.gathered import Gathered
from pipeline.archives.told import TWICE, Told
from pipeline.sessions.session import Message


def message(time: str | None, content: str, *, is_me: bool = False) -> Message:
    return Message("me" if is_me else "Ann", is_me, time, content)


def told() -> Told:
    return Told(Counter(), Counter(), None)


def said(gathered: Gathered, key: str) -> list[str]:
    return [each.content for block in gathered.blocks(key) for each in block]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.none(), st.integers(0, 9)))),
    held=st.sampled_from([0, 900, 10**9]),
)
def test_each_conversation_comes_out_in_order_of_time_however_much_is_held(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int | None]], held: int
) -> None:
    path = tmp_path_factory.mktemp("gathered") / "archive"
    expected: dict[str, list[tuple[str, str]]] = {}
    times: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch, Gathered(path, told()) as gathered:
        patch.setattr(module, "HELD", held)
        for number, (key, second) in enumerate(rows):
            time = None if second is None else f"2023-08-28T00:00:0{second}Z"
            times[key] = time or times.get(key, "")
            expected.setdefault(key, []).append((times[key], str(number)))
            gathered.add(key, message(time, str(number)))
        assert list(gathered) == list(expected)
        for key, each in expected.items():
            ordered = said(gathered, key)
            assert Counter(ordered) == Counter(content for _, content in each)
            when = {content: time for time, content in each}
            found = [when[content] for content in ordered]
            assert found == sorted(found)
    assert list(path.parent.iterdir()) == []


def test_newest_first_is_turned_round_also_within_a_second(tmp_path: Path) -> None:
    with Gathered(tmp_path / "x", told()) as gathered:
        for second, content in ((2, "d"), (1, "c"), (1, "b"), (0, "a")):
            gathered.add("", message(f"2023-08-28T00:00:0{second}Z", content))
        assert said(gathered, "") == ["a", "b", "c", "d"]


def test_what_is_in_order_is_kept_as_it_stands_also_within_a_second(tmp_path: Path) -> None:
    with Gathered(tmp_path / "x", told()) as gathered:
        for content in "abc":
            gathered.add("", message("2023-08-28T00:00:00Z", content))
        assert said(gathered, "") == ["a", "b", "c"]


def test_the_same_words_of_one_person_in_one_second_count_once_where_that_is_asked_for(tmp_path: Path) -> None:
    each = told()
    with Gathered(tmp_path / "x", each, once=True) as gathered:
        for time in ("00", "00", "01", None, None):
            gathered.add("", message(time and f"2023-08-28T00:00:{time}Z", "ok"))
        gathered.add("", message("2023-08-28T00:00:00Z", "ok", is_me=True))
        assert said(gathered, "") == ["ok"] * 5
    assert each.dropped == {TWICE: 1}


def test_half_characters_that_are_put_away_become_question_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD", 0)
    with Gathered(tmp_path / "x", told()) as gathered:
        gathered.add("", message(None, "a\ud83d"))
        gathered.add("", message(None, "b"))
        assert said(gathered, "") == ["a?", "b"]


def test_a_folder_that_may_not_be_written_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(module, "HELD", 0)
    with Gathered(tmp_path / "none" / "x", told()) as gathered:
        gathered.add("", message(None, "a" * (2 << 20)))
        gathered.add("", message(None, "b"))
        assert [len(each) for each in said(gathered, "")] == [2 << 20, 1]
