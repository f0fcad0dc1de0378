"""DPO, really trained on a tiny model: answers that are preferred become likelier, those that are not less so."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.models.messages import ChatMessage
from pipeline.training.examples import ExamplesError, read_preferences
from pipeline.training.protocol import Checkpoint, JobSpec, Report, Started, Step, Stopped, Succeeded

if TYPE_CHECKING:
    from pipeline.models.chat_format import ChatFormat

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

PROMPT = [ChatMessage("user", "Who won?")]


def _write_pairs(path: Path, count: int = 8, *, other: str = "Fast!") -> Path:
    lines = [
        {
            "input": {"messages": [{"role": "user", "content": f"Question {n}?"}]},
            "preferred_output": [{"role": "assistant", "content": "Slow."}],
            "non_preferred_output": [{"role": "assistant", "content": other}],
        }
        for n in range(count)
    ]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


@pytest.fixture
def spec(make_spec: Callable[..., JobSpec], tiny_model: Path, tmp_path: Path) -> JobSpec:
    pairs = _write_pairs(tmp_path / "pairs.jsonl")
    return make_spec(
        trainer="lora",
        method="dpo",
        base_model=str(tiny_model),
        training_file=pairs,
        n_epochs=6,
        batch_size=4,
        learning_rate_multiplier=20.0,
    )


def _train(spec: JobSpec, stop: threading.Event | None = None, **options: float) -> list[Report]:
    from pipeline.training import lora

    said: list[Report] = []
    lora.train(spec, said.append, stop or threading.Event(), **options)
    return said


def test_training_makes_the_preferred_answer_likelier_than_the_other(spec: JobSpec, tmp_path: Path) -> None:
    validated = msgspec.structs.replace(spec, validation_file=spec.training_file)

    said = _train(validated)

    started, *_, last = said
    assert isinstance(started, Started)
    assert (started.total_steps, started.examples, started.beta) == (12, 8, 0.1)
    steps = [report for report in said if isinstance(report, Step)]
    assert steps[0].train_loss == pytest.approx(0.693, abs=1e-3), "ln 2: at first it prefers neither"
    assert steps[-1].train_loss < 0.6
    assert steps[0].train_accuracy is not None
    assert [step.valid_loss is not None for step in steps] == [step.step % 2 == 0 for step in steps]
    measured = [step.valid_loss for step in steps if step.valid_loss is not None]
    assert measured[-1] < measured[0]
    assert isinstance(last, Succeeded)
    assert last.trained_tokens == 6 * started.tokens
    for folder in ("adapter", "adapters/step-12"):
        assert sorted(path.name for path in (spec.work_dir / folder).iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
    assert [report.step for report in said if isinstance(report, Checkpoint)] == [2, 4, 6, 8, 10, 12]


def test_a_stopped_training_goes_on_as_if_nothing_had_happened(spec: JobSpec, tmp_path: Path) -> None:
    whole = [report for report in _train(spec) if isinstance(report, Step)]
    again = msgspec.structs.replace(spec, work_dir=tmp_path / "again")
    stop = threading.Event()

    from pipeline.training import lora

    before: list[Report] = []

    def stop_after_five(report: Report) -> None:
        before.append(report)
        if isinstance(report, Step) and report.step == 5:
            stop.set()

    lora.train(again, stop_after_five, stop)
    after = _train(again)

    assert before[-1] == Stopped(5)
    steps = [report for report in [*before, *after] if isinstance(report, Step)]
    assert [step.step for step in steps] == [step.step for step in whole]
    assert [step.train_loss for step in steps] == pytest.approx([step.train_loss for step in whole], rel=1e-4)
    assert steps[-1].tokens == whole[-1].tokens


def test_an_answer_follows_its_prompt_as_the_template_writes_it(tiny_format: "ChatFormat") -> None:
    answer = ChatMessage("assistant", "Slow <|im_end|>.")

    tokens = tiny_format.prompt(PROMPT) + tiny_format.answer(PROMPT, answer)

    whole, _ = tiny_format.example([*PROMPT, answer], [False, True])
    assert tokens == whole[: len(tokens)]
    assert tiny_format.decode(tokens).endswith("<|im_start|>assistant\nSlow <|im_end|>.<|im_end|>")


def test_what_does_not_fit_is_cut_and_what_no_longer_differs_is_left_out(
    tiny_format: "ChatFormat", tmp_path: Path
) -> None:
    from pipeline.training.tensors import load_preferences

    path = _write_pairs(tmp_path / "pairs.jsonl", 2, other="Slow.")
    with path.open("ab") as file:
        file.write(_write_pairs(tmp_path / "more.jsonl", 1, other="Slowly.").read_bytes())

    loaded = load_preferences(path, "training_file", tiny_format, 256)

    assert (len(loaded.prompt_ids), loaded.skipped, loaded.truncated) == (1, 2, 0)
    prompt, preferred, other = (len(ids[0]) for ids in (loaded.prompt_ids, loaded.preferred_ids, loaded.other_ids))
    assert loaded.tokens == 2 * prompt + preferred + other
    cut = load_preferences(path, "training_file", tiny_format, prompt + 2)
    assert (cut.truncated, len(cut.other_ids[0])) == (3, 2)
    with pytest.raises(ExamplesError, match="no pair of answers can be learnt from"):
        load_preferences(path, "training_file", tiny_format, prompt)


def test_a_line_that_is_no_pair_is_named_with_its_number(tmp_path: Path) -> None:
    path = _write_pairs(tmp_path / "pairs.jsonl", 1)
    with path.open("ab") as file:
        file.write(b'{"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}\n')

    with pytest.raises(ExamplesError) as refused:
        list(read_preferences(path, "training_file"))

    assert str(refused.value) == (
        "Example 2: Expected `array` of length >= 1 - at `$.input.messages`. Write "
        '{"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}, text only.'
    )
