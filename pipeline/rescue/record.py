"""Records what a model answers, line by line: what is there is never asked again, and no more is spent than allowed."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.backends.client import Connection
from pipeline.errors import BackendFailed, DecisionNeeded, FinetuneError, TryLater
from pipeline.network import retry_after
from pipeline.process.clock import Clock, stamp
from pipeline.process.signals import Signals
from pipeline.rescue.asking import Got, Way, ask
from pipeline.rescue.ledger import Answered, Ledger
from pipeline.rescue.lifetimes import CHARACTERS_A_TOKEN
from pipeline.rescue.pace import MOST_REFUSALS, Pace
from pipeline.rescue.prompts import Prompt
from pipeline.wording import counted

if TYPE_CHECKING:
    import openai

WHERE = "record"
MOST_LOST = 3
"""Answers lost in a row, after which the API is taken to be away: each of them may have been paid for."""

_GUESSED_TOKENS = 100  # of an answer to a prompt whose answer is not known
_DARK = (404, 410)
_LONGEST_REASON = 200  # characters


class Terms(NamedTuple):
    """What may be spent.

    Attributes:
        reads, writes: US dollars per million tokens.
        max_usd: of all that is in the ledger.
        again: ask again what was lost on its way, though it may have been paid for.
    """

    reads: float
    writes: float
    max_usd: float
    again: bool = False

    def usd(self, read: float, written: float) -> float:
        """Of so many tokens."""
        return (read * self.reads + written * self.writes) / 1e6

    def most_usd(self, prompt: Prompt, way: Way) -> float:
        """What one request can cost at most."""
        return self.usd(way.most_read(prompt), way.n * way.most_tokens)


class Ask(NamedTuple):
    """One request: what, and how."""

    prompt: Prompt
    way: Way

    @property
    def key(self) -> str:
        """What its answer is kept by."""
        return self.way.key(self.prompt)


def asks(prompts: Sequence[Prompt], ways: Sequence[Way]) -> list[Ask]:
    """Every prompt in every way, the best first: a budget or a model may end before the list does."""
    return [Ask(prompt, way) for way in ways for prompt in prompts]


def about_usd(wanted: Sequence[Ask], terms: Terms) -> float:
    """What these requests cost, about."""
    total = 0.0
    for prompt, way in wanted:
        read = sum(len(str(message.get("content") or "")) for message in prompt.messages) / CHARACTERS_A_TOKEN
        known = len(prompt.reference) / CHARACTERS_A_TOKEN if prompt.reference else _GUESSED_TOKENS
        total += terms.usd(read, min(known, way.most_tokens) * way.n)
    return total


class Recorder:
    """Asks one model what is not answered yet.

    Attributes:
        fresh: answers that came.
    """

    def __init__(
        self, connection: Connection, ledger: Ledger, terms: Terms, clock: Clock, signals: Signals,
        note: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Args: note: is told what the user should know."""
        self._connection, self._ledger, self._terms = connection, ledger, terms
        self._clock, self._signals, self._note = clock, signals, note
        self._pace = Pace(clock)
        self._without: set[str] = set()
        self._lost_in_a_row = 0
        self.fresh = 0

    def left(self, wanted: Sequence[Ask]) -> Iterator[Ask]:
        """Those that are to be asked: neither answered nor refused, and lost only if the terms say so."""
        ledger = self._ledger
        for each in wanted:
            is_settled = each.key in ledger.answers or each.key in ledger.refused
            if not is_settled and (self._terms.again or each.key not in ledger.lost):
                yield each

    def record(self, model: str, wanted: Sequence[Ask], progress: Callable[[int, int], None]) -> None:
        """Ask, one after the other.

        Raises:
            DecisionNeeded: the next request could exceed `max_usd`.
            BackendFailed: the model has gone dark.
            TryLater: the API is away, or refuses for too long.
            InputError: it does not let this key in.
        """
        todo = list(self.left(wanted))
        for number, each in enumerate(todo):
            progress(number, len(todo))
            self._require_budget(each, len(todo) - number)
            self._until_settled(model, each)
        progress(len(todo), len(todo))

    def _require_budget(self, each: Ask, left: int) -> None:
        spent, terms = self._ledger.spent_usd, self._terms
        if spent + terms.most_usd(each.prompt, each.way) > terms.max_usd:
            raise DecisionNeeded(
                f"{WHERE} --max-cost",
                f"about ${spent:,.4f} is spent, and the next of {counted(left, 'request')} could exceed the limit",
                got=f"${terms.max_usd:,.4f}",
                fix="Raise it; what is recorded stays and is not asked again.",
            )

    def _until_settled(self, model: str, each: Ask) -> None:
        """Ask until there is an answer, a refusal for good, or no knowing what came of it."""
        import openai

        from pipeline.backends.refusals import definitely_refused

        is_open = True
        while is_open:
            self._pace.wait()
            with self._signals.uninterrupted():
                self._ledger.intend(each.key, stamp(self._clock), self._terms.most_usd(each.prompt, each.way))
                try:
                    got = ask(self._connection.client, model, each.prompt, each.way, self._without)
                except openai.APIError as error:
                    if not definitely_refused(error):
                        self._lose(error)
                        return
                    is_open = self._refused(model, each, error)
                    continue
                is_open = False
                self._take(each, got)

    def _take(self, each: Ask, got: Got) -> None:
        if not isinstance(got.response.get("choices"), list) or not got.response["choices"]:
            self._lose(None)  # it may have been paid for, whatever this is
            return
        self._pace.answered(got.headers)
        self._lost_in_a_row = 0
        usage = got.response.get("usage") or {}
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        usd = self._terms.most_usd(each.prompt, each.way)
        if isinstance(read, int) and isinstance(written, int):
            usd = self._terms.usd(read, written)
        kind, at = each.way.kind, stamp(self._clock)
        self._ledger.answer(Answered(each.key, at, usd, kind, each.prompt, got.response))
        self.fresh += 1

    def _lose(self, error: "openai.APIError | None") -> None:
        """What came of a request is not known: it stays in the ledger as spent, and the next question is asked."""
        self._connection.check()
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= MOST_LOST:
            why = self._connection.explain(WHERE, error) if error is not None else None
            said = why.what if isinstance(why, FinetuneError) else "its answers make no sense"
            raise TryLater(
                WHERE,
                f"{counted(MOST_LOST, 'answer')} in a row were lost ({said})",
                fix="Run again later: what was lost counts as paid and is asked again only with --again.",
            )

    def _refused(self, model: str, each: Ask, error: "openai.APIError") -> bool:
        """What to do about a request that was surely not carried out; whether to send it again.

        Raises:
            FinetuneError: nothing more will be answered, or not now.
        """
        import openai

        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        if status in (400, 422) and not _is_about_the_model(error):
            dropped = self._parameter(error)
            why = None if dropped else f"{status}: {error.message}"[:_LONGEST_REASON]
            self._ledger.withdraw(each.key, why)
            return dropped
        self._ledger.withdraw(each.key)
        if status in _DARK or _is_about_the_model(error):
            raise self._gone_dark(model)
        if (status is None or status == 429) and error.code != "insufficient_quota":
            headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
            self._pace.refused(retry_after(headers, self._clock.now().timestamp()))
            if self._pace.refusals < MOST_REFUSALS:
                return True
        raise self._connection.explain(WHERE, error)

    def _parameter(self, error: "openai.APIError") -> bool:
        """Do without a parameter that this model does not take; whether that is what is wrong."""
        for name in ("logprobs", "temperature"):
            if name not in self._without and (error.param == name or (not error.param and name in error.message)):
                self._without.add(name)
                self._note(f"This model takes no `{name}`; it is asked without.")
                return True
        return False

    def _gone_dark(self, model: str) -> BackendFailed:
        answers = counted(len(self._ledger.answers), "answer")
        return BackendFailed(
            WHERE,
            f"{model} does not answer any more; {answers} of it are recorded",
            fix="`finetune rescue retrain` makes its successor of what there is.",
        )


def _is_about_the_model(error: "openai.APIError") -> bool:
    return error.code in ("model_not_found", "model_not_available") or error.param == "model"


def told(ledger: Ledger, path: Path) -> str:
    """What a ledger holds, for a person."""
    parts = [f"{counted(len(ledger.answers), 'answer')} in {path}, about ${ledger.spent_usd:,.4f} spent"]
    if ledger.refused:
        parts.append(f"{len(ledger.refused)} refused by the API")
    if ledger.lost:
        lost = counted(len(ledger.lost), "answer")
        parts.append(f"{lost} lost on the way and counted as paid; --again asks for it once more")
    return "; ".join(parts)
