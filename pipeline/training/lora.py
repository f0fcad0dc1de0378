"""The LoRA trainer: TRL over examples that are tokenised here, on CPU, CUDA or MPS. Imports torch.

TRL is given token ids (and labels) as they are: its own assistant-only loss refuses SmolLM2's chat template, and would
train turns of weight 0; so it is with pairs of answers for DPO.
"""

import math
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PrinterCallback, set_seed
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.sft_config import SFTConfig

from pipeline.durable import make_private_dir, read_file, write_atomically
from pipeline.models import base_models
from pipeline.models.chat_format import ChatFormat
from pipeline.models.device import Dtype, context_length, load_model, pick_device, pick_dtype
from pipeline.training import checkpoints
from pipeline.training.adapted_linear import adapt_in_one_step
from pipeline.training.answer_trainer import AnswerTrainer
from pipeline.training.elementwise import shorten
from pipeline.training.gated import gate_in_one_step
from pipeline.training.packed_attention import use_packed_attention
from pipeline.training.preference_trainer import PreferenceTrainer
from pipeline.training.progress import Progress, write_adapter
from pipeline.training.protocol import MAX_TOKENS, JobSpec, Report, Started, Stopped, Succeeded, automatic_epochs
from pipeline.training.tensors import PairSet, TrainingSet, load_examples, load_preferences

LEARNING_RATE = 2e-3
DPO_LEARNING_RATE = 1e-4
"""Measured on SmolLM2-135M with 12 pairs of answers, 6 epochs, and 4 pairs it never saw. At this rate it prefers the
preferred answer to the other in all 16, by 49 nats more than before on those it saw and by 24 on the others; what is
preferred becomes likelier, and other questions are answered in whole sentences as before. At three times the rate the
preferences are stronger (110 and 67 nats), but because it pushes away all such answers: the unseen preferred ones lose
0.9 nats a token (here 0.2), and the model begins to ramble."""

BETA = 0.1
"""How strongly DPO holds a model to what it was, where the job says `auto`: the value of the DPO paper and of TRL."""

RANK = 16
CHECKPOINT_EVERY_S = 15.0
_MICRO_TOKENS = 2048

C = TypeVar("C", SFTConfig, DPOConfig)


class _Precision(msgspec.Struct, frozen=True):
    """Decided on the first start; a job that resumes must not compute otherwise."""

    dtype: Dtype


def train(
    spec: JobSpec,
    report: Callable[[Report], None],
    stop: threading.Event,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> None:
    """Train an adapter, resuming from the last good checkpoint of an earlier worker on the same work_dir.

    A job that is killed loses the work of `checkpoint_every_s` seconds and a step at most.

    Raises:
        InputError: the base model or a data file is no good, or the loss is no longer a number.
    """
    directory = base_models.prepare(spec.base_model)
    chat_format = ChatFormat(directory)
    device = pick_device()
    store = make_private_dir(spec.work_dir / "checkpoints")
    model = load_model(directory, _dtype(store, device), device)
    load = load_preferences if spec.method == "dpo" else load_examples
    max_length = min(MAX_TOKENS, context_length(model))
    examples = load(spec.training_file, "training_file", chat_format, max_length)
    valid = None
    if spec.validation_file is not None:
        valid = load(spec.validation_file, "validation_file", chat_format, max_length)
    resumed = checkpoints.last_good(store)
    first_step = 0 if resumed is None else checkpoints.step_of(resumed)
    plan = plan_training(spec, examples, first_step, max_length)
    report(plan)
    if stop.is_set():
        return report(Stopped(plan.first_step))

    set_seed(spec.seed)
    trainer, measure = _trainer(spec, plan, model, examples, valid, chat_format)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress(trainer, spec.work_dir, plan, measure, report, stop, checkpoint_every_s))
    trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    if trainer.state.global_step < plan.total_steps:
        return report(Stopped(trainer.state.global_step))
    write_adapter(trainer.adapted, spec.work_dir / "adapter")
    return report(Succeeded(trainer.state.num_input_tokens_seen))


