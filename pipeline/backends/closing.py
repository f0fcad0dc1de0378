"""The days on which a provider stops: when it takes its last job, and when what was tuned on a model goes dark."""

import datetime
import functools
from typing import TYPE_CHECKING

from pipeline.backends.hosts import is_at
from pipeline.backends.profiles import PROFILES, profile_of
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.backends.probing import Learned
    from pipeline.config.settings import Config

SWITCH = "To train on this machine instead: --set backend.kind=embedded --set create_job.model=smollm2-135m-instruct"


def dark_on(config: "Config", learned: "Learned | None" = None) -> datetime.date | None:
    """The day on which the base model, and all that was tuned on it, stops answering; None where none is known.

    Args:
        learned: what the backend said itself; it knows better than the table that comes with finetune.
    """
    model = config.create_job.model
    told = learned.shutdown.get(model) if learned else None
    return told or _shutdowns().get(config.backend.kind, {}).get(model)


def applies(config: "Config") -> bool:
    """Whether the config means the provider itself, not a server that stands in its place."""
    profile = profile_of(config.backend)
    return is_at(profile.base_url or "", profile.hosts)


def warning(config: "Config", today: datetime.date, learned: "Learned | None" = None) -> str | None:
    """What ends when, in how many days, and the switch; None where nothing does."""
    if not applies(config):
        return None
    profile, dark = profile_of(config.backend), dark_on(config, learned)
    parts = []
    if profile.last_jobs is not None:
        parts.append(f"takes {_last(profile.last_jobs, today)}")
    if dark is not None:
        parts.append(f"switches off what is tuned on {config.create_job.model} {_on(dark, today)}")
    return f"WARNING: {profile.title} {' and '.join(parts)}. {SWITCH}" if parts else None


def refuse_new_jobs(config: "Config", today: datetime.date, learned: "Learned | None" = None) -> None:
    """See that a job can still be had, before anything is sent.

    Raises:
        InputError: the provider takes none any more, or not on this model.
    """
    if not applies(config):
        return
    profile, dark = profile_of(config.backend), dark_on(config, learned)
    if profile.last_jobs is not None and today > profile.last_jobs:
        raise InputError(
            "backend.kind",
            f"{profile.title} takes no new jobs since {profile.last_jobs}; nothing was sent",
            got=config.backend.kind,
            fix=f"{SWITCH}.",
        )
    if dark is not None and today >= dark:
        raise InputError(
            "create_job.model",
            f"{profile.title} has switched off this model and all that is tuned on it, on {dark}; nothing was sent",
            got=config.create_job.model,
            fix=f"Choose another (`finetune backends` lists them). {SWITCH}.",
        )


def days_left(kind: str, today: datetime.date) -> str | None:
    """What a kind of backend takes until when, with the switch; None where no end is known."""
    profile = PROFILES[kind]
    if profile.last_jobs is None:
        return None
    return f"WARNING: {profile.title} takes {_last(profile.last_jobs, today)}. {SWITCH}"


def models_of(kind: str) -> dict[str, datetime.date]:
    """The base models that a provider is known to switch off, and when."""
    return dict(_shutdowns().get(kind, {}))


def in_days(day: datetime.date, today: datetime.date) -> str:
    """Such as "in 39 days"; "today" and "over" as they are."""
    left = (day - today).days
    if left < 0:
        return "over"
    return "today" if left == 0 else f"in {left} day{'s' if left != 1 else ''}"


def _last(day: datetime.date, today: datetime.date) -> str:
    return f"no new jobs since {day}" if today > day else f"no new jobs after {day} ({in_days(day, today)})"


def _on(day: datetime.date, today: datetime.date) -> str:
    return f"since {day}" if today >= day else f"on {day} ({in_days(day, today)})"


@functools.cache
def _shutdowns() -> dict[str, dict[str, datetime.date]]:
    from importlib import resources

    import yaml

    found = yaml.safe_load(resources.files("pipeline.backends").joinpath("shutdowns.yaml").read_text(encoding="utf-8"))
    return {kind: days for kind, days in found.items() if isinstance(days, dict)}
