"""The LoRA trainer, for real, on a model small enough that a step takes milliseconds."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.training.protocol import Checkpoint, JobSpec, Report, Started, Step, Stopped, Succeeded

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

MakeSpec = Callable[..., JobSpec]
StartWorker = Callable[..., Any]

EAGER_WORKER = """
import functools, sys
from pathlib import Path
from pipeline.models import environment
from pipeline.training import __main__ as worker
environment.settle_worker()
from pipeline.training import lora
lora.train = functools.partial(lora.train, checkpoint_every_s=0)
worker.main(Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """The number of threads follows the load of the machine, and sums of more threads differ in their last digits."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def spec(make_spec: MakeSpec, tiny_model: Path) -> JobSpec:
    """Eight examples in batches of two for three epochs: twelve steps."""
    return make_spec(trainer="lora", base_model=str(tiny_model), n_epochs=3, batch_size=2)


def run(spec: JobSpec, stop_after: int | None = None, checkpoint_every_s: float = 60) -> list[Report]:
    from pipeline.training import lora

    said: list[Report] = []
    stop = threading.Event()

    def report(report: Report) -> None:
        said.append(report)
        if isinstance(report, Step) and report.step == stop_after:
            stop.set()

    lora.train(spec, report, stop, checkpoint_every_s)
    return said


def steps(said: list[Report]) -> list[Step]:
    return [report for report in said if isinstance(report, Step)]


def test_a_job_learns_and_leaves_adapters_and_no_noise(spec: JobSpec, start_worker: StartWorker) -> None:
    from msgspec.structs import replace

    said, code, errors = start_worker(replace(spec, learning_rate_multiplier=5.0)).finish()
    assert (code, errors) == (0, "")
    epoch = [Step, Step, Step, Step, Checkpoint]
    assert [type(report) for report in said] == [Started, *epoch, *epoch, *epoch, Succeeded]
    tokens = said[0].tokens
    assert said[0] == Started(
        total_steps=12,
        first_step=0,
        n_epochs=3,
        batch_size=2,
        learning_rate_multiplier=5.0,
        examples=8,
        tokens=tokens,
        truncated=0,
        skipped=0,
        targets=8,
        max_tokens=256,
    )
    losses = [step.train_loss for step in steps(said)]
    assert losses[-1] < 0.7 * losses[0]
    assert steps(said)[-1].tokens == said[-1].trained_tokens == 3 * tokens
    assert [(step.step, step.epoch) for step in steps(said)] == [(n, n / 4) for n in range(1, 13)]
    for adapter in ("adapters/step-4", "adapters/step-8", "adapters/step-12", "adapter"):
        assert sorted(file.name for file in (spec.work_dir / adapter).iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
    assert {path.stat().st_mode & 0o077 for path in spec.work_dir.rglob("*")} == {0}


def test_a_job_killed_with_sigkill_ends_as_if_nothing_had_happened(
    spec: JobSpec, make_spec: MakeSpec, start_worker: StartWorker, tmp_path: Path
) -> None:
    from msgspec.structs import replace

    undisturbed = replace(spec, work_dir=tmp_path / "undisturbed")
    expected = run(undisturbed)
    # The precision is measured on a job's first start, and the measurement of two jobs may differ.
    precision = "checkpoints/precision.json"
    (spec.work_dir / "checkpoints").mkdir(parents=True)
    (spec.work_dir / precision).write_bytes((undisturbed.work_dir / precision).read_bytes())

    worker = start_worker(spec, ["-c", EAGER_WORKER])
    before: list[Report] = []
    for report in worker.reports():
        before.append(report)
        if isinstance(report, Step) and report.step == 7:
            worker.process.send_signal(signal.SIGKILL)
            break
    assert worker.process.wait(30) == -signal.SIGKILL
    after = run(spec)

    first_step = after[0].first_step if isinstance(after[0], Started) else None
    assert first_step in (5, 6, 7)  # the checkpoint of step 6 or 7 may have been under way
    assert steps(before) == steps(expected)[:7]
    assert steps(after) == steps(expected)[first_step:]
    assert after[-1] == expected[-1]
    weights = "adapter/adapter_model.safetensors"
    assert (spec.work_dir / weights).read_bytes() == (undisturbed.work_dir / weights).read_bytes()


def test_stop_checkpoints_and_a_damaged_checkpoint_falls_back_to_the_one_before(spec: JobSpec) -> None:
    said = run(spec, stop_after=6, checkpoint_every_s=0)
    assert said[-1] == Stopped(6)
    newest = spec.work_dir / "checkpoints" / "checkpoint-6"
    (newest / "optimizer.pt").write_bytes(b"damaged")
    resumed = run(spec)
    assert isinstance(resumed[0], Started)
    assert resumed[0].first_step == 5
    assert steps(resumed)[0] == steps(said)[5]
    assert isinstance(resumed[-1], Succeeded)


def test_a_job_that_had_ended_succeeds_again(spec: JobSpec) -> None:
    said = run(spec)
    again = run(spec)
    assert [type(report) for report in again] == [Started, Succeeded]
    assert again[-1] == said[-1]


def test_the_first_loss_is_the_base_models_over_all_targets_however_the_batch_is_split(
    spec: JobSpec, tiny_model: Path
) -> None:
    import torch
    from msgspec.structs import replace

    from pipeline.models.chat_format import IGNORED, ChatFormat
    from pipeline.models.device import load_model
    from pipeline.training.tensors import load_examples

    examples = load_examples(spec.training_file, "training_file", ChatFormat(tiny_model), 256)
    model = load_model(tiny_model, "float32", torch.device("cpu"))
    loss = targets = correct = 0.0
    for ids, labels in zip(examples.input_ids, examples.labels, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(ids)[None].long()).logits[0, :-1]
        wanted = torch.tensor(labels[1:]).long()
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum", ignore_index=IGNORED).item()
        correct += float((logits.argmax(-1) == wanted).sum())
        targets += float((wanted != IGNORED).sum())
    for batch_size in (8, 16):  # one batch of all, and two parts of it
        doubled = spec.work_dir.parent / "doubled.jsonl"
        doubled.write_bytes(spec.training_file.read_bytes() * (batch_size // 8))
        changed = replace(
            spec, batch_size=batch_size, training_file=doubled, n_epochs=1, work_dir=spec.work_dir / str(batch_size)
        )
        (first,) = steps(run(changed))
        assert first.train_loss == pytest.approx(loss / targets, rel=0.02)  # training may be in bfloat16
        assert first.train_accuracy == pytest.approx(correct / targets, abs=0.1)


def test_validation_is_measured_at_the_end_of_every_epoch(spec: JobSpec) -> None:
    from msgspec.structs import replace

    said = steps(run(replace(spec, validation_file=spec.training_file)))
    measured = [(step.step, step.valid_loss, step.valid_accuracy) for step in said if step.valid_loss is not None]
    assert [step for step, _, _ in measured] == [4, 8, 12]
    losses = [loss for _, loss, _ in measured]
    assert losses == sorted(losses, reverse=True)
    assert all(accuracy is not None and 0 <= accuracy <= 1 for _, _, accuracy in measured)


def test_a_training_that_diverges_says_what_to_change(spec: JobSpec) -> None:
    from msgspec.structs import replace

    with pytest.raises(InputError) as caught:
        run(replace(spec, learning_rate_multiplier=1e30))
    assert str(caught.value) == (
        "learning_rate_multiplier: the training diverged: after step 3 the loss is no longer a number, got 1e+30. "
        "Start a new job with a smaller one."
    )


def test_a_damaged_base_model_is_not_taken_for_a_training_that_diverges(
    spec: JobSpec, tiny_model: Path, tmp_path: Path
) -> None:
    import shutil

    import torch
    from msgspec.structs import replace
    from safetensors.torch import load_file, save_file

    directory = Path(shutil.copytree(tiny_model, tmp_path / "damaged"))
    weights = load_file(directory / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, directory / "model.safetensors", {"format": "pt"})

    with pytest.raises(InputError) as caught:
        run(replace(spec, base_model=str(directory)))
    assert str(caught.value) == (
        "base model damaged: its weights are damaged: before the first step the loss is not a number, got nan. "
        "Put its files back, or choose another base model."
    )


@pytest.mark.parametrize(
    ("examples", "n_epochs", "batch_size"),
    [(1, 8, 1), (10, 6, 1), (30, 4, 1), (100, 3, 2), (400, 2, 8), (1000, 1, 8), (100_000, 1, 8)],
)
def test_small_files_are_seen_more_often(spec: JobSpec, examples: int, n_epochs: int, batch_size: int) -> None:
    import numpy as np
    from msgspec.structs import replace

    from pipeline.training.lora import plan_training
    from pipeline.training.tensors import TrainingSet

    one = [np.zeros(3, np.int32)]
    auto = replace(spec, n_epochs="auto", batch_size="auto", learning_rate_multiplier="auto")
    plan = plan_training(auto, TrainingSet(one * examples, one * examples), first_step=0, max_length=2048)
    assert (plan.n_epochs, plan.batch_size, plan.learning_rate_multiplier) == (n_epochs, batch_size, 1.0)
