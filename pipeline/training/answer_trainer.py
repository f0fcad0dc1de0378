"""TRL's SFTTrainer with a loss that computes logits for the targets only. Imports torch."""

from typing import cast

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.training.packed_attention import packed
from pipeline.training.recomputing import Recomputing
from pipeline.training.rows import ROW_TOKENS, Row, rows_of
from pipeline.training.target_loss import target_loss
from pipeline.training.tensors import TrainingSet

_HEAD_SCALES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")

Batch = dict[str, torch.Tensor]


class Score:
    """Sums over target tokens: negative log likelihood in nats, and how many were predicted as the most likely."""

    def __init__(self) -> None:
        self._loss, self._correct, self._targets = 0.0, 0, 0

    def add(self, loss: torch.Tensor, correct: torch.Tensor, targets: int) -> None:
        """Count a batch, by its sums."""
        self._loss += loss.item()
        self._correct += int(correct.item())
        self._targets += targets

    def means(self) -> tuple[float, float]:
        """Loss per target and accuracy."""
        return self._loss / self._targets, self._correct / self._targets


class AnswerTrainer(SFTTrainer):
    """Trains an adapter on labelled examples, and keeps the score of the targets it trained on.

    TRL 1.16 leaves out the tokens that are no targets only where Triton runs; elsewhere it computes and differentiates
    a whole vocabulary of logits for each of them. Where 4 tokens in 10 are targets, this class trains 2.2 times as fast
    on a CPU.

    Args:
        in_rows: a batch goes through the model in rows of several examples (see rows.py), not padded.

    Attributes:
        adapted: the base model with its adapter.
    """

    def __init__(
        self, adapted: PeftModel, args: SFTConfig, examples: TrainingSet, chat_format: ChatFormat, *, in_rows: bool
    ) -> None:
        self.adapted = adapted
        self._causal: PreTrainedModel = adapted.get_base_model()  # type: ignore[assignment]
        self._recomputing = Recomputing(self._causal) if in_rows else None
        self._score = Score()
        super().__init__(
            model=adapted, args=args, train_dataset=_dataset(examples), processing_class=chat_format.tokenizer
        )

    def take_score(self) -> tuple[float, float]:
        """Loss per target and accuracy of all that was trained on since the last time."""
        means, self._score = self._score.means(), Score()
        return means

    def training_step(
        self, model: torch.nn.Module, inputs: Batch, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Add the gradients of a batch; returns its part of the step's loss."""
        if self._recomputing is None:
            padded: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[no-untyped-call]
            return padded
        model.train()
        parts = []
        for row in rows_of(self._prepare_inputs(inputs), ROW_TOKENS):
            self._recomputing.fit(sum(row.lengths))
            part = self.compute_loss(model, self._laid_out(row), num_items_in_batch=num_items_in_batch)
            self.accelerator.backward(part)
            parts.append(part.detach())
        return torch.stack(parts).sum()

    def compute_loss(
        self,
        model: torch.nn.Module,  # noqa: ARG002  # the signature is TRL's
        inputs: Batch,
        return_outputs: bool = False,  # noqa: ARG002
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean loss per target of the whole optimiser step, of which `inputs` may be a part."""
        loss, correct, targets = self._score_targets(inputs)
        self._score.add(loss.detach(), correct, targets)
        return loss / (targets if num_items_in_batch is None else num_items_in_batch)

    def measure(self, examples: TrainingSet) -> tuple[float, float]:
        """Loss per target and accuracy on other examples."""
        score = Score()
        self.adapted.eval()
        with torch.no_grad():
            for batch in self.get_eval_dataloader(_dataset(examples)):
                prepared = self._prepare_inputs(batch)
                rows = map(self._laid_out, rows_of(prepared, ROW_TOKENS)) if self._recomputing else [prepared]
                for row in rows:
                    score.add(*self._score_targets(row))
        self.adapted.train()
        return score.means()

    def _laid_out(self, row: Row) -> Batch:
        """What the model takes of a row, once its attention knows how long the examples are."""
        packed.lengths = row.lengths
        return {"input_ids": row.input_ids, "position_ids": row.position_ids, "labels": row.labels}

    def _score_targets(self, inputs: Batch) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Sum of losses, sum of correct predictions, number of targets."""
        labels = inputs["labels"][:, 1:]
        is_target = labels != IGNORED
        targets = labels[is_target]
        seen = {name: value for name, value in inputs.items() if name != "labels"}
        head: torch.nn.Module = self._causal.get_output_embeddings()  # type: ignore[no-untyped-call]
        config = self._causal.config.get_text_config()
        if not _is_frozen_product(head) or any(getattr(config, name, None) is not None for name in _HEAD_SCALES):
            logits = self._causal(**seen, use_cache=False).logits[:, :-1][is_target].float()
            loss = cross_entropy(logits, targets, reduction="sum")
            return loss, (logits.argmax(-1) == targets).sum(), targets.numel()
        hidden: torch.Tensor = self._causal.base_model(**seen, use_cache=False).last_hidden_state
        loss, correct = target_loss(hidden[:, :-1][is_target], cast(torch.Tensor, head.weight), targets)
        return loss, correct, targets.numel()


def _is_frozen_product(head: torch.nn.Module) -> bool:
    return type(head) is torch.nn.Linear and not any(
        name == "bias" or p.requires_grad for name, p in head.named_parameters()
    )


def _dataset(examples: TrainingSet) -> Dataset:
    return Dataset.from_dict({"input_ids": examples.input_ids, "labels": examples.labels})
