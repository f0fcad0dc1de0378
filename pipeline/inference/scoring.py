"""The odds of a prompt's own tokens, from the logits of one forward pass over it. Imports torch."""

import itertools
from collections.abc import Callable, Sequence

import torch

from pipeline.inference.protocol import TokenOdds
from pipeline.inference.sampling import IMPOSSIBLE, check_numbers

_ROWS = 64
"""Of logits that are made float32 at a time: those of a whole prompt may take a gigabyte."""


class Scores:
    """How likely each token of a prompt is after those before it.

    Args:
        where: names the model in errors.
        prompt: its token ids.
        top: how many of the likeliest tokens are told at each place.
        bytes_of: what a token stands for.

    Attributes:
        odds: of the tokens so far; before the first one nothing stands, so its own say nothing.
    """

    def __init__(self, where: str, prompt: Sequence[int], top: int, bytes_of: Callable[[int], bytes]) -> None:
        self._where = where
        self._prompt = prompt
        self._top = top
        self._bytes_of = bytes_of
        self.odds = [TokenOdds(bytes_of(prompt[0]), 0.0)]

    def take(self, logits: torch.Tensor) -> None:
        """Score the tokens after the next ones of the prompt, from the logits at those: (tokens, vocabulary).

        Raises:
            InputError: the model says nothing that could be scored.
        """
        for rows in torch.split(logits, _ROWS):
            begin = len(self.odds)
            targets = self._prompt[begin : begin + len(rows)]
            if targets:  # after the last token of a prompt nothing is to be scored
                self._score(rows[: len(targets)].float(), targets)

    def _score(self, logits: torch.Tensor, targets: Sequence[int]) -> None:
        check_numbers(self._where, logits.max().item())
        logprobs = logits.log_softmax(-1)
        chosen = logprobs.gather(1, torch.tensor(targets, device=logits.device)[:, None])[:, 0].tolist()
        best = logprobs.topk(min(self._top, logprobs.shape[1]))
        for target, logprob, others, theirs in zip(
            targets, chosen, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            likeliest = tuple(itertools.starmap(self._told, zip(others, theirs, strict=True)))
            self.odds.append(self._told(target, logprob, likeliest))

    def _told(self, token: int, logprob: float, top: tuple[TokenOdds, ...] = ()) -> TokenOdds:
        return TokenOdds(self._bytes_of(token), max(logprob, IMPOSSIBLE), top)
