"""Small language models that are really trained: they count which word follows which words, and sample from that.

A neural model of a size that a test can train says nothing that anybody could judge. These show what an evaluation must
tell apart: what was learnt, what was learnt by heart, and what was spoilt.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pipeline.evaluation.asking import Asked, Odds, Said
from pipeline.models.messages import ChatMessage

_END = "\n"


class Ngram:
    """The likelihood of a word after up to `reach` words.

    Attributes:
        trust: of what follows the longest known words, against what follows fewer of them: near 1 it knows by heart.
    """

    def __init__(self, texts: Sequence[str], *, reach: int, trust: float, words: Sequence[str]) -> None:
        """Count; each of `words` is known, if only as one of many."""
        self._trust, self._reach = trust, reach
        self._words = [*sorted(set(words)), _END]
        self._follows: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            said = [*text.split(), _END]
            for at, word in enumerate(said):
                for length in range(min(at, reach) + 1):
                    self._follows[tuple(said[at - length : at])][word] += 1

    def chance(self, before: Sequence[str], word: str) -> float:
        """Interpolated from the shortest to the longest known words before it."""
        found = 1 / len(self._words)
        for length in range(min(len(before), self._reach) + 1):
            counts = self._follows.get(tuple(before[len(before) - length :]))
            if counts:
                found = self._trust * counts[word] / counts.total() + (1 - self._trust) * found
        return found

    def say(self, seed: int, temperature: float, most: int, begun: Sequence[str] = ()) -> Said:
        """Go on from what is begun."""
        chosen, said = random.Random(seed), list(begun)
        while len(said) < most:
            odds = [self.chance(said, word) ** (1 / max(temperature, 0.05)) for word in self._words]
            word = chosen.choices(self._words, odds)[0]
            if word == _END:
                return Said(" ".join(said[len(begun) :]), ended=True)
            said.append(word)
        return Said(" ".join(said[len(begun) :]), ended=False)


class Ngrams:
    """Models by name, as a backend serves them."""

    def __init__(self, models: Mapping[str, Ngram]) -> None:
        self._models = models

    def answer(
        self,
        model: str,
        context: Sequence[ChatMessage],  # noqa: ARG002 - as it is asked
        *,
        temperature: float,
        most_tokens: int,
        seed: int,
    ) -> Said:
        return self._models[model].say(seed, temperature, most_tokens)

    def odds(self, model: str, asked: Sequence[Asked]) -> list[Odds]:
        return [self._odds(self._models[model], each) for each in asked]

    def go_on(self, model: str, asked: Asked, most_tokens: int) -> Said:
        return self._models[model].say(1, 0.0, most_tokens, asked.begun.split())

    @staticmethod
    def _odds(model: Ngram, asked: Asked) -> Odds:
        said = [*(asked.begun + asked.text).split(), _END]
        nats = -sum(math.log(max(model.chance(said[:at], word), 1e-9)) for at, word in enumerate(said))
        return Odds(nats, len(said))
