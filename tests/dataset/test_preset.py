"""What a config's keys become."""

import re

import pytest
from pydantic import ValidationError

from pipeline.backends.profiles import PROFILES
from pipeline.config.settings import Config
from pipeline.dataset.preset import inference_prompt, texting_of


def config(convert: dict[str, object], smoke: dict[str, object] | None = None) -> Config:
    return Config.model_validate({"name": "x", "convert": convert, **({"smoke_test": smoke} if smoke else {})})


def test_the_model_is_asked_with_the_prompt_of_its_training_unless_the_config_says_otherwise() -> None:
    assert inference_prompt(config({"preset": "texting"}), "You are me.") == "You are me."
    assert inference_prompt(config({"preset": "texting"}, {"system_prompt": None}), "You are me.") is None
    assert inference_prompt(config({}), "Ignored.") == "You are speaking to hare."


@pytest.mark.parametrize(("convert", "weights"), [({}, True), ({"weights": False}, False), ({"weights": True}, True)])
def test_the_backend_says_whether_it_understands_weights_unless_the_config_does(
    convert: dict[str, object], weights: bool
) -> None:
    made = texting_of(config({"preset": "texting", **convert}), weights=PROFILES["embedded"].weights)
    assert made.style.weights is weights


def test_hosts_not_known_to_understand_weights_get_none() -> None:
    assert {name for name, profile in PROFILES.items() if not profile.weights} == {"nebius", "compatible"}


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        ({"window_tokens": 100}, "`window_tokens` goes with `preset: texting` only"),
        (
            {"preset": "texting", "system_prompt": "You are {you}."},
            "`system_prompt`: braces hold {me}, {friend}, {platform} or {group}; double any others",
        ),
        (
            {"preset": "texting", "group_prompt": "In {group"},
            "`group_prompt`: braces hold {me}, {friend}, {platform} or {group}; double any others",
        ),
        *(
            (
                {"preset": "texting", "system_prompt": f"You are {field}."},
                "`system_prompt`: braces hold a name alone, such as {me}, and no format",
            )
            for field in ("{me:>999999999}", "{me!r}", "{me.__class__}", "{me[0]}", "{friend:{me}}", "{me:{me:>9}}")
        ),
    ],
)
def test_keys_that_would_do_nothing_or_cannot_be_filled_are_mistakes(convert: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        config(convert)
