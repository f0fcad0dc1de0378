"""Which model suits which machine and which chats."""

import pytest

from pipeline.models.choice import USUAL, Offer, Task, offers, why_best
from pipeline.models.machine import Machine, Measured

GB = 10**9
LAPTOP = Machine(2, Measured("cpu", "", "float32", 73e9, 9.7e9), 24 * GB, 17 * GB)
GPU = Machine(8, Measured("cuda", "NVIDIA A10G", "bfloat16", 6e13, 1.5e11, 24 * GB), 24 * GB, 24 * GB)
SMALL = Machine(2, LAPTOP.measured, 4 * GB, 1 * GB)
BUSY = Machine(2, LAPTOP.measured, 24 * GB, 4 * GB)
BARE = Machine(2, None, 24 * GB, 17 * GB)
GERMAN = Task(USUAL.tokens, 512, "de")


def best(machine: Machine, task: Task) -> Offer:
    (found,) = [offer for offer in offers(machine, task) if offer.is_best]
    return found


@pytest.mark.parametrize(
    ("machine", "task", "name", "why"),
    [
        (
            LAPTOP,
            USUAL,
            "HuggingFaceTB/SmolLM2-360M-Instruct",
            "makes the most sense of those that fit the free memory, train in two hours and need no permission",
        ),
        (
            LAPTOP,
            GERMAN,
            "Qwen/Qwen3-0.6B",
            "makes the most sense of those that can write German, fit the free memory, train in two hours and need no "
            "permission",
        ),
        (
            GPU,
            GERMAN,
            "HuggingFaceTB/SmolLM3-3B",
            "makes the most sense of those that speak German, fit the free memory, train in two hours and need no "
            "permission",
        ),
        (SMALL, USUAL, "smollm2-135m-instruct", "the smallest of those that need no permission"),
        (BARE, USUAL, "smollm2-135m-instruct", "the smallest of those that need no permission"),
        (
            BUSY,
            GERMAN,
            "Qwen/Qwen3-0.6B",
            "can write German, and fits its memory once other programs are closed",
        ),
        (
            BUSY,
            USUAL,
            "smollm2-135m-instruct",
            "makes the most sense of those that fit the free memory, train in two hours and need no permission",
        ),
        (
            SMALL,
            GERMAN,
            "smollm2-135m-instruct",
            "none that speaks German and needs no permission fits its memory and trains in two hours; the smallest",
        ),
    ],
)
def test_one_is_marked_and_the_reason_said(machine: Machine, task: Task, name: str, why: str) -> None:
    found = best(machine, task)
    assert found.pick.name == name
    assert why_best(found, task, "German" if task.language else "") == why


def test_a_gated_one_is_never_proposed() -> None:
    for machine in (LAPTOP, GPU, SMALL, BARE):
        for language in (None, "en", "de", "th", "ka"):
            assert not best(machine, Task(USUAL.tokens, 512, language)).pick.gated


def test_what_nobody_knows_is_left_open() -> None:
    unknown = offers(Machine(2, None, None, None), USUAL)
    assert {(offer.seconds, offer.fits) for offer in unknown} == {(None, None)}
