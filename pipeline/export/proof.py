"""Whether an exported model says what the served one says: token by token, greedily. Imports torch.

The served answers are made by what serves chats (inference/resident_model.py). Wherever the exported model chooses
another token, the served model's two best are looked at: if they are further apart than the threshold, the export is
no good. If they are nearer, rounding decides between them; that is counted, and the comparison goes on behind the
served model's token.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import DynamicCache

from pipeline.errors import ExpectationNotMet
from pipeline.inference.batching import Part
from pipeline.inference.resident_model import ResidentModel
from pipeline.models.chat_format import ChatFormat
from pipeline.models.messages import ChatMessage
from pipeline.wording import counted

NEAR = {"f32": 0.05, "f16": 0.1, "bfloat16": 0.25, "q8_0": 0.5}
"""How far apart (nats) the served model's two best tokens may be where rounding to this precision decides."""

Ask = Callable[[Sequence[int], int], tuple[list[int], list[float]]]
"""The next tokens after these, at most so many and greedily, and the logarithm of each one's probability."""


class Answer(NamedTuple):
    """A served answer: its tokens with the one that ends it, their log-probabilities, and how far the next best are."""

    prompt: list[int]
    tokens: list[int]
    odds: list[float]
    margins: list[float]


class Compared(NamedTuple):
    """What a comparison found; `furthest` is the largest difference between log-probabilities of the same token."""

    answers: int
    tokens: int
    ties: int
    furthest: float
    mean: float

    def line(self, by: str, near: float) -> str:
        """In words."""
        same = f"{self.tokens - self.ties:,} of {counted(self.tokens, 'token')} of {counted(self.answers, 'answer')}"
        tied = f", {self.ties:,} others where the served model's two best are within {near} nats" if self.ties else ""
        return (
            f"proved with {by}: {same} the same as served{tied}; log-probabilities differ by {self.mean:.4f} nats on "
            f"average, {self.furthest:.4f} at most (a difference at more than {near} nats fails)"
        )


def served(base: Path, adapter: Path, chats: Sequence[Sequence[ChatMessage]], most: int) -> list[Answer]:
    """The answers of the served model."""
    resident = ResidentModel(base)
    resident.load(adapter)
    return [_answer(resident, adapter, resident.chat_format.prompt(chat), most) for chat in chats]


def _answer(resident: ResidentModel, adapter: Path, prompt: list[int], most: int) -> Answer:
    found, cache, ids = Answer(prompt, [], [], []), DynamicCache(), prompt
    while len(found.tokens) < most:
        (logits,) = resident.forward(adapter, [Part(ids, cache)])
        best = torch.log_softmax(logits, -1).topk(2)
        token = int(best.indices[0])
        found.tokens.append(token)
        found.odds.append(float(best.values[0]))
        found.margins.append(float(best.values[0] - best.values[1]))
        if token in resident.chat_format.stop_ids:
            break
        ids = [token]
    return found


def compare(answers: Sequence[Answer], ask: Ask, chat_format: ChatFormat, near: float) -> Compared:
    """Ask for the same answers.

    Raises:
        ExpectationNotMet: they differ where rounding cannot be to blame.
    """
    ties, far = 0, []
    for number, answer in enumerate(answers, start=1):
        at = 0
        while at < len(answer.tokens):
            expected = answer.tokens[at:]
            said, odds = ask([*answer.prompt, *answer.tokens[:at]], len(expected))
            same = _same(expected, said, chat_format.stop_ids)
            far += [abs(a - b) for a, b in zip(odds[:same], answer.odds[at : at + same], strict=False)]
            at += same
            if at < len(answer.tokens):
                if answer.margins[at] > near:
                    raise _parted(number, at, answer, said[same:], chat_format)
                ties, at = ties + 1, at + 1
    tokens = sum(len(answer.tokens) for answer in answers)
    return Compared(len(answers), tokens, ties, max(far, default=0.0), sum(far) / max(1, len(far)))


def _same(expected: Sequence[int], said: Sequence[int], stop_ids: Collection[int]) -> int:
    """How many tokens agree; a program that does not show the token that ended its answer has said it."""
    same = 0
    for one, other in zip(expected, said, strict=False):
        if one != other:
            return same
        same += 1
    if same == len(said) < len(expected) and expected[same] in stop_ids:
        same += 1
    return same


def _parted(number: int, at: int, answer: Answer, said: Sequence[int], chat_format: ChatFormat) -> ExpectationNotMet:
    served_text, text = chat_format.decode(answer.tokens[at:]), chat_format.decode(said)
    return ExpectationNotMet(
        "export",
        f"the exported model says something else than the served one: answer {number}, after {counted(at, 'token')}; "
        f"served {served_text[:80]!r}, exported {text[:80]!r}, where the served model's best token is "
        f"{answer.margins[at]:.2f} nats before its next",
        fix="Nothing was kept. Export with `--to adapter`, or with another --quant.",
    )
