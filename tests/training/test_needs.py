"""What is said of the trainer beforehand is what it does."""

from pathlib import Path

import pytest

from pipeline.models import needs
from pipeline.models.needs import tokens_at_once
from pipeline.models.picks import shape_of
from pipeline.training import lora, recomputing
from pipeline.training.rows import ROW_TOKENS, rows_of


@pytest.mark.parametrize("longest", [1, 60, 268, 700, 1025, 2048])
@pytest.mark.parametrize("batch_size", [1, 6, 7, 16])
def test_as_many_tokens_go_through_at_once_as_is_said(longest: int, batch_size: int) -> None:
    import torch

    padded = torch.zeros(batch_size, longest, dtype=torch.long)
    rows = rows_of({"input_ids": padded, "labels": padded, "attention_mask": torch.ones_like(padded)}, ROW_TOKENS)
    said = tokens_at_once(longest, 5000, batch_size)
    assert max(sum(row.lengths) for row in rows) <= said
    assert said == longest or said <= ROW_TOKENS


@pytest.mark.parametrize(("examples", "batch_size"), [(10, 1), (99, 1), (100, 2), (315, 6), (5000, 8)])
def test_where_the_trainer_chooses_the_batch_that_is_known(examples: int, batch_size: int) -> None:
    assert tokens_at_once(3, examples, None) == 3 * batch_size


def test_the_trainers_constants_are_what_is_said() -> None:
    assert (needs.RANK, needs.ROW_TOKENS, needs.KEPT_BYTES) == (lora.RANK, ROW_TOKENS, recomputing.KEPT_BYTES)


def test_a_layer_keeps_as_much_as_is_said(tiny_model: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.models.device import load_model
    from pipeline.training.packed_attention import use_packed_attention

    model = load_model(tiny_model, "float32", torch.device("cpu"))
    assert use_packed_attention(model)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=lora.RANK, target_modules="all-linear"))
    lora._quicken(adapted)
    shape = shape_of(str(tiny_model))
    assert shape is not None
    kept = recomputing._kept_of_a_token(model)
    assert kept == pytest.approx(4 * shape.layers * needs._kept_of_a_token(shape), rel=0.1)
