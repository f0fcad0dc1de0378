"""TRL's DPOTrainer over pairs of answers that are tokenised here. Imports torch."""

from typing import cast

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from pipeline.models.chat_format import ChatFormat
from pipeline.training.tensors import PairSet


class _Score:
    """Sums over pairs of answers."""

    def __init__(self) -> None:
        self._loss, self._accuracy, self._pairs = 0.0, 0.0, 0

    def add(self, loss: float, accuracy: float, pairs: int) -> None:
        """Count a batch, by its means."""
        self._loss += loss * pairs
        self._accuracy += accuracy * pairs
        self._pairs += pairs

    def means(self) -> tuple[float, float]:
        """Loss per pair and accuracy."""
        return self._loss / self._pairs, self._accuracy / self._pairs


class PreferenceTrainer(DPOTrainer):
    """Trains an adapter to prefer one answer of two, and keeps the score of the pairs it trained on.

    What the model was before is itself without the adapter, so it is in memory once.

    Attributes:
        adapted: the base model with its adapter.
    """

    def __init__(
        self, model: PreTrainedModel, lora: LoraConfig, args: DPOConfig, pairs: PairSet, chat_format: ChatFormat
    ) -> None:
        self._score = _Score()
        super().__init__(
            model=model,
            args=args,
            train_dataset=_dataset(pairs),
            processing_class=chat_format.tokenizer,
            peft_config=lora,
        )
        self.adapted = cast(PeftModel, self.model)

    def take_score(self) -> tuple[float, float]:
        """Loss per pair and accuracy of all that was trained on since the last time.

        The accuracy is that of the preferred answers' tokens, as in events of OpenAI's.
        """
        means, self._score = self._score.means(), _Score()
        return means

    def measure(self, pairs: PairSet) -> tuple[float, float]:
        """Loss per pair and accuracy on other pairs."""
        trained, self._score = self._score, _Score()
        self.adapted.eval()
        with torch.no_grad():
            for batch in self.get_eval_dataloader(_dataset(pairs)):
                self.compute_loss(self.adapted, self._prepare_inputs(batch))
        self.adapted.train()
        measured, self._score = self._score.means(), trained
        return measured

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """TRL's loss, noted in the score."""
        loss: torch.Tensor = super().compute_loss(  # type: ignore[no-untyped-call]  # TRL has no types
            model, inputs, return_outputs, num_items_in_batch
        )
        metrics = self._metrics["train" if self.adapted.training else "eval"]
        self._score.add(loss.item(), metrics["mean_token_accuracy"][-1], len(inputs["input_ids"]) // 2)
        metrics.clear()  # nobody asks for the log that they are for
        return loss

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        """The examples are ready: tokenised and cut."""
        return dataset


def _dataset(pairs: PairSet) -> Dataset:
    return Dataset.from_dict(
        {"prompt_ids": pairs.prompt_ids, "chosen_ids": pairs.preferred_ids, "rejected_ids": pairs.other_ids}
    )
