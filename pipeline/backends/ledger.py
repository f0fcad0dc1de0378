"""Remote effects: files sent and deleted, jobs bought and cancelled; no other module changes anything on a backend.

Each is made exactly once as far as any client can promise.
Look for the effect, write down the intent durably, POST once, and take what came of it: yes, no, or unknown. After
unknown (an answer lost, a process killed) look again for a while and adopt what is found; POST again only if nothing
is. The identity of an effect is computed from what it is made of, so it survives the loss of the state file.

What no client can promise: if a server shows a job later than `settle_s` after it took the request, a second one is
made. `sweep` finds such twins at every poll and cancels those that have not started.
"""

import codecs
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pipeline import failpoints
from pipeline.backends.account import check_account, is_usable
from pipeline.backends.client import Connection
from pipeline.backends.effects import Effect, Found
from pipeline.backends.fitting import shape_of
from pipeline.backends.listing import LINEAGE_KEY, OP_KEY, JobMark, NoList, age, is_file, jobs, lineage_of, rows
from pipeline.backends.polling import spread
from pipeline.backends.removing import Removing
from pipeline.config.settings import CreateJob
from pipeline.durable import reading
from pipeline.errors import DecisionNeeded, TryLater
from pipeline.process.clock import Clock, stamp
from pipeline.process.signals import Signals
from pipeline.state.file import CREATE_JOB, DEPLOY, UPLOAD, Attempt, State, digest
from pipeline.wording import about

if TYPE_CHECKING:
    import openai
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob

    from pipeline.backends.hosting import Hosting

T = TypeVar("T")
SETTLE_LOOKS = 6
POSTS_IN_A_RUN = 3
NOT_STARTED = ("validating_files", "queued")
CAME_TO_NOTHING = ("failed", "cancelled")
ENDED = ("succeeded", *CAME_TO_NOTHING)
_LOST = "the state that was lost may have known what was made"


