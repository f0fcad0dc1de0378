"""The picks are what their cards and their shapes say; what is on this machine is found without asking anybody."""

import json
from pathlib import Path

import pytest

from pipeline.dataset.languages import NAMES
from pipeline.models.picks import BUNDLED, Pick, Shape, date_of_picks, in_hub_cache, pick_named, picks, shape_of

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


def test_a_model_of_the_hub_is_here_once_all_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert in_hub_cache("org/name") is None
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    (snapshot / "tokenizer.json").touch()
    assert in_hub_cache("org/name") is None, "without weights"
    (snapshot / "model.safetensors").symlink_to(tmp_path / "blob")
    assert in_hub_cache("org/name") is None, "whose blob is still being fetched"
    (tmp_path / "blob").touch()
    assert in_hub_cache("org/name") == in_hub_cache("org/name@abc") == snapshot
    assert shape_of("org/name") == Shape(2, 64, 128, 4, 4, 16, 1000)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert in_hub_cache("org/name") is None, "of which the other halves are not there"


def test_the_hubs_cache_is_where_its_variables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place, variable in (
        (tmp_path / ".cache" / "huggingface" / "hub", None),
        (tmp_path / "xdg" / "huggingface" / "hub", "XDG_CACHE_HOME"),
        (tmp_path / "hf" / "hub", "HF_HOME"),
    ):
        if variable is not None:
            monkeypatch.setenv(variable, str(tmp_path / ("xdg" if variable.startswith("XDG") else "hf")))
        snapshot = place / "models--o--n" / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        for file in ("config.json", "tokenizer.json", "model.safetensors"):
            (snapshot / file).touch()
        assert in_hub_cache("o/n@abc") == snapshot