def _trainer(
    spec: JobSpec,
    plan: Started,
    model: PreTrainedModel,
    examples: TrainingSet | PairSet,
    valid: TrainingSet | PairSet | None,
    chat_format: ChatFormat,
) -> tuple[AnswerTrainer | PreferenceTrainer, Callable[[], tuple[float, float]] | None]:
    """The trainer of the job's method, and what measures the validation file with it."""
    longest = max(examples.lengths() + (valid.lengths() if valid else []))
    micro_batch = _micro_batch(plan.batch_size, longest)
    on_cpu = model.device.type == "cpu"
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    if isinstance(examples, PairSet):
        preferring = _arguments(DPOConfig, spec, plan, micro_batch, model.device)
        preferring.beta = plan.beta or BETA
        by_pairs = PreferenceTrainer(model, lora, preferring, examples, chat_format)
        if on_cpu:
            _quicken(by_pairs.adapted)
        return by_pairs, partial(by_pairs.measure, valid) if isinstance(valid, PairSet) else None
    in_rows = on_cpu and use_packed_attention(model)
    adapted = get_peft_model(model, lora)
    if on_cpu:
        _quicken(adapted)
    answering = _arguments(SFTConfig, spec, plan, plan.batch_size if in_rows else micro_batch, model.device)
    answering.dataset_kwargs = {"skip_prepare_dataset": True}
    trainer = AnswerTrainer(adapted, answering, examples, chat_format, in_rows=in_rows)
    return trainer, partial(trainer.measure, valid) if isinstance(valid, TrainingSet) else None


def _quicken(adapted: PeftModel) -> None:
    """What is faster on a CPU, and the same but for rounding."""
    adapt_in_one_step(adapted)
    gate_in_one_step(adapted)
    shorten(adapted)


def plan_training(spec: JobSpec, examples: TrainingSet | PairSet, first_step: int, max_length: int) -> Started:
    """Settle what is `auto`.

    Epochs: see `automatic_epochs`. Batch size: one for every fifty examples, from 1 to 8. On a CPU a step of one
    dialogue already keeps every core busy, and more steps learn more.
    """
    count = len(examples.lengths())
    n_epochs = automatic_epochs(count) if spec.n_epochs == "auto" else spec.n_epochs
    batch_size = max(1, min(8, count // 50)) if spec.batch_size == "auto" else spec.batch_size
    multiplier = 1.0 if spec.learning_rate_multiplier == "auto" else spec.learning_rate_multiplier
    return Started(
        total_steps=n_epochs * math.ceil(count / batch_size),
        first_step=first_step,
        n_epochs=n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=multiplier,
        examples=count + examples.skipped,
        tokens=examples.tokens,
        truncated=examples.truncated,
        skipped=examples.skipped,
        targets=examples.targets,
        beta=(BETA if spec.beta == "auto" else spec.beta) if spec.method == "dpo" else None,
        max_tokens=max_length,
    )


def _dtype(store: Path, device: torch.device) -> Dtype:
    path = store / "precision.json"
    if path.exists():
        return msgspec.json.decode(read_file(path), type=_Precision).dtype
    dtype = pick_dtype(device)
    write_atomically(path, msgspec.json.encode(_Precision(dtype)))
    return dtype


def _micro_batch(batch_size: int, longest: int) -> int:
    """How many examples go through the model at once: as many as memory allows that divide the batch evenly."""
    allowed = max(1, _MICRO_TOKENS // longest)
    return max(size for size in range(1, batch_size + 1) if batch_size % size == 0 and size <= allowed)


def _arguments(kind: type[C], spec: JobSpec, plan: Started, micro_batch: int, device: torch.device) -> C:
    """What both of TRL's trainers are told."""
    base_rate = DPO_LEARNING_RATE if spec.method == "dpo" else LEARNING_RATE
    return kind(
        output_dir=str(spec.work_dir / "checkpoints"),
        num_train_epochs=plan.n_epochs,
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=micro_batch,
        gradient_accumulation_steps=plan.batch_size // micro_batch,
        learning_rate=base_rate * plan.learning_rate_multiplier,
        lr_scheduler_type="cosine",
        warmup_steps=min(10, plan.total_steps // 10),
        seed=spec.seed,
        use_cpu=device.type == "cpu",
        bf16=False,  # the weights are in their precision already, the adapter in float32
        activation_checkpointing=False,
        max_length=None,  # cut already
        dataloader_pin_memory=device.type == "cuda",
        include_num_input_tokens_seen="non_padding",
        save_strategy="no",  # Progress asks for checkpoints by the clock
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