class Ledger(Removing):
    """Makes remote effects and writes them down."""

    def __init__(
        self, state: State, connection: Connection, clock: Clock, signals: Signals, say: Callable[[str], None]
    ) -> None:
        super().__init__(state, connection)
        self._clock = clock
        self._signals = signals
        self._say = say
        self._earlier = {attempt.remote_id for attempt in state.body.remote.values() if attempt.remote_id}
        self._reported: set[str] = set()
        self._last_error = ""

    def upload(self, path: Path, sha256: str, *, timeout_s: float) -> str:
        """The id of a training file with this content on the backend, sending it if it is not there."""
        # The name carries no local file name and no person: it is seen in the provider's dashboard.
        mark = codecs.BOM_UTF8 if self._connection.profile.bom else b""
        name, size = f"finetune-{sha256[:16]}.jsonl", len(mark) + path.stat().st_size

        def look(client: "openai.OpenAI") -> Found:
            files = rows(lambda: client.files.list(purpose="fine-tune"))
            return Found([file.id for file in sorted(files, key=age) if is_file(file, name, size)])

        def post(client: "openai.OpenAI") -> "FileObject":
            with reading(path) as file:
                content = mark + file.read() if mark else file
                return client.with_options(timeout=timeout_s).files.create(file=(name, content), purpose="fine-tune")

        effect = Effect(UPLOAD, self.op("file", sha256), look, post)
        file_id = self._once(effect)
        self._sweep_files(effect, file_id)
        return file_id

    def create_job(
        self, config: CreateJob, train_file: str, valid_file: str | None, made_of: str, generation: int
    ) -> tuple[str, int]:
        """The job for this data and config and its generation, creating it if it is not there.

        Args:
            made_of: equal for two jobs that would train the same.
        """

        def effect(generation: int) -> Effect:
            return self._job_effect(config, train_file, valid_file, f"{made_of}:{generation}")

        if self._state.body.rebuilt:
            # The lost state may have known of jobs bought on purpose after the one it was rebuilt from.
            while self._look(effect(generation + 1)).ids:
                generation += 1
        job_id = self._once(dataclasses.replace(effect(generation), made_of=made_of, generation=generation))
        self._state.body.rebuilt = False
        return job_id, generation

    def finds_job(self, config: CreateJob, made_of: str) -> bool:
        """Whether the backend has the first job of this data and config, though no state remembers it."""
        return bool(self._look(self._job_effect(config, "", None, f"{made_of}:0")).ids)

    def lost_job(self) -> Attempt | None:
        """The job that this run directory bought, though its state has forgotten it: its lineage is on it."""
        # The lineage outlives the state in the lock file; a server that keeps no metadata cannot tell.
        lineage = self._state.body.lineage

        def look(client: "openai.OpenAI") -> "list[FineTuningJob]":
            same = [job for job in jobs(client, None) if lineage_of(job) == lineage]
            return [job for job in same if job.status not in CAME_TO_NOTHING]

        found = self._list_or_none(lambda: self._connection.ask(CREATE_JOB, look)) or []
        newest = max(found, key=age, default=None)
        return Attempt(step=CREATE_JOB, account=self._connection.identity, remote_id=newest.id) if newest else None

    def sweep_job(self, config: CreateJob, train_file: str, identity: str, job_id: str) -> None:
        """Cancel twins of our job that have not started; say so of those that have. For every poll.

        Raises:
            Transient: the list cannot be had now.
        """
        for twin in self._others_like(config, train_file, identity, job_id):
            if not self._is_ours(twin):
                continue
            if twin.status in NOT_STARTED and config.twins == "cancel":
                self._cancel_twin(twin.id)
                self._say(f"{twin.id} is the same job made twice by a lost answer; cancelled before it started")
            elif twin.id not in self._reported:
                self._reported.add(twin.id)
                self._say(f"WARNING: {twin.id} is the same job made twice by a lost answer, and it is {twin.status}")

    def successor(self, config: CreateJob, train_file: str, identity: str, job_id: str) -> str | None:
        """The job that took over from a failed one: some providers restart it under another id."""
        return next((job.id for job in self._others_like(config, train_file, identity, job_id)), None)

    def _others_like(self, config: CreateJob, train_file: str, identity: str, job_id: str) -> "list[FineTuningJob]":
        """Other jobs of the same operation that have not come to nothing."""
        mark = self._mark(config, train_file, self.op("job", identity))

        def listed(client: "openai.OpenAI") -> "list[FineTuningJob]":
            same = [job for job in jobs(client, mark.metadata_filter) if mark.is_on(job) and job.id != job_id]
            return [job for job in same if job.status not in CAME_TO_NOTHING]

        return self._list_or_none(lambda: self._connection.look("poll_job", listed)) or []

    def cancel_job(self, job_id: str) -> "FineTuningJob":
        """Cancel a job as the user asks for it; returns it as it is then."""
        return self._connection.ask("cancel", lambda client: client.fine_tuning.jobs.cancel(job_id))

    def give_up_job(self, job_id: str) -> bool:
        """Cancel a job that is not wanted any more, and write it down; False if it has come to its end by itself."""
        import openai

        def cancel(client: "openai.OpenAI") -> bool:
            if client.fine_tuning.jobs.retrieve(job_id).status in ENDED:
                return False
            try:
                client.fine_tuning.jobs.cancel(job_id)
            except openai.BadRequestError:  # it has just come to its end
                return False
            return True

        if not self._connection.ask(CREATE_JOB, cancel):
            return False
        for attempt in self._state.body.remote.values():
            if attempt.remote_id == job_id:
                attempt.ended = True
        self._state.save()
        return True

    def deploy(self, hosting: "Hosting", op: str) -> str:
        """The name under which a tuned model answers, having it deployed if it is not."""
        effect = Effect(DEPLOY, op, hosting.look, hosting.make, made_of=hosting.where)
        name = self._once(effect)
        for surplus in self._surplus(effect, name):
            self._delete(DEPLOY, partial(hosting.remove, name=surplus))
            self._say(f"{surplus} is the same deployment made twice; removed")
        return name

    def _job_effect(self, config: CreateJob, train_file: str, valid_file: str | None, identity: str) -> Effect:
        op = self.op("job", identity)
        mark, shape = self._mark(config, train_file, op), shape_of(config, self._connection.profile)

        def look(client: "openai.OpenAI") -> Found:
            listed = sorted(jobs(client, mark.metadata_filter), key=age)
            known = {attempt.remote_id for attempt in self._state.body.remote.values()}
            matches = [job for job in listed if mark.is_on(job)]
            return Found(
                [job.id for job in matches],
                doubtful=frozenset(job.id for job in listed if job.id not in known and mark.may_be_on(job)),
                strangers=frozenset(job.id for job in matches if not self._is_ours(job)),
            )

        def post(client: "openai.OpenAI") -> "FineTuningJob":
            return client.fine_tuning.jobs.create(
                model=config.model,
                training_file=train_file,
                validation_file=valid_file,
                method=shape.method,
                suffix=mark.suffix,
                seed=config.seed,
                metadata={**config.metadata, OP_KEY: op, LINEAGE_KEY: self._state.body.lineage},
                extra_body=shape.extra,
            )

        return Effect(CREATE_JOB, op, look, post)

    def _mark(self, config: CreateJob, train_file: str, op: str) -> JobMark:
        known_by = self._connection.profile.known_by
        suffix = config.suffix if known_by == "metadata" else f"{config.suffix or 'run'}-{op[:8]}"
        return JobMark(op, train_file, suffix, known_by)

    def _is_ours(self, job: "FineTuningJob") -> bool:
        return lineage_of(job) in (None, self._state.body.lineage)

    def _cancel_twin(self, job_id: str) -> None:
        self._connection.look("poll_job", lambda client: client.fine_tuning.jobs.cancel(job_id))

    def op(self, kind: Literal["file", "job", "deployment"], made_of: str) -> str:
        """The identity of an effect on this account; the same from every version of finetune."""
        return digest([kind, self._connection.identity, made_of])[:32]

    def _once(self, effect: Effect) -> str:
        account = self._connection.identity
        new = Attempt(step=effect.where, account=account, made_of=effect.made_of, generation=effect.generation)
        attempt = self._state.body.remote.get(effect.op, new)
        unknown = "the state was rebuilt" if self._state.body.rebuilt else ""
        if attempt.tries > 0 and attempt.remote_id is None:
            unknown = "the answer was lost"
        if attempt.stands:  # where it is looked for by name, so that none is none
            if attempt.remote_id in self._look(effect).ids:
                return attempt.remote_id or ""
        elif attempt.remote_id is not None and not attempt.deleted:
            if is_usable(self._connection, effect.where, attempt.remote_id):
                return attempt.remote_id
            unknown = f"{attempt.remote_id} is not to be seen"  # a list that lags would make us buy it again
        if self._state.body.rebuilt and effect.op not in self._state.body.remote:
            self._refuse_blindness(effect, attempt)
        for _ in range(POSTS_IN_A_RUN):
            found = self._settled(effect, unknown) if unknown else self._look(effect)
            if found.ids:
                if attempt.remote_id not in found.ids:
                    self._state.body.remote[effect.op] = attempt
                    self._adopt(attempt, found)
                return attempt.remote_id or found.ids[0]
            self._check_account(effect)
            answered = self._post(effect, attempt)
            if answered is not None:
                return answered
            unknown = "the answer was lost"
        raise TryLater(
            effect.where,
            f"{self._connection.profile.title} answered {POSTS_IN_A_RUN} requests with errors, the last one: "
            f"{self._last_error}",
            fix="Run again later: what came of them is looked up first.",
        )

    def _adopt(self, attempt: Attempt, found: Found) -> None:
        (first, *_) = found.ids
        whose = ", made by another run directory for the same data and config" if first in found.strangers else ""
        self._say(f"{first} is there already{whose}; it is used instead of making another")
        self._record(attempt, first, "adopted")

    def _look(self, effect: Effect) -> Found:
        """What the server has that matches.

        Raises:
            DecisionNeeded: it keeps no list, and what came of an earlier POST is unknown.
        """
        found = self._list_or_none(lambda: self._connection.ask(effect.where, effect.look))
        if found is not None:
            return found
        attempt = self._state.body.remote.get(effect.op)
        if attempt is None or (attempt.remote_id is None and attempt.tries == 0):
            return Found([], listed=False)
        if attempt.remote_id is None:
            raise self._undecided(effect, "keeps no list to look it up in")
        return Found([] if attempt.deleted else [attempt.remote_id])

    def _list_or_none(self, ask: Callable[[], T]) -> T | None:
        """The list, or None from a server that keeps none."""
        try:
            return ask()
        except NoList:
            return None

    def _settled(self, effect: Effect, why: str) -> Found:
        """Look until something is found or the server has had time to show what it committed.

        Raises:
            DecisionNeeded: the server shows jobs that may be ours, but does not keep what tells them apart.
        """
        settle_s = self._connection.profile.settle_s
        delays = spread(settle_s, SETTLE_LOOKS)
        found = self._look(effect)
        if not found.ids and settle_s:
            self._say(f"{why}; looking whether it arrived, for up to {about(settle_s)}")
        while not found.ids and (delay := next(delays, None)) is not None:
            self._clock.sleep(delay)
            found = self._look(effect)
        if not found.ids and found.doubtful:
            raise self._undecided(effect, f"does not tell whether {', '.join(sorted(found.doubtful))} came of it")
        return found

    def _refuse_blindness(self, effect: Effect, attempt: Attempt) -> None:
        """After a loss of the state, on a server without a list, only the user can know what was made."""
        if not self._look(effect).listed:
            self._state.body.remote[effect.op] = attempt
            attempt.tries = 1  # open, for `resolve` to settle
            self._state.save()
            raise self._undecided(effect, "keeps no list to look it up in")

    def _undecided(self, effect: Effect, why: str) -> DecisionNeeded:
        attempt = self._state.body.remote.get(effect.op)
        sent = f"a request sent at {attempt.first_at} was never answered" if attempt and attempt.first_at else _LOST
        return DecisionNeeded(
            effect.where,
            f"{sent}, and {self._connection.profile.title} {why}",
            fix=f"Look in its dashboard, then run `finetune resolve CONFIG {effect.where} --adopt ID`, "
            f"or `--none` if nothing is there.",
        )

    def _check_account(self, effect: Effect) -> None:
        account = self._connection.identity
        recorded = [
            attempt
            for attempt in self._state.body.remote.values()
            if attempt.account == account
            and attempt.remote_id in self._earlier
            and not attempt.deleted
            and attempt.step != DEPLOY
        ]
        check_account(self._connection, self._clock, effect.where, recorded)

    def _post(self, effect: Effect, attempt: Attempt) -> str | None:
        """One POST; None if what came of it is unknown."""
        import openai

        from pipeline.backends.refusals import definitely_refused, transient

        self._state.body.remote[effect.op] = attempt
        attempt.tries += 1
        attempt.first_at = attempt.first_at or stamp(self._clock)
        attempt.remote_id = attempt.how = None
        attempt.deleted = False
        with self._signals.uninterrupted():
            self._state.save()
            failpoints.hit("post.intended")
            try:
                made = effect.post(self._connection.client)
            except openai.APIError as error:
                if not definitely_refused(error):
                    self._connection.check()
                    self._last_error = str(transient(error))
                    return None
                attempt.tries -= 1
                self._state.save()
                raise self._connection.explain(effect.where, error) from None
            failpoints.hit("post.answered")
            # An answer that is no object with an id (the SDK hands it over as it came) leaves the outcome unknown.
            remote_id = getattr(made, "id", None)
            if not isinstance(remote_id, str) or not remote_id:
                self._last_error = "an answer without an id"
                return None
            self._record(attempt, remote_id, "created")
            failpoints.hit("post.recorded")
            return remote_id

    def _record(self, attempt: Attempt, remote_id: str, how: Literal["created", "adopted"]) -> None:
        attempt.remote_id, attempt.how = remote_id, how
        self._state.save()

    def _sweep_files(self, effect: Effect, file_id: str) -> None:
        """Remove copies that a repeated request of ours made: they are private chats."""
        for surplus in self._surplus(effect, file_id):
            self.delete_file(surplus)
            self._say(f"{surplus} is the same file sent twice; deleted")

    def _surplus(self, effect: Effect, made: str) -> list[str]:
        """What a repeated request of ours made beside it. Even one request can arrive twice: proxies repeat them."""
        if self._state.body.remote[effect.op].tries == 0:
            return []
        return [each for each in self._look(effect).ids if each != made]
