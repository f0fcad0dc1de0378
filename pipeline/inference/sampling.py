"""How the next token is chosen. Imports torch."""

import math
from collections import Counter
from collections.abc import Callable

import torch

from pipeline.errors import InputError
from pipeline.inference.protocol import Sampling, TokenOdds

IMPOSSIBLE = -9999.0
"""Stands for the logarithm of nothing, which JSON cannot say (OpenAI API reference, chat completions, logprobs)."""

GREEDY_BELOW = 1e-6
"""Of a temperature this low, two logits that differ at all in float32 are as far apart as certain and impossible."""


class Sampler:
    """Chooses the tokens of one answer, in OpenAI's terms (API reference, chat completions)."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._chosen: Counter[int] = Counter()
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def choose(self, logits: torch.Tensor) -> int:
        """Choose from the logits of the next token, of shape (vocabulary,), float32 on the CPU; they are changed."""
        for token, count in self._chosen.items():
            logits[token] -= count * self._sampling.frequency_penalty + self._sampling.presence_penalty
        token = self._greedy(logits) if self._sampling.temperature < GREEDY_BELOW else self._random(logits)
        self._chosen[token] += 1
        return token

    @staticmethod
    def _greedy(logits: torch.Tensor) -> int:
        return int(logits.argmax())

    def _random(self, logits: torch.Tensor) -> int:
        """From the fewest most likely tokens that have `top_p` of the probability together."""
        scaled = (logits - logits.max()) / self._sampling.temperature  # at most 0: never too large to be a number
        if self._sampling.top_p == 1:  # all of them: in order or not, and to order them takes longer than all else here
            odds = scaled.softmax(-1)
            return int(torch.multinomial(odds, 1, generator=self._generator))
        odds, tokens = scaled.softmax(-1).sort(descending=True, stable=True)
        more_likely = odds.cumsum(-1) - odds
        odds[1:][more_likely[1:] >= self._sampling.top_p] = 0  # the most likely one stays whatever top_p is
        return int(tokens[torch.multinomial(odds, 1, generator=self._generator)])


class Choice:
    """The last token chosen for one answer.

    Args:
        where: names the model in errors.
        bytes_of: what a token stands for.

    Attributes:
        odds: the token's, and those of the likeliest others, if they were asked for.
    """

    def __init__(self, where: str, sampling: Sampling, bytes_of: Callable[[int], bytes]) -> None:
        self._where = where
        self._top = sampling.top_logprobs
        self._sampler = Sampler(sampling)
        self._bytes_of = bytes_of
        self.token = -1
        self.odds: TokenOdds | None = None

    def make(self, logits: torch.Tensor) -> None:
        """Choose from the logits of the next token: (vocabulary,), float32, on the CPU; they are changed.

        Raises:
            InputError: the model says nothing that could be chosen from.
        """
        check_numbers(self._where, logits.max().item())
        logprobs = None if self._top is None else logits.log_softmax(-1)
        self.token = self._sampler.choose(logits)
        if logprobs is not None:
            self.odds = token_odds(logprobs, self.token, self._top or 0, self._bytes_of)

    def skip(self, _: torch.Tensor) -> None:
        """Choose nothing: the prompt goes on."""


def check_numbers(where: str, best: float) -> None:
    """See that logits are numbers, by the largest of them; `where` names the model.

    Raises:
        InputError: one is none, which is the largest of all to torch.
    """
    if not math.isfinite(best):
        what = "its weights are damaged: what it computes is not a number"
        raise InputError(where, what, got=f"{best}", fix="Put its files back, or choose another model.")


def token_odds(logprobs: torch.Tensor, token: int, top: int, bytes_of: Callable[[int], bytes]) -> TokenOdds:
    """The odds of `token` and of the `top` likeliest, from all logarithms at its place: (vocabulary,), on the CPU."""
    best = logprobs.topk(min(top, len(logprobs)))
    likeliest = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return TokenOdds(
        bytes_of(token),
        max(logprobs[token].item(), IMPOSSIBLE),
        tuple(TokenOdds(bytes_of(other), max(logprob, IMPOSSIBLE)) for other, logprob in likeliest),
    )
