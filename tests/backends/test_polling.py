"""Waiting: patient, bounded, polite."""

import email.utils
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backends.polling import Pace, wait_until
from pipeline.errors import TryLater
from pipeline.network import Transient, retry_after
from tests.conftest import FakeClock

PACE = Pace(interval_s=5, max_interval_s=60, outage_s=3600, timeout_s=None)
GO_ON = "Go on with: finetune run x.yaml"


class Backend:
    """Answers from a list, then the last for ever; an exception is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.looks = 0

    def look(self) -> str:
        self.looks += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def wait(
    backend: Backend, clock: FakeClock, pace: Pace = PACE, jitter: float = 0.5, notes: list[str] | None = None
) -> str:
    complain = (notes if notes is not None else []).append
    return wait_until(
        "poll_job",
        backend.look,
        lambda seen: seen == "done",
        pace=pace,
        clock=clock,
        go_on=GO_ON,
        complain=complain,
        jitter=lambda: jitter,
    )


def test_a_finished_job_is_not_waited_for(clock: FakeClock) -> None:
    assert wait(Backend("done"), clock) == "done"
    assert clock.waits == []


def test_the_interval_grows_by_half_to_its_limit(clock: FakeClock) -> None:
    wait(Backend(*["running"] * 8, "done"), clock)
    assert clock.waits == pytest.approx([5, 7.5, 11.25, 16.875, 25.3125, 37.96875, 56.953125, 60])


@given(jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_moves_a_wait_by_a_fifth_at_most(jitter: float) -> None:
    clock = FakeClock()
    wait(Backend("running", "done"), clock, jitter=jitter)
    assert 4 <= clock.waits[0] <= 6


def test_a_job_of_a_hundred_hours_is_waited_for_with_few_requests(clock: FakeClock) -> None:
    class LongJob(Backend):
        def look(self) -> str:
            self.looks += 1
            return "done" if clock.elapsed > 1000 + 100 * 3600 else "running"

    backend = LongJob("running")
    wait(backend, clock)
    assert backend.looks < 100 * 60 + 20


def test_trouble_is_told_once_and_outlived(clock: FakeClock) -> None:
    notes: list[str] = []
    backend = Backend(*[Transient("the server answered 502")] * 5, "running", Transient("no route"), "done")
    assert wait(backend, clock, notes=notes) == "done"
    assert notes == ["the server answered 502; trying again", "no route; trying again"]


def test_trouble_that_lasts_is_told_again_ever_more_rarely(clock: FakeClock) -> None:
    notes: list[str] = []
    with pytest.raises(TryLater):
        wait(Backend(Transient("the server answered 507: its disk is full")), clock, notes=notes)
    first, *later = notes
    assert first == "the server answered 507: its disk is full; trying again"
    assert later[0] == "the server answered 507: its disk is full, for 1.1 min now; still trying"
    minutes = [float(note.partition(", for ")[2].partition(" min")[0]) for note in later]
    assert [2 ** int(math.log2(each)) for each in minutes] == [1, 2, 4, 8, 16, 32]


def test_retry_after_wins_over_the_interval(clock: FakeClock) -> None:
    wait(Backend(Transient("busy", retry_after_s=33), Transient("busy", retry_after_s=0), "done"), clock)
    assert clock.waits == [33, 1]


@pytest.mark.parametrize(
    ("backend", "pace", "message"),
    [
        (
            Backend(Transient("the server answered 503")),
            PACE,
            f"poll_job: no answer for 1 h (the server answered 503). {GO_ON}",
        ),
        (
            Backend(Transient("busy", retry_after_s=7200)),
            PACE,
            f"poll_job: the server asks to come back in 2 h (busy). {GO_ON}",
        ),
        (Backend("running"), Pace(5, 60, 3600, timeout_s=600), f"poll_job: not finished after 10 min. {GO_ON}"),
    ],
    ids=["outage", "far Retry-After", "timeout"],
)
def test_what_takes_too_long_ends_in_try_later(clock: FakeClock, backend: Backend, pace: Pace, message: str) -> None:
    with pytest.raises(TryLater) as caught:
        wait(backend, clock, pace)
    assert str(caught.value) == message


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": email.utils.formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": email.utils.formatdate(NOW - 90, usegmt=True)}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
