"""How long a model still answers, and what its answers cost: data with a date, and what the API says, which wins."""

import datetime
import functools
from collections.abc import Mapping
from typing import Any

AZURE = ".ft-"  # between base and hash in the names of Azure's tunes; OpenAI's begin with "ft:"
CHARACTERS_A_TOKEN = 4  # of English; a rough guide for estimates


def base_of(model: str) -> str:
    """The base model in a tuned model's name, `ft:BASE:ORG:SUFFIX:ID` or `BASE.ft-HASH`."""
    if model.startswith("ft:"):
        return model.split(":")[1]
    return model.partition(AZURE)[0]


def dark_on(model: str, told: object) -> tuple[datetime.date | None, str]:
    """The last day, and where that is from; None where nobody says.

    Args:
        told: `shutdown_date` of GET /models, YYYY-MM-DD.
    """
    if isinstance(told, str):
        try:
            return datetime.date.fromisoformat(told), "GET /models"
        except ValueError:
            pass
    table = _lifetimes()
    rows: Mapping[str, datetime.date] = table["azure" if AZURE in model else "openai"]
    base = base_of(model)
    known = max((name for name in rows if base.startswith(name)), key=len, default=None)
    return (None, "") if known is None else (rows[known], f"the table of {table['as_of']}")


def prices_of(model: str) -> tuple[float, float] | None:
    """US dollars per million tokens that a tune of OpenAI's reads and writes; None where they are not known here."""
    from pipeline.backends.cost import chat_prices
    from pipeline.config.settings import Config

    if AZURE in model:
        return None
    asked = {"name": "rescue", "backend": {"kind": "openai"}, "create_job": {"model": base_of(model)}}
    return chat_prices(Config.model_validate(asked))


def guessed_usd(model: str, size: int) -> float | None:
    """About what it costs to ask once all that a training file of `size` bytes asks; None without a price.

    A quarter of such a file is taken to be the answers.
    """
    prices = prices_of(model)
    if prices is None:
        return None
    tokens = size / CHARACTERS_A_TOKEN
    return (tokens * 0.75 * prices[0] + tokens * 0.25 * prices[1]) / 1e6


@functools.cache
def _lifetimes() -> dict[str, Any]:
    from importlib import resources

    import yaml

    text = resources.files("pipeline.rescue").joinpath("lifetimes.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found
