"""Each kind of model goes the whole way, for real: it trains, resumes, and answers, alone and beside others."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from pipeline.inference.batching import Part
from pipeline.inference.engines import create_engine
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling
from pipeline.models.messages import ChatMessage
from pipeline.training.protocol import JobSpec, Report, Started, Step, Succeeded
from tests.tiny_models import KINDS, write_model

if TYPE_CHECKING:
    from pipeline.inference.resident_model import ResidentModel

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

WEIGHTS = "adapter/adapter_model.safetensors"
WHOLE_WAY = [name for name in KINDS if name != "qwen 3 instruct"]  # which differs in its template alone
ASKED = [
    "the hare was fast and is late",
    "what is it? It is slow. the slow tortoise wins, and the hare was fast and is late",
    "a",
]


class Killed(BaseException):
    """Ends a training where it stands, as a signal would."""


@pytest.fixture(scope="module", params=WHOLE_WAY)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(request.param.replace(" ", "-"))
    write_model(directory, KINDS[request.param])
    return directory


def train(spec: JobSpec, *, killed_after: int | None = None) -> list[Report]:
    from pipeline.training import lora

    said: list[Report] = []

    def report(report: Report) -> None:
        said.append(report)
        if isinstance(report, Step) and report.step == killed_after:
            raise Killed

    try:
        lora.train(spec, report, threading.Event(), checkpoint_every_s=0)
    except Killed:
        said.append(said[0])
    return said


def test_it_learns_and_resumes_with_the_same_weights_and_answers_beside_others_as_alone(
    model: Path, make_spec: Callable[..., JobSpec], tmp_path: Path
) -> None:
    spec = make_spec(trainer="lora", base_model=str(model), batch_size=2, learning_rate_multiplier=5.0)
    undisturbed = replace(spec, work_dir=tmp_path / "undisturbed")
    whole = train(undisturbed)
    assert isinstance(whole[-1], Succeeded)
    losses = [report.train_loss for report in whole if isinstance(report, Step)]
    assert losses[-1] < 0.9 * losses[0]

    train(spec, killed_after=5)
    resumed = train(spec)
    assert isinstance(resumed[0], Started)
    assert 4 <= resumed[0].first_step <= 5
    assert (spec.work_dir / WEIGHTS).read_bytes() == (undisturbed.work_dir / WEIGHTS).read_bytes()
    assert trained_parts(spec.work_dir / WEIGHTS) == {"down", "gate", "k", "o", "q", "up", "v"}

    tuned = ModelRef(str(model), spec.work_dir / "adapter")
    assert_answers_are_the_same_together(tuned)


def trained_parts(adapter: Path) -> set[str]:
    """All linear layers of a block, and nothing else, above all not the vocabulary's."""
    from safetensors import safe_open

    with safe_open(adapter, "pt") as file:
        return {name.split("_proj.")[0].rsplit(".", 1)[-1] for name in file.keys()}  # noqa: SIM118  # no dict


def assert_answers_are_the_same_together(tuned: ModelRef) -> None:
    engine = create_engine("lora", None)
    greedy = Sampling(temperature=0, max_tokens=10)

    def answer(text: str) -> tuple[str, int]:
        *pieces, finish = engine.generate(tuned, [ChatMessage("user", text)], greedy, lambda: False)
        assert isinstance(finish, Finish)
        return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), finish.completion_tokens

    alone = [answer(text) for text in ASKED]
    together: dict[int, tuple[str, int]] = {}

    def ask(number: int) -> None:
        together[number] = answer(ASKED[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(ASKED))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[number] for number in range(len(ASKED))] == alone


@pytest.fixture
def resident(model: Path) -> "ResidentModel":
    """In float32, where rounding is too small to hide behind."""
    import torch

    from pipeline.inference.resident_model import ResidentModel

    made = ResidentModel(model)
    torch.nn.Module.to(made._base, torch.float32)
    return made


def test_the_next_tokens_odds_are_those_of_the_model_without_a_cache_for_several_at_once(
    resident: "ResidentModel", model: Path
) -> None:
    """Some prompts are longer than a window, and the second is read in two parts."""
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache

    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    prompts = [resident.chat_format.prompt([ChatMessage("user", text)]) for text in ASKED]
    caches = [DynamicCache() for _ in prompts]
    seen = [list(prompts[0]), list(prompts[1][:9]), list(prompts[2])]
    new = [list(each) for each in seen]
    assert resident.packs
    for turn in range(4):
        logits = resident.forward(None, list(map(Part, new, caches)))
        for at, found in enumerate(logits):
            with torch.no_grad():
                expected = plain(input_ids=torch.tensor([seen[at]])).logits[0, -1]
            torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)
        new = [[int(found.argmax())] for found in logits]
        if turn == 0:
            new[1] = list(prompts[1][9:])
        seen = [before + after for before, after in zip(seen, new, strict=True)]


def test_a_model_of_each_kind_passes_the_check(model: Path) -> None:
    from pipeline.models.architectures import check_architecture
    from pipeline.models.chat_format import PROBE, ChatFormat
    from pipeline.models.device import check_config, check_model

    check_architecture(model)
    check_config(model)
    found = ChatFormat(model)
    check_model(model, found.example(PROBE, [False, True])[0], found.tokens())


def test_what_a_model_thinks_does_not_reach_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from pipeline.inference.resident_model import ResidentModel
    from pipeline.models.chat_format import ChatFormat

    write_model(tmp_path, KINDS["qwen 3"])
    found = ChatFormat(tmp_path)
    will_say = iter([*found._control.encode("<think>\nIs it fast?\n</think>\n\nIt is slow.").ids, min(found.stop_ids)])

    def forward(_: ResidentModel, __: object, parts: list[object]) -> list[torch.Tensor]:
        logits = torch.zeros(len(found._control.get_vocab()))
        logits[next(will_say)] = 9.0
        return [logits for _ in parts]

    monkeypatch.setattr(ResidentModel, "forward", forward)
    asked = [ChatMessage("user", "what is it?")]
    *pieces, finish = create_engine("lora", None).generate(
        ModelRef(str(tmp_path)), asked, Sampling(temperature=0, max_tokens=50), lambda: False
    )
    assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)) == "It is slow."
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
