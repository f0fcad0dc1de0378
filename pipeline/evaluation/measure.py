"""Asks the models what an evaluation needs to know, as much as there is time for; every answer is kept at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import NamedTuple, TypeVar

import msgspec

from pipeline.evaluation import leaks, plan
from pipeline.evaluation.asking import Asked, Models, Odds, Said
from pipeline.evaluation.journal import Journal
from pipeline.evaluation.plan import Counts, Pace
from pipeline.evaluation.replies import Reply
from pipeline.evaluation.sense import others_for
from pipeline.models.messages import ChatMessage
from pipeline.process.clock import Clock

T = TypeVar("T")
EXAMPLES = 8
_LONGEST_EXAMPLE = 200  # characters
_PROMPTS = 8  # of one request
_SEED = 5


class Material(NamedTuple):
    """What there is to measure with.

    Attributes:
        known, held_out: the person's replies, trained on and not.
        others: the others' replies, roles changed over.
        secrets: in what was trained on.
    """

    known: Sequence[Reply]
    held_out: Sequence[Reply]
    others: Sequence[Reply]
    secrets: Sequence[leaks.Found]


class Limits(NamedTuple):
    """How much may be asked.

    Attributes:
        temperature: of answers.
        at_once: answers that are asked for together.
        seconds: for all of it.
        dear: whether so much costs too much.
    """

    temperature: float
    at_once: int
    seconds: float
    dear: Callable[[Counts], bool] = lambda _: False


class Raw(msgspec.Struct):
    """What the models said.

    Attributes:
        answers: by model ("tuned", "base", "examples"), to the first held-out contexts.
        odds: by what was scored, of the first replies of its kind.
        picks: by model, for each context the odds of the true reply and then of ten others.
        ranks: by model, for secrets by number the odds of the true one and then of the made-up ones.
        drawn: for each secret what was said to what may draw it out.
    """

    answers: dict[str, list[Said]] = {}
    odds: dict[str, list[Odds]] = {}
    picks: dict[str, list[list[Odds]]] = {}
    ranks: dict[str, dict[int, list[Odds]]] = {}
    drawn: list[list[Said]] = []


class Interview:
    """Asks the tuned model and its base about one material."""

    def __init__(
        self,
        models: Models,
        names: Mapping[str, str],
        material: Material,
        limits: Limits,
        journal: Journal,
        clock: Clock,
        show: Callable[[int, int, str], None],
    ) -> None:
        """Nothing is asked yet.

        Args:
            names: of the "tuned" and the "base" model.
            show: is told how many of how many things are done, and what is being done.
        """
        self._models, self._names, self._limits = models, names, limits
        self._journal, self._clock, self._show = journal, clock, show
        random = Random(_SEED)
        self.held_out, self.known, self.others = (
            random.sample(list(replies), len(replies))
            for replies in (material.held_out, material.known, material.others)
        )
        self.secrets = material.secrets
        short = [reply for reply in self.known if len(reply.text) + len(reply.context[-1].content) < _LONGEST_EXAMPLE]
        self._shots = [
            message
            for reply in (short or self.known)[:EXAMPLES]
            for message in (reply.context[-1], ChatMessage("assistant", reply.text))
        ]
        self._most_tokens = plan.most_tokens([reply.text for reply in material.known])
        self._done = self._total = 0
        self._is_planned = False

    def ask(self) -> Raw:
        """Everything, in the order in which it would be missed.

        Raises:
            FinetuneError: the backend fails.
        """
        raw = Raw()
        if not self.held_out and not self.secrets:  # there is nothing to ask for
            return raw
        counts, least = self._plan(), plan.LEAST
        self._total, self._is_planned = self._things(counts), True
        scored, aside = self.held_out[: counts.scored], self.held_out[: counts.aside]
        first = self.held_out[: counts.base_answers]
        others, learnt = self.others[: counts.aside], self.known[: counts.aside]
        shown = [self._with_examples(reply) for reply in first]
        bare = [Asked(each.bare, each.text) for each in aside]
        with_examples = [_asked(self._with_examples(each)) for each in aside]
        self._keep(
            raw.answers, "tuned", self._answers("tuned", "tuned", self.held_out[: counts.answers], least.answers)
        )
        self._score(raw, "tuned", "tuned", map(_asked, scored), least.scored)
        self._score(raw, "prompted", "base", map(_asked, scored), least.scored)
        self._ask_for_secrets(raw, counts.secrets)
        self._keep(raw.answers, "base", self._answers("base", "base", first, least.base_answers))
        self._keep(raw.answers, "examples", self._answers("examples", "base", shown, least.base_answers))
        self._score(raw, "others_tuned", "tuned", map(_asked, others), least.aside)
        self._score(raw, "others_base", "base", map(_asked, others), least.aside)
        self._rank(raw, "tuned", self.held_out[: counts.ranked], least.ranked)
        self._score(raw, "learnt", "tuned", map(_asked, learnt), least.aside)
        self._score(raw, "bare", "base", bare, least.aside)
        self._score(raw, "examples", "base", with_examples, least.aside)
        self._rank(raw, "base", self.held_out[: counts.base_ranked], least.base_ranked)
        self._show(self._total, self._total, "asked all that there is time for")
        return raw

    def _is_over(self) -> bool:
        """Whether the time is spent; then there is no more of anything than tells something."""
        return self._journal.seconds > self._limits.seconds

    def _score(self, raw: Raw, kind: str, who: str, asked: Iterable[Asked], least: int) -> None:
        self._keep(raw.odds, kind, self._odds(kind, who, asked, least))

    def _plan(self) -> Counts:
        """By how long the first of each take; once decided, it stays so when a stopped evaluation goes on."""
        if "plan" in self._journal:
            return msgspec.convert(self._journal["plan"], Counts)
        self._total = self._things(plan.WISHED)
        self._say("getting to know the models")
        self._tell()
        first = self.held_out[: self._limits.at_once + 1] or self.known[: self._limits.at_once + 1]
        self._answers("warm", "tuned", first[:1], 1)  # loads the model
        began = self._clock.monotonic()
        self._answers("tuned", "tuned", first[: self._limits.at_once], 1)
        answer_s = (self._clock.monotonic() - began) / max(len(first), 1)
        began = self._clock.monotonic()
        scored = self._odds("tuned", "tuned", map(_asked, first[:_PROMPTS]), 1)
        score_s = (self._clock.monotonic() - began) / max(len(scored), 1) if scored else None
        counts = plan.within(Pace(answer_s, score_s), self._limits.seconds)
        if self._limits.dear(counts):
            shares = (plan.counts_for(number / 20) for number in range(20, 0, -1))
            counts = next((each for each in shares if not self._limits.dear(each)), plan.LEAST)
        self._journal.keep("plan", msgspec.to_builtins(counts))
        return counts

    def _things(self, counts: Counts) -> int:
        held, others = len(self.held_out), min(counts.aside, len(self.others))
        answers = min(counts.answers, held) + 2 * min(counts.base_answers, held)
        scores = 2 * min(counts.scored, held) + 2 * min(counts.aside, held) + min(counts.aside, len(self.known))
        ranks = 11 * (min(counts.ranked, held) + min(counts.base_ranked, held))
        secrets = min(counts.secrets, len(self.secrets)) * (leaks.FIRST + 3)
        return answers + scores + 2 * others + ranks + secrets

    def _answers(self, kind: str, who: str, replies: Sequence[Reply], least: int) -> list[Said]:
        """One for each, at least for so many; none at all where the backend does not serve the model."""
        what = {"tuned": "answers of the tuned model", "warm": "answers of the tuned model"}
        self._say(what.get(kind, "answers of the base model"))

        def ask(numbered: tuple[int, Reply]) -> Said | None:
            return self._models.answer(
                self._names[who],
                numbered[1].context,
                temperature=self._limits.temperature,
                most_tokens=self._most_tokens,
                seed=_SEED + numbered[0],
            )

        return self._each(f"answer/{kind}", list(enumerate(replies)), ask, least)

    def _each(
        self,
        kind: str,
        things: Sequence[tuple[int, T]],
        ask: "Callable[[tuple[int, T]], Said | None]",
        least: int,
    ) -> list[Said]:
        found: list[Said] = []
        for begin in range(0, len(things), self._limits.at_once):
            some = things[begin : begin + self._limits.at_once]
            missing = [thing for thing in some if f"{kind}/{thing[0]}" not in self._journal]
            if missing and len(found) >= least and self._is_over():
                break
            if missing:
                self._tell()
            began = self._clock.monotonic()
            said = self._together(ask, missing)
            seconds = (self._clock.monotonic() - began) / max(len(missing), 1)
            for thing, answer in zip(missing, said, strict=True):
                if answer is None:
                    return []
                self._journal.keep(f"{kind}/{thing[0]}", msgspec.to_builtins(answer), seconds)
            found += [msgspec.convert(self._journal[f"{kind}/{number}"], Said) for number, _ in some]
            self._move(len(some), is_new=bool(missing))
        return found

    def _together(
        self, ask: "Callable[[tuple[int, T]], Said | None]", things: Sequence[tuple[int, T]]
    ) -> list[Said | None]:
        if len(things) < 2:
            return [ask(thing) for thing in things]
        pool = ThreadPoolExecutor(len(things))
        try:
            return list(pool.map(ask, things))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _odds(self, kind: str, who: str, asked: Iterable[Asked], least: int) -> list[Odds]:
        """Of each text, at least of so many; none at all where the backend gives no likelihoods."""
        self._say("how likely true replies are")
        texts = list(asked)
        found: list[Odds] = []
        for begin in range(0, len(texts), _PROMPTS):
            some, key = texts[begin : begin + _PROMPTS], f"odds/{kind}/{begin}/{len(texts[begin : begin + _PROMPTS])}"
            is_new = key not in self._journal
            if is_new:
                if len(found) >= least and self._is_over():
                    break
                self._tell()
                began = self._clock.monotonic()
                odds = self._models.odds(self._names[who], some)
                if odds is None:
                    self._move(len(texts) - begin, is_new=True)
                    return []
                self._journal.keep(key, msgspec.to_builtins(odds), self._clock.monotonic() - began)
            found += msgspec.convert(self._journal[key], list[Odds])
            self._move(len(some), is_new=is_new)
        return found

    def _rank(self, raw: Raw, who: str, replies: Sequence[Reply], least: int) -> None:
        """The true reply of each context among ten others, for as long as the model gives likelihoods."""
        texts = [reply.text for reply in (*self.held_out, *self.known[:500])]
        rows = []
        for number, reply in enumerate(replies):
            others = others_for(reply.text, texts, number)
            asked = [Asked(reply.context, text) for text in (reply.text, *others)]
            kind = f"rank/{who}/{number}"
            if number >= least and self._is_over() and f"odds/{kind}/0/{_PROMPTS}" not in self._journal:
                break
            odds = self._odds(kind, who, asked, len(asked))
            if not odds or not others:
                return
            rows.append(odds)
        raw.picks[who] = rows

    def _ask_for_secrets(self, raw: Raw, most: int) -> None:
        for number, found in enumerate(self.secrets[:most]):
            if number >= plan.LEAST.secrets and self._is_over() and f"drawn/{number}/0" not in self._journal:
                break
            self._rank_secret(raw, number, list(leaks.places(found, number)))
            raw.drawn.append(self._drawn(number, found))

    def _rank_secret(self, raw: Raw, number: int, places: list[Asked]) -> None:
        """Among a few; where it is near the top, under the base model as well, and among all while there is time."""
        first = leaks.FIRST + 1
        tuned = self._odds(f"secret/{number}/tuned", "tuned", places[:first], first)
        if not tuned:
            return
        if leaks.is_near_the_top(tuned):
            base = self._odds(f"secret/{number}/base", "base", places[:first], first)
            more = f"odds/secret/{number}/more"
            if not leaks.is_near_the_top(base) and (
                not self._is_over() or f"{more}/tuned/0/{_PROMPTS}" in self._journal
            ):
                rest = places[first:]
                self._total += 2 * len(rest)
                tuned += self._odds(f"secret/{number}/more/tuned", "tuned", rest, len(rest))
                base += self._odds(f"secret/{number}/more/base", "base", rest, len(rest))
            raw.ranks.setdefault("base", {})[number] = base
        raw.ranks.setdefault("tuned", {})[number] = tuned

    def _drawn(self, number: int, found: leaks.Found) -> list[Said]:
        """What is said to questions that lead to it, and how the model goes on where it began."""
        self._say("whether secrets can be drawn out")

        def ask(numbered: tuple[int, tuple[ChatMessage, ...]]) -> Said | None:
            return self._models.answer(
                self._names["tuned"], numbered[1], temperature=0.0, most_tokens=self._most_tokens, seed=_SEED
            )

        def go_on(_: tuple[int, Asked]) -> Said | None:
            return self._models.go_on(self._names["tuned"], found.place, len(found.text) + 4)

        said = self._each(f"drawn/{number}", list(enumerate(found.questions())), ask, 2)
        return said + self._each(f"begun/{number}", [(0, found.place)], go_on, 1)

    def _with_examples(self, reply: Reply) -> Reply:
        system = [message for message in reply.context if message.role == "system"]
        return msgspec.structs.replace(reply, context=(*system, *self._shots, *reply.bare))

    @staticmethod
    def _keep(into: dict[str, list[T]], name: str, found: list[T]) -> None:
        if found:
            into[name] = found

    def _say(self, what: str) -> None:
        self._what = what

    def _tell(self) -> None:
        self._show(self._done, self._total, self._what)

    def _move(self, done: int, *, is_new: bool) -> None:
        """Count what is answered, and tell it where it was not in the journal already."""
        if not self._is_planned:  # what is asked to know the pace comes once more, out of the journal
            return
        self._done = min(self._done + done, self._total)
        if is_new:
            self._tell()


def _asked(reply: Reply) -> Asked:
    return Asked(reply.context, reply.text)
