"""The days on which OpenAI stops are told with the days left, and after them nothing is sent in vain."""

import datetime
from pathlib import Path

import pytest

from pipeline.backends.closing import days_left, refuse_new_jobs, warning
from pipeline.backends.probing import Learned
from pipeline.commands.doctor import _closing
from pipeline.config.settings import Config
from pipeline.errors import InputError

MINI = "gpt-4.1-mini-2025-04-14"
SWITCH = "To train on this machine instead: --set backend.kind=embedded --set create_job.model=smollm2-135m-instruct"


def config(kind: str = "openai", model: str = MINI, base_url: str | None = None) -> Config:
    backend = {"kind": kind, "base_url": base_url}
    return Config.model_validate({"name": "x", "backend": backend, "create_job": {"model": model}})


def day(month: int, number: int, year: int = 2026) -> datetime.date:
    return datetime.date(year, month, number)


@pytest.mark.parametrize(
    ("today", "jobs", "dark"),
    [
        (day(11, 28), "no new jobs after 2027-01-06 (in 39 days)", "on 2027-01-14 (in 47 days)"),
        (day(1, 5, 2027), "no new jobs after 2027-01-06 (in 1 day)", "on 2027-01-14 (in 9 days)"),
        (day(1, 6, 2027), "no new jobs after 2027-01-06 (today)", "on 2027-01-14 (in 8 days)"),
        (day(1, 7, 2027), "no new jobs since 2027-01-06", "on 2027-01-14 (in 7 days)"),
        (day(1, 14, 2027), "no new jobs since 2027-01-06", "since 2027-01-14"),
    ],
)
def test_the_days_left_are_told_with_the_switch(today: datetime.date, jobs: str, dark: str) -> None:
    assert warning(config(), today) == (
        f"WARNING: OpenAI takes {jobs} and switches off what is tuned on {MINI} {dark}. {SWITCH}"
    )


def test_a_new_job_is_refused_from_the_day_after_the_last(tmp_path: Path) -> None:
    refuse_new_jobs(config(), day(1, 6, 2027))
    with pytest.raises(InputError) as refused:
        refuse_new_jobs(config(), day(1, 7, 2027))
    assert str(refused.value) == (
        f"backend.kind: OpenAI takes no new jobs since 2027-01-06; nothing was sent, got openai. {SWITCH}."
    )


def test_a_model_that_is_dark_already_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        refuse_new_jobs(config(model="gpt-4.1-nano-2025-04-14"), day(11, 28))
    assert str(refused.value) == (
        "create_job.model: OpenAI has switched off this model and all that is tuned on it, on 2026-10-23; nothing was "
        f"sent, got gpt-4.1-nano-2025-04-14. Choose another (`finetune backends` lists them). {SWITCH}."
    )


def test_what_the_backend_said_itself_wins_over_the_table() -> None:
    learned = Learned("2026-11-28T09:00:00Z", "api.openai.com", {}, shutdown={MINI: day(12, 24)})
    assert "on 2026-12-24 (in 26 days)" in (warning(config(), day(11, 28), learned) or "")
    with pytest.raises(InputError, match="on 2026-12-24; nothing was sent"):
        refuse_new_jobs(config(), day(12, 24), learned)


@pytest.mark.parametrize(
    "elsewhere",
    [config(base_url="https://gateway.example.com/v1"), config("nebius"), config("embedded", "smollm2-135m-instruct")],
)
def test_other_servers_have_other_days(elsewhere: Config) -> None:
    assert warning(elsewhere, day(1, 7, 2027)) is None
    refuse_new_jobs(elsewhere, day(1, 7, 2027))


def test_doctor_warns_before_and_fails_after() -> None:
    (before,) = _closing(config(), day(1, 6, 2027))
    assert (before.level, before.fix) == ("warn", f"{SWITCH}.")
    (after,) = _closing(config(), day(1, 7, 2027))
    assert (after.level, after.said) == ("fail", "OpenAI takes no new jobs since 2027-01-06; nothing was sent")


def test_init_tells_the_days_left_of_openai_alone() -> None:
    assert days_left("openai", day(11, 28)) == (
        f"WARNING: OpenAI takes no new jobs after 2027-01-06 (in 39 days). {SWITCH}"
    )
    assert days_left("azure", day(11, 28)) is None
