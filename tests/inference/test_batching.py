"""Who goes through the model with whom, and that nobody's numbers change by it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pipeline.errors import InputError
from pipeline.inference.batching import ROOM, Batcher, Part, Step

if TYPE_CHECKING:
    import torch

    from pipeline.inference.resident_model import ResidentModel

WAIT_S = 30.0
A, B = Path("a"), Path("b")


class Model:
    """Notes who comes together. The first pass lasts until it is told to go on."""

    def __init__(self, *, packs: bool = True) -> None:
        self.packs = packs
        self.passes: list[tuple[Path | None, list[str]]] = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.refuses: Exception | None = None

    def forward(self, adapter: Path | None, parts: Sequence[Part]) -> list[str]:
        self.passes.append((adapter, [str(part.cache) for part in parts]))
        if len(self.passes) == 1:
            self.entered.set()
            assert self.go_on.wait(WAIT_S)
        elif self.refuses is not None:
            raise self.refuses
        return [f"logits of {part.cache}" for part in parts]


def _all(model: Model, steps: list[tuple[str, Path | None, int]], *, refuses: str | None = None) -> dict[str, str]:
    """Ask for a step that keeps the model busy, then for others (name, adapter, tokens); what each was told.

    The one named `refuses` fails at what the model says.
    """
    batcher = Batcher()
    told: dict[str, str] = {}

    def ask(name: str, adapter: Path | None, tokens: int) -> None:
        def take(logits: "torch.Tensor") -> None:
            if name == refuses:
                raise InputError(name, "no number", fix="Choose another.")
            told[name] = str(logits)

        try:
            batcher.do(Step(cast("ResidentModel", model), adapter, [0] * tokens, cast(Any, name), take))
        except InputError as error:
            told[name] = str(error)

    threads = [threading.Thread(target=ask, args=("busy", A, 1))]
    threads[0].start()
    assert model.entered.wait(WAIT_S)
    for number, step in enumerate(steps, 1):  # one after the other, so that their order is known
        threads.append(threading.Thread(target=ask, args=step))
        threads[-1].start()
        deadline = time.monotonic() + WAIT_S
        while len(batcher.turn._waiting) < number:
            assert time.monotonic() < deadline
            threading.Event().wait(0.001)
    model.go_on.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return told


def test_those_who_wait_for_the_same_model_go_together() -> None:
    model = Model()

    told = _all(model, [("1", A, 1), ("2", B, 1), ("3", A, 1), ("4", None, 1), ("5", B, 1)])

    assert model.passes == [(A, ["busy"]), (A, ["1", "3"]), (B, ["2", "5"]), (None, ["4"])]
    assert told == {name: f"logits of {name}" for name in ("busy", "1", "2", "3", "4", "5")}


def test_a_model_that_cannot_tell_them_apart_takes_them_in_turns() -> None:
    model = Model(packs=False)

    _all(model, [("1", A, 1), ("2", A, 1)])

    assert model.passes == [(A, ["busy"]), (A, ["1"]), (A, ["2"])]


def test_long_prompts_do_not_all_join_one_pass() -> None:
    model = Model()

    _all(model, [("1", A, ROOM), ("2", A, ROOM - 1), ("3", A, ROOM), ("4", A, 1)])

    assert model.passes == [(A, ["busy"]), (A, ["1", "2", "4"]), (A, ["3"])]


def test_what_stops_a_pass_is_told_to_all_who_were_in_it() -> None:
    model = Model()
    model.refuses = InputError("b", "the adapter was deleted", fix="Ask another model.")

    told = _all(model, [("1", B, 1), ("2", B, 1)])

    refusal = "b: the adapter was deleted. Ask another model."
    assert told == {"busy": "logits of busy", "1": refusal, "2": refusal}


@pytest.mark.parametrize("refuses", ["1", "2", "3"])
def test_what_one_cannot_do_with_its_logits_is_told_to_nobody_else(refuses: str) -> None:
    model = Model()

    told = _all(model, [("1", B, 1), ("2", B, 1), ("3", B, 1)], refuses=refuses)

    assert model.passes == [(A, ["busy"]), (B, ["1", "2", "3"])]
    others = {name: f"logits of {name}" for name in ("busy", "1", "2", "3") if name != refuses}
    assert told == {**others, refuses: f"{refuses}: no number. Choose another."}


Ids = list[int]


@pytest.fixture
def resident(tiny_model: Path) -> "ResidentModel":
    """The tiny model in float32, where rounding is too small to hide behind."""
    import torch

    from pipeline.inference.resident_model import ResidentModel

    made = ResidentModel(tiny_model)
    torch.nn.Module.to(made._base, torch.float32)
    return made


@pytest.mark.parametrize(
    "rounds",
    [
        [[[5, 6, 7], [8, 9, 10, 11, 12]], [[13], [14]], [[15], [16]]],
        [[[5], [6, 7]], [[8, 9, 10], [11]], [[12], [13, 14]]],
        [[[5, 6]] * 8, [[7]] * 8],
    ],
    ids=["prompts, then token by token", "a prompt beside an answer", "eight"],
)
def test_a_part_gets_what_it_would_get_alone(resident: "ResidentModel", rounds: list[list[Ids]]) -> None:
    import torch
    from transformers import DynamicCache

    together, alone = ([DynamicCache() for _ in rounds[0]] for _ in range(2))
    assert resident.packs
    for parts in rounds:
        packed = resident.forward(None, list(map(Part, parts, together)))
        for got, ids, cache in zip(packed, parts, alone, strict=True):
            (expected,) = resident.forward(None, [Part(ids, cache)])
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_a_neighbour_changes_nothing(resident: "ResidentModel") -> None:
    import torch
    from transformers import DynamicCache

    def beside(neighbour: Ids) -> "torch.Tensor":
        mine, other = DynamicCache(), DynamicCache()
        resident.forward(None, [Part([5, 6, 7], mine), Part(neighbour, other)])
        return resident.forward(None, [Part([8], mine), Part([9], other)])[0]

    torch.testing.assert_close(beside([10, 11, 12]), beside([13, 14, 15]), atol=1e-5, rtol=1e-5)


def test_one_token_alone_is_computed_as_it_is_in_company(tiny_model: Path) -> None:
    import torch
    from transformers import DynamicCache

    from pipeline.inference.resident_model import ResidentModel

    coarse = ResidentModel(tiny_model)
    torch.nn.Module.to(coarse._base, torch.bfloat16)

    def after_a_prompt(neighbours: int) -> "torch.Tensor":
        caches = [DynamicCache() for _ in range(1 + neighbours)]
        for cache in caches:
            coarse.forward(None, [Part([5, 6, 7], cache)])
        return coarse.forward(None, [Part([8], cache) for cache in caches])[0]

    alone, *beside_others = [after_a_prompt(neighbours) for neighbours in (0, 1, 3, 7)]
    for beside in beside_others:
        torch.testing.assert_close(beside, alone, atol=0, rtol=0)
