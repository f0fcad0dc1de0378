"""A base model on disk that is broken is named before a job is made of it, and its own code is never run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.models import model_check
from pipeline.models.chat_format import ChatFormat

Break = Callable[[Path], object]


def _config(**changes: object) -> Break:
    def change(directory: Path) -> None:
        path = directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _tokenizer(**changes: object) -> Break:
    def change(directory: Path) -> None:
        path = directory / "tokenizer_config.json"
        kept = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in kept.items() if value is not None}))

    return change


def _tokenizer_file(**changes: object) -> Break:
    def change(directory: Path) -> None:
        path = directory / "tokenizer.json"
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
            "transformers cannot load its tokenizer.json (",
        ),
        (_config(num_attention_heads=0), "transformers cannot load "),
        (_config(num_hidden_layers=3), "its weights are not those of its config.json (model.layers.2."),
        (_config(intermediate_size=48), "its weights are not those of its config.json (model.layers."),
        (_cut, "transformers cannot load it (SafetensorError: "),
        (_code, "its config.json needs code of its own (`auto_map`), which is never run. Choose a model of an "),
        (
            _config(num_hidden_layers=10**9),
            "expected 1 to 1000 layers in its config.json, got num_hidden_layers: 1000000000. Mend the directory, or ",
        ),
        (
            _config(text_config={"n_layer": 0}),
            "expected 1 to 1000 layers in its config.json, got n_layer: 0. Mend the directory, or ",
        ),
        (
            _config(attention_dropout=5.0),
            "transformers cannot load it so that it can be trained (RuntimeError: dropout probability has to be ",
        ),
        (
            _config(rope_parameters={"rope_type": "nonsense"}),
            "transformers cannot load it (KeyError: 'nonsense'). Mend",
        ),
        (
            _config(max_position_embeddings=0),
            "its max_position_embeddings has no room for a question and an answer, which take 46 tokens, got 0. Mend ",
        ),
        (lambda d: (d / "chat_template.jinja").write_text("{{ 1/0 }}"), "its chat template fails (ZeroDivisionError: "),
        (
            _tokenizer_file(
                pre_tokenizer={
                    "type": "Split",
                    "pattern": {"Regex": "(a|aa)+(?=!)b"},
                    "behavior": "Isolated",
                    "invert": False,
                }
            ),
            "its tokenizer cannot encode a text (Onig: Regex search error: retry-limit-in-match over). Mend its ",
        ),
    ],
    ids=[
        "tokenizer",
        "config",
        "missing weights",
        "wrong shapes",
        "cut weights",
        "own code",
        "too many layers",
        "no layers",
        "dropout",
        "rope",
        "no positions",
        "template",
        "endless regular expression",
    ],
)
def test_a_broken_model_is_named(tiny_model: Path, tmp_path: Path, break_it: Break, said: str) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    break_it(directory)
    with pytest.raises(InputError) as caught:
        model_check.check(str(directory))
    assert str(caught.value).startswith(f"base model model: {said}")
    assert not (directory / "ran").exists()


@pytest.mark.parametrize(
    "leave_out",
    [
        _tokenizer(pad_token=None, eos_token=None),
        _tokenizer(pad_token="[PAD]"),
        lambda d: (d / "tokenizer_config.json").unlink(),
    ],
    ids=["no names", "unknown name", "no file"],
)
def test_a_tokenizer_that_names_no_padding_pads_with_what_ends_a_turn(
    tiny_model: Path, tmp_path: Path, leave_out: Break
) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    leave_out(directory)
    assert ChatFormat(directory).tokenizer.pad_token == "<|im_end|>"
    model_check.check(str(directory))


def test_a_model_that_is_whole_is_looked_at_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_check.check(str(tiny_model))
    monkeypatch.setattr(model_check, "COMMAND", ("false",))
    model_check.check(str(tiny_model))
    model_check.check("smollm2-135m-instruct")


def _model_of_nothing(directory: Path) -> Path:
    """A directory that has the files of a model, for checks that are no real ones."""
    directory.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (directory / name).write_text("{}")
    return directory


def _counting(tmp_path: Path, answer: str) -> tuple[tuple[str, ...], Callable[[], int]]:
    """A command in the check's place that gives an answer, and how often it was run."""
    runs = tmp_path / "runs"
    script = tmp_path / "check.sh"
    script.write_text(f"echo run >> '{runs}'\n{answer}\n")
    return ("sh", str(script)), lambda: len(runs.read_text().splitlines()) if runs.exists() else 0


