"""The arithmetic of memory and time, held to what was measured."""

import pytest

from pipeline.models.machine import Machine, Measured
from pipeline.models.needs import memory_to_train, seconds_to_train
from pipeline.models.picks import Shape, picks

SMOLLM2_135M, SMOLLM2_360M = picks()[0].shape, picks()[1].shape
MEASURED_ON = Machine(1, Measured("cpu", "", "float32", 66.7e9, 9.35e9), 24 * 10**9, 12 * 10**9)


@pytest.mark.parametrize(
    ("shape", "tokens", "gigabytes"),
    [(SMOLLM2_135M, 498, 1.82), (SMOLLM2_135M, 1018, 3.13), (SMOLLM2_135M, 2048, 3.15), (SMOLLM2_360M, 810, 3.78)],
)
def test_memory_is_what_a_training_took(shape: Shape, tokens: int, gigabytes: float) -> None:
    assert memory_to_train(shape, "float32", tokens) / 1e9 == pytest.approx(gigabytes, rel=0.13)


def test_a_gpu_keeps_all_and_takes_more_at_once() -> None:
    cpu, gpu = (
        {tokens: memory_to_train(SMOLLM2_360M, "bfloat16", tokens, device) for tokens in (512, 1024, 2048)}
        for device in ("cpu", "cuda")
    )
    assert gpu[1024] == gpu[2048]
    assert all(gpu[tokens] > cpu[tokens] for tokens in cpu)


@pytest.mark.parametrize("a_second", [98.5, 113])
def test_time_is_what_a_training_took(a_second: float) -> None:
    assert seconds_to_train(SMOLLM2_135M, MEASURED_ON, 1000) == pytest.approx(1000 / a_second, rel=0.15)


def test_what_was_not_measured_has_no_time() -> None:
    assert seconds_to_train(SMOLLM2_135M, Machine(2, None, None, None), 1000) is None


def test_two_cores_are_half_as_fast_again_and_a_gpu_is_one() -> None:
    one, two = (Machine(cores, MEASURED_ON.measured, None, None).threads for cores in (1, 2))
    assert one == 1.0
    assert two == pytest.approx(1.62, rel=0.01)
    assert Machine(16, Measured("cuda", "A GPU", "bfloat16", 1e14, 1e12, 8 * 10**9), None, None).threads == 1.0
