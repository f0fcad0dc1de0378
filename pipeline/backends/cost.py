"""What a training would cost, and the limits that stop it before anything is sent."""

import dataclasses
import functools
from typing import Any

from pipeline.backends.profiles import profile_of
from pipeline.config.settings import Config
from pipeline.errors import InputError
from pipeline.wording import counted

AUTO_EPOCHS = 4
"""Epochs assumed for `auto`: the backend decides, and OpenAI takes three or four for small files."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """An estimate.

    Attributes:
        tokens: trained tokens, all epochs.
        usd: US dollars; 0 where training is free, None where the price is not known.
        assumed: what the estimate takes for granted, for a person.
    """

    tokens: int
    usd: float | None
    assumed: str

    def __str__(self) -> str:
        price = "a price that is not known here" if self.usd is None else f"about ${self.usd:,.2f}"
        return f"{price} for about {counted(self.tokens, 'token')} ({self.assumed})"


def estimate(config: Config, tokens: int) -> Cost:
    """What training on a file of `tokens` tokens costs, by the price list in prices.yaml."""
    epochs = config.create_job.hyperparameters.n_epochs
    if epochs == "auto":
        return _priced(config, tokens * AUTO_EPOCHS, [f"{AUTO_EPOCHS} epochs assumed"])
    return _priced(config, tokens * epochs, [counted(epochs, "epoch")])


def cost_of(config: Config, trained_tokens: int) -> Cost:
    """What a training has cost that took `trained_tokens` tokens, all epochs, as the backend counted them."""
    return _priced(config, trained_tokens, ["as trained"])


def _priced(config: Config, trained: int, assumed: list[str]) -> Cost:
    if profile_of(config.backend).free:
        return Cost(trained, 0.0, ", ".join(assumed))
    prices = _prices()
    price = prices.get(config.backend.kind, {}).get(config.create_job.model)
    if price is None:
        return Cost(trained, None, ", ".join(assumed))
    return Cost(
        trained, trained * price / 1e6, ", ".join([*assumed, f"prices of {price_dates(config.backend.kind)[0]}"])
    )


def chat_prices(config: Config) -> tuple[float, float] | None:
    """US dollars per million tokens that the tuned model reads and writes; None where they are not known here."""
    found = _chat_prices().get(config.backend.kind, {}).get(config.create_job.model)
    return None if found is None else (found[0], found[1])


def prices_of(kind: str) -> dict[str, tuple[float | None, float | None, float | None]]:
    """For each model whose price is known, US dollars per million tokens: trained, read, written."""
    training, talking = _prices().get(kind, {}), _chat_prices().get(kind, {})
    return {name: (training.get(name), *talking.get(name, (None, None))) for name in sorted({*training, *talking})}


def price_dates(kind: str) -> tuple[str, str]:
    """Of what day the prices of training and of talking are."""
    prices = _prices()
    return str(prices["dates"].get(kind, prices["date"])), str(_chat_prices()["date"])


def refuse_if_too_much(config: Config, tokens: int) -> None:
    """Hold `create_job.max_tokens` and `create_job.max_cost_usd`.

    Raises:
        InputError: the training would exceed one of them, or its price is not known and a limit is set.
    """
    cost, limits = estimate(config, tokens), config.create_job
    if limits.max_tokens is not None and cost.tokens > limits.max_tokens:
        raise InputError(
            "create_job.max_tokens",
            f"the training would take about {counted(cost.tokens, 'token')} ({cost.assumed}), more than allowed",
            got=f"{limits.max_tokens:,}",
            fix="Raise it, or train on less. Nothing was sent.",
        )
    if limits.max_cost_usd is not None and (cost.usd is None or cost.usd > limits.max_cost_usd):
        raise InputError(
            "create_job.max_cost_usd",
            f"the training would cost {cost}, more than allowed" if cost.usd else f"the training costs {cost}",
            got=f"${limits.max_cost_usd:,.2f}",
            fix="Raise it, or train on less. Nothing was sent."
            if cost.usd
            else "Set it to null to go on all the same.",
        )


@functools.cache
def _prices() -> dict[str, Any]:
    prices: dict[str, Any] = _read("prices.yaml")
    return prices


@functools.cache
def _chat_prices() -> dict[str, dict[str, list[float]]]:
    prices: dict[str, dict[str, list[float]]] = _read("chat_prices.yaml")
    return prices


def _read(name: str) -> Any:
    from importlib import resources

    import yaml

    return yaml.safe_load(resources.files("pipeline.backends").joinpath(name).read_text(encoding="utf-8"))