WRONG = """echo '{"where": "base model m", "what": "is wrong", "fix": "Mend it."}'"""


def test_links_that_lead_nowhere_beside_a_model_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    (directory / "README.md").symlink_to("/nonexistent")
    (directory / "loop").symlink_to("loop")
    command, runs = _counting(tmp_path, "echo '{}'")
    monkeypatch.setattr(model_check, "COMMAND", command)
    model_check.check(str(directory))
    assert runs() == 1


@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.jinja", "model-2.safetensors"])
def test_a_link_in_place_of_a_files_content_is_named(tmp_path: Path, name: str) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    (directory / name).symlink_to("/nonexistent")
    with pytest.raises(InputError) as caught:
        model_check.check(str(directory))
    assert str(caught.value) == (
        f"base model model: its {name} cannot be read (No such file or directory). Put the file into {directory}, or"
        " choose another base model."
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_link_to_itself_in_place_of_a_needed_file_is_named(tmp_path: Path, name: str) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    (directory / name).unlink()
    (directory / name).symlink_to(name)
    with pytest.raises(InputError) as caught:
        model_check.check(str(directory))
    assert str(caught.value) == (
        f"base model: expected a Hugging Face directory with {name}, got {directory}. Give the directory that"
        " `save_pretrained` wrote model and tokenizer to."
    )


def test_what_is_wrong_is_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    command, runs = _counting(tmp_path, WRONG)
    monkeypatch.setattr(model_check, "COMMAND", command)
    checker = model_check.Checker()
    for _ in range(3):
        with pytest.raises(InputError, match=r"^base model m: is wrong. Mend it.$"):
            checker.check(str(directory))
    assert runs() == 1
    (directory / "config.json").write_text("{ }")
    assert not checker.recall(str(directory))
    with pytest.raises(InputError):
        checker.check(str(directory))
    assert runs() == 2


@pytest.mark.parametrize(("death", "runs"), [("kill -SEGV $$", 1), ("kill -KILL $$", 2), ("exit 71", 2)])
def test_a_death_that_a_model_is_not_to_blame_for_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: str, runs: int
) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    command, count = _counting(tmp_path, death)
    monkeypatch.setattr(model_check, "COMMAND", command)
    checker = model_check.Checker()
    for _ in range(2):
        with pytest.raises(InputError, match="the process that tried it has ended"):
            checker.check(str(directory))
    assert count() == runs


def test_threads_that_ask_at_once_share_one_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    command, runs = _counting(tmp_path, "echo '{}'")
    monkeypatch.setattr(model_check, "COMMAND", command)
    checker = model_check.Checker()
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(checker.check, [str(directory)] * 10))
    assert runs() == 1


def test_a_check_that_is_ended_is_gone_and_none_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    os.mkfifo(tmp_path / "begun")
    command, runs = _counting(tmp_path, f"echo > '{tmp_path / 'begun'}'; exec sleep 600")
    monkeypatch.setattr(model_check, "COMMAND", command)
    checker = model_check.Checker()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(checker.check, str(directory)) for _ in range(2)]
        (tmp_path / "begun").read_text()
        checker.end()
    assert [type(each.exception()) for each in waiting] == [model_check.CheckEnded] * 2
    assert runs() == 1


def test_a_check_that_sleeps_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _model_of_nothing(tmp_path / "model")
    command, runs = _counting(tmp_path, "exec sleep 600")
    monkeypatch.setattr(model_check, "COMMAND", command)
    monkeypatch.setattr(model_check, "WALL_SECONDS", 0.1)
    checker = model_check.Checker()
    for _ in range(2):  # the machine may have been busy, so it is asked again
        with pytest.raises(InputError) as refused:
            checker.check(str(directory))
        assert str(refused.value) == (
            "base model model: cannot be loaded: the process that tried it has ended (0.1 s are over). "
            "Mend the directory, or choose another base model."
        )
    assert runs() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no limit on memory")
def test_a_tokenizer_may_take_so_much_memory_and_no_more() -> None:
    program = (
        "from pipeline.models.model_check import _bounded_memory\n"
        "with _bounded_memory(64 << 20):\n"
        "    try:\n        bytearray(256 << 20)\n    except MemoryError:\n        print('no more')\n"
        "print(len(bytearray(256 << 20)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == f"no more\n{256 << 20}\n"
