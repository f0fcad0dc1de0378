"""What a training would cost, and that a limit stops it before anything is sent."""

import pytest

from pipeline.backends.cost import estimate, refuse_if_too_much
from pipeline.config.settings import Config
from pipeline.errors import InputError

NANO = "gpt-4.1-nano-2025-04-14"


def config(kind: str, model: str, **job: object) -> Config:
    return Config.model_validate({"name": "x", "backend": {"kind": kind}, "create_job": {"model": model, **job}})


def test_training_here_is_free_and_elsewhere_by_the_list() -> None:
    assert estimate(config("embedded", "smollm2-135m-instruct"), 1_000_000).usd == 0
    cost = estimate(config("openai", NANO, hyperparameters={"n_epochs": 2}), 1_000_000)
    assert (cost.tokens, cost.usd) == (2_000_000, 3.0)
    assert str(cost) == "about $3.00 for about 2,000,000 tokens (2 epochs, prices of 2025-07-01)"
    unknown = estimate(config("openai", "gpt-9"), 1000)
    assert str(unknown) == "a price that is not known here for about 4,000 tokens (4 epochs assumed)"


@pytest.mark.parametrize(
    ("model", "limits", "message"),
    [
        (
            NANO,
            {"max_tokens": 100},
            "create_job.max_tokens: the training would take about 4,000 tokens (4 epochs assumed, prices of "
            "2025-07-01), more than allowed, got 100. Raise it, or train on less. Nothing was sent.",
        ),
        (
            NANO,
            {"max_cost_usd": 0.001},
            "create_job.max_cost_usd: the training would cost about $0.01 for about 4,000 tokens (4 epochs assumed, "
            "prices of 2025-07-01), more than allowed, got $0.00. Raise it, or train on less. Nothing was sent.",
        ),
        (
            "gpt-9",
            {"max_cost_usd": 5},
            "create_job.max_cost_usd: the training costs a price that is not known here for about 4,000 tokens "
            "(4 epochs assumed), got $5.00. Set it to null to go on all the same.",
        ),
    ],
)
def test_a_limit_refuses_with_the_numbers(model: str, limits: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_if_too_much(config("openai", model, **limits), 1000)
    assert str(caught.value) == message


def test_within_its_limits_a_training_goes_on() -> None:
    refuse_if_too_much(config("openai", NANO, max_tokens=4000, max_cost_usd=1), 1000)
    refuse_if_too_much(config("embedded", "smollm2-135m-instruct", max_cost_usd=0), 10**9)
