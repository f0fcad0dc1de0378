"""The parts of a report: people, lengths, curves, the config."""

import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.settings import Config
from pipeline.dataset.funnel import Funnel
from pipeline.report import people
from pipeline.report.contents import accounted
from pipeline.report.curves import Checkpoint, Event, read_metrics, smoothed, thinned, trace
from pipeline.report.examples import BINS, histogram
from pipeline.report.origin import as_yaml, model_label
from pipeline.server.storage.history import read_history
from pipeline.sessions.session import Message, Session


def session(*said: tuple[str, str | None]) -> Session:
    return Session("s", "direct", None, [Message(sender, sender == "me", time, "hello") for sender, time in said])


def test_people_without_names_are_called_by_their_part_the_most_talkative_first() -> None:
    said = session(("Ann", None), ("Bob", None), ("Bob", None), ("me", None), ("Cy", None), ("Di", None), ("Di", None))
    found = people.describe([said], ["Ann", "Di"], with_names=False)
    assert [(each.label, each.messages) for each in found.people] == [
        ("the assistant (1)", 2),
        ("the assistant (2)", 1),
        ("person 1", 2),
        ("person 2", 1),
        ("the archive's owner", 1),
    ]
    assert (found.first, found.periods) == (None, [])


def test_of_many_people_the_talkative_are_listed_and_the_others_counted() -> None:
    said = session(*[(f"p{n:02}", None) for n in range(30) for _ in range(n + 1)])
    found = people.describe([said], "p29", with_names=False)
    assert len(found.people) == people.LISTED
    assert (found.others, found.other_messages + sum(each.messages for each in found.people)) == (18, found.messages)


@pytest.mark.parametrize(
    ("last", "unit", "count", "ends"),
    [
        ("2021-01-31", "day", 1, ("2021-01-31", "2021-01-31")),
        ("2021-03-02", "day", 31, ("2021-01-31", "2021-03-02")),
        ("2022-02-01", "month", 14, ("2021-01", "2022-02")),
        ("2031-01-01", "year", 11, ("2021", "2031")),
    ],
)
def test_time_is_cut_into_days_months_or_years_without_gaps(
    last: str, unit: str, count: int, ends: tuple[str, str]
) -> None:
    said = session(("Ann", "2021-01-31T10:00:00Z"), ("Bob", f"{last}T23:59:59Z"))
    found = people.describe([said], "Ann", with_names=True)
    assert (found.unit, len(found.periods)) == (unit, count)
    assert (found.periods[0][0], found.periods[-1][0]) == ends
    assert (sum(own for _, own, _ in found.periods), sum(other for _, _, other in found.periods)) == (1, 1)


def test_every_message_is_accounted_for_where_convert_says_so() -> None:
    rows = list(accounted(Funnel(20, 5, 2, 6, 0, 3, 1, {"very short": 1}, {"no text": 1, "never answered": 3})))
    assert [(row.count, row.what) for row in rows] == [
        (20, "messages in the archive"),
        (5, "targets: each begins a reply that is learnt"),
        (2, "merged into a target: the rest of such a reply"),
        (6, "context: each begins what is read, not learnt"),
        (3, "held out for validation, 1 of them targets"),
        (1, "of context and held out, the assistant's own and not learnt: very short"),
        (3, "left out: never answered"),
        (1, "left out: no text"),
    ]
    assert sum(row.count for row in rows[1:] if not row.is_part) == rows[0].count
    assert list(accounted(None)) == []


lengths = st.lists(st.integers(0, 10**6), min_size=1, max_size=60)


@given(train=lengths, valid=st.just([]) | lengths)
def test_every_example_is_in_one_bar(train: list[int], valid: list[int]) -> None:
    bins = histogram(train, valid)
    assert len(bins) <= BINS + 2
    assert (sum(each.train for each in bins), sum(each.valid for each in bins)) == (len(train), len(valid))
    assert bins[0].low <= min(train + valid)
    for before, after in itertools.pairwise(bins):
        assert before.high is not None
        assert after.low == before.high + 1
    assert bins[-1].high is None or bins[-1].high >= max(train + valid)


def test_a_long_tail_shares_the_last_bar() -> None:
    bins = histogram([*range(100, 200), 9000], [])
    assert (bins[-1].label, bins[-1].train) == ("200 and more", 1)


points = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300).map(lambda values: list(enumerate(values, start=1)))


@given(points=points, most=st.integers(1, 50))
def test_thinning_and_smoothing_stay_within_what_was_measured(points: list[tuple[int, float]], most: int) -> None:
    thin, smooth = thinned(points, most), smoothed(points)
    assert len(thin) == min(len(points), most)
    assert thin[-1][0] == points[-1][0]
    assert [step for step, _ in smooth] == [step for step, _ in points]
    low, high = min(value for _, value in points), max(value for _, value in points)
    assert all(low - 1e-6 <= value <= high + 1e-6 for _, value in [*thin, *smooth])


def test_result_files_and_events_speak_of_the_same_steps_by_other_names() -> None:
    metrics = [{"step": "1", "train_loss": "2.5", "train_accuracy": "", "valid_loss": "nan"}]
    told: dict[str, object] = {
        "step": 1,
        "train_loss": 9.0,
        "train_mean_token_accuracy": 0.25,
        "total_steps": 7,
        "learning_rate": 0.1,
    }
    events = [
        Event("Step 1/7: training loss=9.00", type="metrics", data=told),
        Event("Checkpoint created at step 1 with Snapshot ID: ft:m:ckpt-step-1"),
        Event("2 of 9 examples were cut to the 2,048 tokens that the trainer takes", level="warn"),
    ]
    found = trace(metrics, events)
    assert found is not None
    assert (found.train_loss, found.train_accuracy, found.valid_loss) == ([(1, 2.5)], [(1, 0.25)], [])
    assert (found.learning_rate, found.total_steps) == ([(1, 0.1)], 7)
    assert found.checkpoints == [Checkpoint(1, "ft:m:ckpt-step-1")]
    assert found.warnings == ["2 of 9 examples were cut to the 2,048 tokens that the trainer takes"]
    assert found.columns == [
        ("training loss", "train_loss"), ("training accuracy", "train_accuracy"), ("learning rate", "learning_rate"),
    ]  # fmt: skip


def test_a_result_file_that_is_none_holds_no_steps(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"c3RlcCx0cmFpbl9sb3Nz\xff\n1,2\n")
    assert read_metrics(path) == []
    assert trace([], [Event("Fine-tuning job started")]) is None


def test_a_store_that_is_not_there_has_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path, "ftjob-1") is None


def test_of_the_config_only_numbers_choices_and_harmless_keys_are_shown_without_text() -> None:
    config = Config.model_validate(
        {
            "name": "mine",
            "backend": {"kind": "compatible", "base_url": "https://example.org/secret/v1"},
            "download": {"source": "/Users/secret/chat.db"},
            "map": {"assistant": ["secret", "secret too"]},
            "convert": {"system_prompt": "secret", "validation_fraction": 0.1},
            "create_job": {"model": "/models/secret/little", "metadata": {"secret": "secret"}, "suffix": "mine"},
            "smoke_test": {"prompts": ["secret"], "system_prompt": None},
        }
    )
    shown = as_yaml(config, with_text=False)
    assert "secret" not in shown
    assert shown == (
        "name: mine\n"
        "backend:\n  kind: compatible\n  base_url: https://example.org/…\n"
        "download:\n  source: (withheld)\n"
        "map:\n  assistant: '(withheld: 2)'\n"
        "convert:\n  system_prompt: (withheld)\n  validation_fraction: 0.1\n"
        "create_job:\n  model: little\n  suffix: mine\n  metadata: (withheld)\n"
        "smoke_test:\n  system_prompt: null\n  prompts: '(withheld: 1)'\n"
    )
    assert "source: /Users/secret/chat.db" in as_yaml(config, with_text=True)
    assert "secret/v1" not in as_yaml(config, with_text=True)


def test_a_model_in_a_folder_is_called_by_its_last_part() -> None:
    assert [model_label(each) for each in ("gpt-4o", "~/models/mine", "./mine")] == ["gpt-4o", "mine", "mine"]


def test_an_event_of_another_server_is_read_for_what_it_holds() -> None:
    assert msgspec.json.decode(b'{"message": "hi", "extra": 1}', type=Event) == Event("hi")
