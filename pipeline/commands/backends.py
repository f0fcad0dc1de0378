"""`finetune backends`: where a model can be trained: what each needs and lacks here, costs, and until when."""

import datetime
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pipeline.backends.closing import in_days, models_of
from pipeline.backends.cost import price_dates, prices_of
from pipeline.backends.hosting import ARM_TOKEN, FEES_OF, FEES_USD
from pipeline.backends.hosts import STRANGERS
from pipeline.backends.profiles import PROFILES, Profile
from pipeline.commands.context import say
from pipeline.commands.options import AsJson
from pipeline.errors import InputError
from pipeline.process.clock import SystemClock
from pipeline.terminal.style import Lines, Piece

Row = dict[str, Any]
_WIDTH = 10


def rows(environment: Mapping[str, str], today: datetime.date) -> Iterator[Row]:
    """One row a kind: what it needs, what of that is missing, prices with their dates, and the days left."""
    for kind, profile in PROFILES.items():
        models, ends = prices_of(kind), models_of(kind)
        yield {
            "kind": kind,
            "title": profile.title,
            "base_url": profile.base_url,
            "needs": _needs(kind, profile),
            "missing": _missing(kind, profile, environment),
            "models": [
                {
                    "model": name,
                    "training_usd": training,
                    "read_usd": read,
                    "written_usd": written,
                    "until": ends.get(name),
                    "days_left": _left(ends.get(name), today),
                }
                for name, (training, read, written) in models.items()
            ],
            "prices_of": price_dates(kind) if models else None,
            "last_jobs": profile.last_jobs,
            "days_left": _left(profile.last_jobs, today),
            "deploys": profile.deploys is not None,
            "usd_per_hour": dict(FEES_USD) if profile.deploys == "arm" else {},
            "usd_per_hour_of": FEES_OF if profile.deploys == "arm" else None,
            "weights": profile.adapters or None,
            "was_run": profile.was_run,
            "note": profile.note or None,
        }


def _left(day: datetime.date | None, today: datetime.date) -> int | None:
    return None if day is None else (day - today).days


def _needs(kind: str, profile: Profile) -> list[str]:
    needs = [] if profile.key_env is None else [profile.key_env]
    if profile.base_url is None and kind != "embedded":
        needs.append("backend.base_url")
    if profile.deploys == "arm":
        needs += ["deploy.resource", f"{ARM_TOKEN} or az"]
    return needs


def _missing(kind: str, profile: Profile, environment: Mapping[str, str]) -> list[str]:
    """What is not in the environment, or not installed; what a config has to say is no part of it."""
    if kind == "embedded":
        from pipeline.models.environment import require_libraries

        try:
            require_libraries()
        except InputError as error:
            return [error.what]
        return []
    return [profile.key_env] if profile.key_env and not environment.get(profile.key_env, "").strip() else []


def told(row: Row, today: datetime.date) -> Iterator[tuple[str, str]]:
    """The same for a person: a heading and a sentence each."""
    missing = f"; missing here: {', '.join(row['missing'])}" if row["missing"] else ""
    yield "needs", f"{', '.join(row['needs']) or 'nothing'}{missing}"
    if row["kind"] == "embedded":
        yield "costs", "nothing"
    elif not row["models"]:
        yield "costs", "what it costs is not known here"
    for each in row["models"]:
        gone = each["days_left"] is not None and each["days_left"] <= 0
        if not gone:
            yield "costs", _price(each, today)
    if any(each["read_usd"] is not None for each in row["models"]):
        yield (
            "",
            f"per million tokens, training by the prices of {row['prices_of'][0]}, talking of {row['prices_of'][1]}",
        )
    if row["usd_per_hour"]:
        fees = ", ".join(f"{sku} ${fee:.2f}" for sku, fee in row["usd_per_hour"].items())
        yield "deployed", f"an hour, used or not: {fees} (prices of {row['usd_per_hour_of']})"
    if row["last_jobs"] is not None:
        yield "ends", f"no new jobs after {row['last_jobs']} ({in_days(row['last_jobs'], today)})"
    if row["weights"]:
        yield "weights", row["weights"]
    if row["note"]:
        yield "note", row["note"]
    if not row["was_run"]:
        yield "tried", "never against the real service; written from what is documented of it"


def _price(each: Row, today: datetime.date) -> str:
    training = "not known" if each["training_usd"] is None else f"${each['training_usd']:.2f}"
    if each["read_usd"] is None:
        return f"{each['model']}: training {training} per million tokens, talking not known"
    talking = f"${each['read_usd']:.2f} read, ${each['written_usd']:.2f} written"
    until = "" if each["until"] is None else f"; until {each['until']} ({in_days(each['until'], today)})"
    return f"{each['model']}: training {training}, talking {talking}{until}"


def backends(as_json: AsJson = False) -> None:
    """List where a model can be trained: what each needs and lacks here, costs, and until when."""
    today, lines = SystemClock().now().date(), Lines(sys.stdout)
    for row in rows(os.environ, today):
        if as_json:
            say(msgspec.json.encode(row).decode())
            continue
        say(lines.line((f"{row['kind']:<{_WIDTH}}  ", "bold"), text=row["title"]))
        for head, text in told(row, today):
            label: Piece = (f"{'':<{_WIDTH}}  {head:<9} ", "dim")
            say(lines.line(label, text=text))
    if not as_json:
        names = ", ".join(stranger.title for stranger in STRANGERS)
        say(f"Not through OpenAI's fine-tuning API: {names}; their addresses are refused with what they do instead.")
