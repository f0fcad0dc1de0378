"""What is said of the trainer beforehand is what it does."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.models.needs import RANK, tokens_at_once
from pipeline.training import lora
from pipeline.training.lora import plan_training
from pipeline.training.protocol import JobSpec
from pipeline.training.tensors import TrainingSet


@pytest.mark.parametrize("longest", [1, 60, 268, 700, 1025, 2048])
@pytest.mark.parametrize("examples", [10, 99, 100, 315, 5000])
@pytest.mark.parametrize("batch_size", [None, 1, 6, 16])
def test_as_many_tokens_go_through_at_once_as_is_said(longest: int, examples: int, batch_size: int | None) -> None:
    spec = JobSpec("j", "lora", "m", Path("t"), None, 1, batch_size or "auto", "auto", 1, Path("w"))
    ids = [np.zeros(1, dtype=np.int32)] * examples
    trained = TrainingSet(ids, ids)
    plan = plan_training(spec, trained, 0, 2048)
    assert tokens_at_once(longest, examples, batch_size) == longest * lora._micro_batch(plan.batch_size, longest)


def test_the_adapter_is_as_large_as_is_said() -> None:
    assert RANK == lora.RANK
