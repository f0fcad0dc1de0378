"""A base model on disk that is broken is named before a job is made of it, and its own code is never run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models import model_check

Break = Callable[[Path], object]


def _config(**changes: object) -> Break:
    def change(directory: Path) -> None:
        path = directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _code(directory: Path) -> None:
    _config(auto_map={"AutoConfig": "evil.Config"}, model_type="evil")(directory)
    (directory / "evil.py").write_text(f"open({str(directory / 'ran')!r}, 'w')")


def _cut(directory: Path) -> None:
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (
            lambda d: (d / "tokenizer.json").write_text("{}"),
            "transformers cannot load its tokenizer.json or ",
        ),
        (_config(num_attention_heads=0), "transformers cannot load "),
        (_config(num_hidden_layers=3), "its weights are not those of its config.json (model.layers.2."),
        (_config(intermediate_size=48), "its weights are not those of its config.json (model.layers."),
        (_cut, "transformers cannot load it (SafetensorError: "),
        (_code, "its config.json needs code of its own (`auto_map`), which is never run. Choose a model of an "),
        (lambda d: (d / "chat_template.jinja").write_text("{{ 1/0 }}"), "its chat template fails (ZeroDivisionError: "),
    ],
    ids=["tokenizer", "config", "missing weights", "wrong shapes", "cut weights", "own code", "template"],
)
def test_a_broken_model_is_named(tiny_model: Path, tmp_path: Path, break_it: Break, said: str) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    break_it(directory)
    with pytest.raises(InputError) as caught:
        model_check.check(str(directory))
    assert str(caught.value).startswith(f"base model model: {said}")
    assert not (directory / "ran").exists()


def test_a_model_that_is_whole_is_looked_at_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_check.check(str(tiny_model))
    monkeypatch.setattr(model_check, "COMMAND", ("false",))
    model_check.check(str(tiny_model))
    model_check.check("smollm2-135m-instruct")
