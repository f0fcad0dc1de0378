import json
import re
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models.tokenizer_files import load_template, special_words

TEMPLATE = "{% for m in messages %}{{ bos_token }}{{ m['content'] }}<|im_end|>{% endfor %}"
RENDERED = "<s>\ue0000\ue001<|im_end|>"


@pytest.mark.parametrize(
    "template",
    [TEMPLATE, [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]],
    ids=["one", "several"],
)
def test_a_template_stands_in_the_tokenizers_config(tmp_path: Path, template: object) -> None:
    config = {"chat_template": template, "bos_token": {"content": "<s>", "special": True}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_template(tmp_path).render(["user"], answer_next=False) == RENDERED


def test_a_file_of_its_own_comes_before_it(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x", "bos_token": "<s>"}))
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    assert load_template(tmp_path).render(["user"], answer_next=False) == RENDERED


def test_control_tokens_are_named_in_either_file_and_the_config_wins(tmp_path: Path) -> None:
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<end>"}, "pad_token": None}))
    assert special_words(tmp_path) == {"bos_token": "<s>", "eos_token": "<end>"}


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{")
    expected = f"base model {tmp_path.name}: transformers cannot load its tokenizer_config.json (DecodeError: "
    with pytest.raises(InputError, match=f"^{re.escape(expected)}"):
        load_template(tmp_path)
