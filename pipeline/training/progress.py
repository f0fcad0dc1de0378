"""What happens between the steps of a training: reports, validation, adapters, checkpoints, stopping."""
# ruff: noqa: ARG002  # the signatures are those of transformers' callbacks

import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from peft import PeftModel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.durable import make_private_dir, publish
from pipeline.errors import InputError
from pipeline.training import checkpoints
from pipeline.training.answer_trainer import AnswerTrainer
from pipeline.training.preference_trainer import PreferenceTrainer
from pipeline.training.protocol import Checkpoint, Report, Started, Step
from pipeline.training.threads import Threads


class Progress(TrainerCallback):
    """Follows one training.

    Args:
        measure: loss and accuracy of the validation file, asked for at the end of every epoch.
        checkpoint_every_s: from one checkpoint to the next; they come after a step, and when asked to stop.
    """

    def __init__(
        self,
        trainer: AnswerTrainer | PreferenceTrainer,
        work_dir: Path,
        plan: Started,
        measure: Callable[[], tuple[float, float]] | None,
        report: Callable[[Report], None],
        stop: threading.Event,
        checkpoint_every_s: float,
    ) -> None:
        self._trainer = trainer
        self._work_dir = work_dir
        self._plan = plan
        self._measure = measure
        self._report = report
        self._stop = stop
        self._checkpoint_every_s = checkpoint_every_s
        self._saved_at = time.monotonic()
        self._learning_rate = 0.0
        self._threads = Threads()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Note the learning rate before the scheduler moves on."""
        self._threads.begin_step()
        optimizer = self._trainer.optimizer
        self._learning_rate = optimizer.param_groups[0]["lr"] if optimizer else 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Report the step, finish an epoch, and ask for a checkpoint when it is time."""
        self._threads.end_step()
        loss, accuracy = self._trainer.take_score()
        if not math.isfinite(loss) and state.global_step == 1:  # it was computed before anything was learnt
            name = Path(str(getattr(self._trainer.adapted.get_base_model(), "name_or_path", ""))).name
            raise InputError(
                f"base model {name}",
                "its weights are damaged: before the first step the loss is not a number",
                got=f"{loss}",
                fix="Put its files back, or choose another base model.",
            )
        if not math.isfinite(loss):
            raise InputError(
                "learning_rate_multiplier",
                f"the training diverged: after step {state.global_step} the loss is no longer a number",
                got=f"{self._plan.learning_rate_multiplier:g}",
                fix="Start a new job with a smaller one.",
            )
        epoch_ended = state.global_step % (self._plan.total_steps // self._plan.n_epochs) == 0
        valid = self._measure() if epoch_ended and self._measure is not None else (None, None)
        self._report(
            Step(
                step=state.global_step,
                epoch=state.global_step * self._plan.n_epochs / self._plan.total_steps,
                train_loss=loss,
                train_accuracy=accuracy,
                valid_loss=valid[0],
                valid_accuracy=valid[1],
                learning_rate=self._learning_rate,
                tokens=state.num_input_tokens_seen,
            )
        )
        if epoch_ended:
            adapter = f"adapters/step-{state.global_step}"
            write_adapter(self._trainer.adapted, self._work_dir / adapter)
            self._report(Checkpoint(state.global_step, adapter))
        stopping = self._stop.is_set()
        last = state.global_step == self._plan.total_steps
        control.should_training_stop |= stopping
        control.should_save = stopping or last or time.monotonic() - self._saved_at >= self._checkpoint_every_s

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Seal the checkpoint that was just written."""
        checkpoints.seal(self._work_dir / "checkpoints" / f"checkpoint-{state.global_step}")
        self._saved_at = time.monotonic()


def write_adapter(model: PeftModel, target: Path) -> None:
    """Publish the adapter alone, whole: its configuration and its weights as safetensors."""
    if target.exists():  # from a worker that died before its next checkpoint
        shutil.rmtree(target)
    temporary = make_private_dir(target.parent) / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of a worker that died in the middle
    # Embeddings are not trained; "auto" would ask the Hub whether they were.
    model.save_pretrained(str(temporary), save_embedding_layers=False)
    (temporary / "README.md").unlink(missing_ok=True)  # a model card with nothing in it
    publish(temporary, target)
