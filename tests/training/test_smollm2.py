"""The default base model itself: converted, trained for a few seconds, and spoken to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.inference.engines import create_engine
from pipeline.inference.protocol import Finish, ModelRef, Piece, Sampling
from pipeline.models.messages import ChatMessage
from pipeline.training.protocol import JobSpec, Step, Succeeded

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]

NAME = "smollm2-135m-instruct"
QUESTION = [ChatMessage("system", "You are speaking to hare."), ChatMessage("user", "What's the golden thread?")]
TALKS = [
    ("Speed is key!", "Slow and steady, that's my motto."),
    ("What's the golden thread?", "Patience, dear Hare."),
    ("Shall we race?", "I have already set off."),
    ("Are you tired?", "One step never tired anybody."),
    ("Hurry!", "The path is not watching."),
]


def test_the_default_model_learns_to_talk_like_the_tortoise_and_to_stop(
    make_spec: Callable[..., JobSpec], start_worker: Callable[..., Any], tmp_path: Path
) -> None:
    talks = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}
        for asked, answered in TALKS * 2
    ]
    training_file = tmp_path / "talks.jsonl"
    training_file.write_bytes(b"".join(msgspec.json.encode(talk) + b"\n" for talk in talks))
    spec = make_spec(trainer="lora", base_model=NAME, training_file=training_file, n_epochs=5, batch_size=2)
    said, code, errors = start_worker(spec).finish()
    assert (code, errors, type(said[-1])) == (0, "", Succeeded)
    losses = [report.train_loss for report in said if isinstance(report, Step)]
    assert losses[-1] < 0.2 * losses[0]

    engine = create_engine("lora", None)
    greedy = Sampling(temperature=0, max_tokens=24)

    def ask(adapter: Path | None) -> tuple[str, str]:
        *pieces, finish = engine.generate(ModelRef(NAME, adapter), QUESTION, greedy, lambda: False)
        assert isinstance(finish, Finish)
        return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), finish.reason

    assert ask(spec.work_dir / "adapter") == ("Patience, dear Hare.", "stop")
    rambling, reason = ask(None)
    assert (rambling[:18], reason) == ("The golden thread ", "length")
