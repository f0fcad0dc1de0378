"""The picks are what their cards and their shapes say; what is on this machine is found without asking anybody."""

import json
from pathlib import Path

import pytest

from pipeline.dataset.languages import NAMES
from pipeline.models.picks import BUNDLED, Pick, Shape, date_of_picks, pick_named, picks, shape_of

CONFIG = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 1000,
}


@pytest.mark.parametrize("pick", picks(), ids=lambda pick: pick.title)
def test_what_is_said_of_a_pick_fits_together(pick: Pick) -> None:
    assert pick.shape.parameters == pytest.approx(pick.parameters, rel=0.01)
    assert pick.download_gb == 0 or pick.download_gb * 1e9 > 1.98 * pick.parameters, "two bytes each"
    assert {*pick.languages, *pick.somewhat} <= NAMES.keys()
    assert not set(pick.languages) & set(pick.somewhat)
    assert 1 <= pick.sense <= 4


def test_the_picks_have_a_date_and_the_bundled_one_is_among_them() -> None:
    names = [pick.name for pick in picks()]
    assert (len(names), len(set(names)), len(date_of_picks())) == (11, 11, 10)
    bundled = pick_named(BUNDLED)
    assert bundled is not None
    assert (bundled.download_gb, bundled.gated, bundled.languages) == (0, False, ["en"])


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("smollm2-135m-instruct", "SmolLM2 135M"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2 135M"),
        ("qwen/qwen3-0.6b", "Qwen3 0.6B"),
        ("Qwen/Qwen3-0.6B@main", "Qwen3 0.6B"),
        ("Qwen/Qwen3-0.6B-Base", None),
        ("./Qwen3-0.6B", None),
    ],
)
def test_a_pick_is_known_by_its_name_in_any_case_and_at_any_revision(said: str, title: str | None) -> None:
    found = pick_named(said)
    assert (found.title if found else None) == title


def test_a_language_is_spoken_well_somewhat_or_not() -> None:
    qwen = pick_named("Qwen/Qwen3-0.6B")
    assert qwen is not None
    assert [qwen.speaks(code) for code in ("en", "de", "ka")] == [True, None, False]


def test_the_shape_of_a_directory_is_that_of_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    shape = Shape(2, 64, 128, 4, 4, 16, 1000)
    assert shape_of(str(tmp_path)) == shape
    (tmp_path / "config.json").write_text(
        json.dumps({"text_config": {**CONFIG, "num_key_value_heads": 2, "head_dim": 8}})
    )
    assert shape_of(str(tmp_path)) == Shape(2, 64, 128, 4, 2, 8, 1000)
    for odd in ("{", "{}", '{"hidden_size": "large"}', "[]"):
        (tmp_path / "config.json").write_text(odd)
        assert shape_of(str(tmp_path)) is None
    assert shape_of("nobody/knows-it") is None


def test_the_shape_of_a_model_of_the_hub_is_that_of_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    sha = "a1" * 20
    snapshot = tmp_path / "models--org--name" / "snapshots" / sha
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    (snapshot / "tokenizer.json").touch()
    assert shape_of(f"org/name@{sha}") is None, "without weights it is not here"
    (snapshot / "model.safetensors").touch()
    assert shape_of(f"org/name@{sha}") == Shape(2, 64, 128, 4, 4, 16, 1000)
