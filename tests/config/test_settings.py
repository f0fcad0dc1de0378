"""The settings themselves: what goes with what, whatever order the keys stand in."""

import pytest
from pydantic import ValidationError

from pipeline.config.settings import Config, Convert

EITHER_PRESET = {"preset", "system_prompt", "validation_fraction", "min_examples", "tokens"}
OTHER_VALUES: dict[str, object] = {
    "system_prompt": "Hi.",
    "validation_fraction": 0.1,
    "min_examples": 3,
    "tokens": "exact",
    "group_prompt": "Hi, all.",
    "me": "Ann",
    "session_gap_s": 1.0,
    "window_tokens": 64,
    "context_turns": 1,
    "opening": None,
    "weights": True,
    "special_tokens": "drop",
    "same_target": 1,
    "short_characters": 1,
    "short_share": 0.5,
    "conversation_share": 0.1,
    "redact": ["phones"],
    "redact_words": ["Acme"],
    "region": "DE",
}


def refusal(**sections: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"name": "x", **sections})
    (error,) = caught.value.errors()
    return error["msg"]


def test_every_key_of_convert_goes_with_either_preset_or_is_named_as_one_of_textings() -> None:
    assert {*Convert.TEXTING} == Convert.model_fields.keys() - EITHER_PRESET
    assert OTHER_VALUES.keys() == Convert.model_fields.keys() - {"preset"}


@pytest.mark.parametrize("key", Convert.TEXTING)
def test_a_key_of_textings_is_refused_with_the_notebook_preset_by_its_name(key: str) -> None:
    assert Convert.model_fields[key].default != OTHER_VALUES[key]
    assert refusal(convert={key: OTHER_VALUES[key]}) == f"Value error, `{key}` goes with `preset: texting` only"
    config = Config.model_validate({"name": "x", "convert": {"preset": "texting", key: OTHER_VALUES[key]}})
    assert getattr(config.convert, key) == OTHER_VALUES[key]


@pytest.mark.parametrize("key", sorted(EITHER_PRESET - {"preset"}))
def test_other_keys_go_with_the_notebook_preset(key: str) -> None:
    config = Config.model_validate({"name": "x", "convert": {key: OTHER_VALUES[key]}})
    assert getattr(config.convert, key) == OTHER_VALUES[key]


def test_a_section_that_says_only_its_defaults_equals_one_left_out() -> None:
    assert Config.model_validate({"name": "x", "convert": {"redact": "auto"}}) == Config(name="x")


def test_settings_are_not_changed_once_they_are_read() -> None:
    config = Config(name="x")
    with pytest.raises(ValidationError):
        config.name = "y"  # type: ignore[misc]


def test_a_system_prompt_does_not_go_with_examples_that_stay_as_they_are() -> None:
    said = "Value error, `system_prompt` does not go with `preset: ready`, whose examples stay as they are"
    assert refusal(convert={"preset": "ready", "system_prompt": "x"}) == said
    assert refusal(convert={"preset": "ready", "me": "x"}) == "Value error, `me` goes with `preset: texting` only"
