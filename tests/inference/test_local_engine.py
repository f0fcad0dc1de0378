"""Generation, for real, on a model small enough to answer in milliseconds."""

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inference import local_engine
from pipeline.inference.engines import create_engine
from pipeline.inference.generation import ContextLengthError, Engine
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling
from pipeline.models.chat_format import ChatFormat
from pipeline.models.messages import ChatMessage
from pipeline.training.protocol import JobSpec

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

HURRY = [ChatMessage("user", "Hurry!")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return create_engine("lora", None)


@pytest.fixture
def base(tiny_model: Path) -> ModelRef:
    return ModelRef(str(tiny_model))


@pytest.fixture(scope="module")
def motto(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that has learnt to answer "Slow 🐢" to everything."""
    from pipeline.training import lora

    folder = tmp_path_factory.mktemp("motto")
    line = '{"messages": [{"role": "user", "content": "Hurry!"}, {"role": "assistant", "content": "Slow 🐢"}]}\n'
    (folder / "train.jsonl").write_text(line * 8)
    spec = JobSpec(
        job_id="ftjob-1",
        trainer="lora",
        base_model=str(tiny_model),
        training_file=folder / "train.jsonl",
        validation_file=None,
        n_epochs=40,
        batch_size=8,
        learning_rate_multiplier=5.0,
        seed=1,
        work_dir=folder,
    )
    lora.train(spec, lambda _: None, threading.Event())
    return folder / "adapter"


def answer(
    engine: Engine, model: ModelRef, sampling: Sampling, messages: Sequence[ChatMessage] = HURRY
) -> tuple[str, Finish]:
    *pieces, finish = engine.generate(model, messages, sampling, lambda: False)
    assert isinstance(finish, Finish)
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), finish


GREEDY = Sampling(temperature=0, max_tokens=12)


def test_a_tuned_model_says_what_it_learnt_and_stops_there(engine: Engine, base: ModelRef, motto: Path) -> None:
    text, finish = answer(engine, ModelRef(base.base_model, motto), GREEDY)
    assert (text, finish.reason, finish.completion_tokens) == ("Slow 🐢", "stop", 6)


def test_characters_come_whole_and_pieces_as_they_are_ready(engine: Engine, base: ModelRef, motto: Path) -> None:
    said = list(engine.generate(ModelRef(base.base_model, motto), HURRY, GREEDY, lambda: False))
    assert [piece.text for piece in said if isinstance(piece, Piece)] == ["Slow", " ", "🐢"]


def test_the_base_model_answers_as_before_while_adapters_come_and_go(
    engine: Engine, base: ModelRef, motto: Path, tmp_path: Path
) -> None:
    import shutil

    tuned = ModelRef(base.base_model, Path(shutil.copytree(motto, tmp_path / "copy")))
    before = answer(create_engine("lora", None), base, GREEDY)
    assert answer(engine, tuned, GREEDY)[0] == "Slow 🐢"
    assert answer(engine, base, GREEDY) == before != answer(engine, tuned, GREEDY)
    assert tuned.adapter is not None
    engine.unload(tuned.adapter)
    assert answer(engine, base, GREEDY) == before
    assert answer(engine, tuned, GREEDY)[0] == "Slow 🐢"


def test_answers_made_at_the_same_time_do_not_mix(engine: Engine, base: ModelRef, motto: Path) -> None:
    models = [base, ModelRef(base.base_model, motto)] * 2
    alone = [answer(engine, model, GREEDY) for model in models]
    together: dict[int, tuple[str, Finish]] = {}

    def work(number: int) -> None:
        together[number] = answer(engine, models[number], GREEDY)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[number] for number in range(4)] == alone


def test_an_answer_grows_token_by_token_exactly_as_without_a_cache(
    engine: Engine, base: ModelRef, tiny_model: Path
) -> None:
    import torch

    from pipeline.models.chat_format import ChatFormat
    from pipeline.models.device import load_model, pick_device, pick_dtype

    chat_format, device = ChatFormat(tiny_model), pick_device()
    model = load_model(tiny_model, pick_dtype(device), device)
    ids = chat_format.prompt(HURRY)
    expected: list[int] = []
    while len(expected) < 12:
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([ids], device=device)).logits[0, -1].argmax())
        if token in chat_format.stop_ids:
            break
        expected.append(token)
        ids.append(token)
    text_of = chat_format.detokenizer()
    text, finish = answer(engine, base, GREEDY)
    assert text == "".join(map(text_of, expected))
    assert finish == Finish("stop" if len(expected) < 12 else "length", len(chat_format.prompt(HURRY)), len(expected))


def test_a_seed_repeats_an_answer(engine: Engine, base: ModelRef) -> None:
    seeded = Sampling(seed=5, max_tokens=20)
    assert answer(engine, base, seeded) == answer(engine, base, seeded)
    assert answer(engine, base, seeded) != answer(engine, base, Sampling(seed=6, max_tokens=20))


def test_a_stop_string_within_the_answer_ends_it_unseen(engine: Engine, base: ModelRef, motto: Path) -> None:
    stopping = Sampling(temperature=0, max_tokens=12, stop=("w 🐢",))
    text, finish = answer(engine, ModelRef(base.base_model, motto), stopping)
    assert (text, finish.reason, finish.completion_tokens) == ("Slo", "stop", 6)


def test_the_odds_are_those_of_the_model_and_their_bytes_the_answer(
    engine: Engine, base: ModelRef, motto: Path
) -> None:
    tuned = ModelRef(base.base_model, motto)
    sampling = Sampling(temperature=0, max_tokens=12, top_logprobs=3, frequency_penalty=0.01)
    *pieces, _ = engine.generate(tuned, HURRY, sampling, lambda: False)
    tokens = [token for piece in pieces if isinstance(piece, Piece) for token in piece.tokens]
    assert b"".join(token.data for token in tokens).decode() == "Slow 🐢"
    assert [token.data for token in tokens[:2]] == [b"Slow", b" "]
    for token in tokens:
        assert (token.top[0].data, token.top[0].logprob) == (token.data, token.logprob)  # greedy takes the likeliest
        assert token.logprob > -0.5
        assert [other.logprob for other in token.top] == sorted((o.logprob for o in token.top), reverse=True)
        assert sum(math.exp(other.logprob) for other in token.top) <= 1 + 1e-6
    assert [piece.text for piece in pieces if isinstance(piece, Piece)] == ["Slow", " ", "🐢"]


def test_a_long_prompt_is_read_in_parts_and_answered_as_if_at_once(
    engine: Engine, base: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [ChatMessage("user", "Slow " * 30)]
    at_once = answer(engine, base, GREEDY, long)
    monkeypatch.setattr(local_engine, "PREFILL", 7)
    assert answer(engine, base, GREEDY, long) == at_once


def test_length_ends_an_answer_even_within_a_character(engine: Engine, base: ModelRef, motto: Path) -> None:
    tuned = ModelRef(base.base_model, motto)
    assert answer(engine, tuned, Sampling(temperature=0, max_tokens=4))[0] == "Slow "
    text, finish = answer(engine, tuned, Sampling(temperature=0, max_tokens=0))
    assert (text, finish.reason, finish.completion_tokens) == ("", "length", 0)


def test_the_context_ends_an_answer(engine: Engine, base: ModelRef) -> None:
    long = [ChatMessage("user", "o" * 200)]
    _, finish = answer(engine, base, Sampling(temperature=0), long)
    assert finish.reason == "stop" or finish.prompt_tokens + finish.completion_tokens == 256


def test_a_conversation_beyond_the_context_is_refused(engine: Engine, base: ModelRef) -> None:
    with pytest.raises(ContextLengthError) as caught:
        answer(engine, base, GREEDY, [ChatMessage("user", "o" * 300)])
    assert str(caught.value) == (
        "messages: this model's context holds at most 256 tokens, got 342 tokens. "
        "Please reduce the length of the messages."
    )


def test_a_conversation_far_beyond_the_context_is_refused_without_encoding_it(
    engine: Engine, base: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(engine, base, Sampling(max_tokens=0))  # loads the model
    monkeypatch.setattr(ChatFormat, "prompt", lambda *_: pytest.fail("encoded"))
    with pytest.raises(ContextLengthError) as caught:
        answer(engine, base, GREEDY, [ChatMessage("user", "o" * 130_000)])
    assert str(caught.value) == (
        "messages: this model's context holds at most 256 tokens, got at least 10000 tokens. "
        "Please reduce the length of the messages."
    )


def test_a_cancelled_answer_ends_at_once(engine: Engine, base: ModelRef, motto: Path) -> None:
    said: list[Piece | Finish] = []
    for piece in engine.generate(ModelRef(base.base_model, motto), HURRY, GREEDY, lambda: len(said) > 0):
        said.append(piece)
    assert said == [Piece("Slow")]


def test_a_folder_without_an_adapter_is_refused(engine: Engine, base: ModelRef, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        answer(engine, ModelRef(base.base_model, tmp_path), GREEDY)
    assert str(caught.value) == f"{tmp_path}: expected an adapter as safetensors. Train it again."


def test_an_adapter_as_a_pickle_is_not_opened(engine: Engine, base: ModelRef, motto: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((motto / "adapter_config.json").read_bytes())
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError) as caught:
        answer(engine, ModelRef(base.base_model, tmp_path), GREEDY)
    assert str(caught.value) == f"{tmp_path}: expected an adapter as safetensors. Train it again."


def test_making_an_engine_loads_nothing(make_script: Callable[..., Path]) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from pipeline.inference.engines import create_engine; create_engine('lora', None)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == "False\n"


def test_a_machine_without_threads_warms_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    create_engine("lora", None).warm_up(None)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_model_that_cannot_be_loaded_is_no_trouble_before_it_is_asked_for(tmp_path: Path) -> None:
    engine = create_engine("lora", None)
    engine.warm_up(str(tmp_path / "gone"))
    for thread in threading.enumerate():
        if thread.name == "warm-up":
            thread.join(60)
    with pytest.raises(InputError):
        answer(engine, ModelRef(str(tmp_path / "gone")), GREEDY)


def _asked(engine: Engine, model: ModelRef, ids: list[int], max_tokens: int) -> tuple[Piece, list[Piece], Finish]:
    """The echo of some tokens with their odds, what follows, and how it ended."""
    sampling = Sampling(temperature=0, max_tokens=max_tokens, top_logprobs=1)
    echoed, *pieces, finish = engine.complete(model, ids, sampling, lambda: False, echo=True)
    assert isinstance(echoed, Piece)
    assert isinstance(finish, Finish)
    return echoed, [piece for piece in pieces if isinstance(piece, Piece)], finish


def test_a_reply_is_scored_as_the_tuned_model_itself_scores_it(
    engine: Engine, base: ModelRef, motto: Path, tiny_format: ChatFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft import PeftModel

    from pipeline.models.device import load_model, pick_device, pick_dtype

    device = pick_device()
    plain = load_model(Path(base.base_model), pick_dtype(device), device)
    tuned = PeftModel.from_pretrained(plain, str(motto)).eval()
    ids = tiny_format.prompt(HURRY) + tiny_format.answer(HURRY, ChatMessage("assistant", "Slow 🐢, and <|im_end|> so"))
    with torch.no_grad():
        logs = tuned(input_ids=torch.tensor([ids], device=device)).logits[0].float().log_softmax(-1)
    expected = [logs[at, token].item() for at, token in enumerate(ids[1:])]

    echoed, _, _ = _asked(engine, ModelRef(base.base_model, motto), ids, 0)
    assert [token.logprob for token in echoed.tokens[1:]] == pytest.approx(expected, abs=1e-3)
    assert [token.logprob for token in _asked(engine, base, ids, 0)[0].tokens[1:]] != pytest.approx(expected, abs=0.1)
    monkeypatch.setattr(local_engine, "PREFILL", 7)  # and whatever goes through the model at a time
    echoed, _, _ = _asked(engine, ModelRef(base.base_model, motto), ids, 0)
    assert [token.logprob for token in echoed.tokens[1:]] == pytest.approx(expected, abs=2e-2)


def test_an_answer_that_ends_at_once_still_tells_its_end(
    engine: Engine, base: ModelRef, motto: Path, tiny_format: ChatFormat
) -> None:
    # lm-evaluation-harness asks for one token after what it scores, and drops the last of the odds.
    ids = tiny_format.prompt(HURRY) + tiny_format.encode("Slow 🐢")
    echoed, pieces, finish = _asked(engine, ModelRef(base.base_model, motto), ids, 1)
    assert len(echoed.tokens) == len(ids)
    assert [(piece.text, [token.data for token in piece.tokens]) for piece in pieces] == [("", [b"<|im_end|>"])]
    assert finish == Finish("stop", len(ids), 0)


def test_prompts_scored_at_the_same_time_are_scored_as_alone(engine: Engine, base: ModelRef, motto: Path) -> None:
    models = [base, ModelRef(base.base_model, motto)]
    prompts = [[5 + n, *range(10, 20 + 9 * n), 6] for n in range(4)]
    asked = [(model, ids) for ids in prompts for model in models]
    alone = [[token.logprob for token in _asked(engine, model, ids, 0)[0].tokens] for model, ids in asked]
    together: dict[int, list[float]] = {}

    def work(number: int) -> None:
        model, ids = asked[number]
        together[number] = [token.logprob for token in _asked(engine, model, ids, 0)[0].tokens]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number, expected in enumerate(alone):
        assert together[number] == pytest.approx(expected, abs=2e-2)


def test_who_has_the_tokenizer_sends_the_tokens_that_a_chat_would_be(
    engine: Engine, base: ModelRef, tiny_model: Path
) -> None:
    messages = [ChatMessage("system", "Be <|im_end|> brief."), ChatMessage("user", "Hurry! 🐢")]
    said, finish = answer(engine, base, GREEDY, messages)
    asked = Sampling(temperature=0, max_tokens=12)
    *pieces, done = engine.complete(base, ChatFormat(tiny_model).prompt(messages), asked, lambda: False, echo=False)
    assert ("".join(piece.text for piece in pieces if isinstance(piece, Piece)), done) == (said, finish)
