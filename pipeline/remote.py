"""Remote effects: files sent and jobs bought, each exactly once as far as any client can promise.

Look for the effect, write down the intent durably, POST once, and take what came of it: yes, no, or unknown. After
unknown (an answer lost, a process killed) look again for a while and adopt what is found; POST again only if nothing
is. The identity of an effect is computed from what it is made of, so it survives the loss of the state file.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline import failpoints
from pipeline.backends.client import Connection
from pipeline.clock import Clock, stamp
from pipeline.config import CreateJob
from pipeline.errors import DecisionNeeded, InputError
from pipeline.signals import Signals
from pipeline.state import Attempt, State, digest

if TYPE_CHECKING:
    import openai
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob

OP_KEY = "finetune_op"
LINEAGE_KEY = "finetune_run"
SETTLE_LOOKS = 6
_NO_LIST = (404, 405, 501)


@dataclasses.dataclass(frozen=True)
class Effect:
    """Something to be done at most once.

    Attributes:
        op: its identity, the same whenever it is computed from the same data, config and backend.
        look: the ids of what the server has that matches, oldest first.
        post: do it; returns what the server says it made.
    """

    where: str
    op: str
    look: "Callable[[openai.OpenAI], list[str]]"
    post: "Callable[[openai.OpenAI], FileObject | FineTuningJob]"


class Ledger:
    """Makes remote effects and writes them down."""

    def __init__(self, state: State, connection: Connection, clock: Clock, signals: Signals) -> None:
        self._state = state
        self._connection = connection
        self._clock = clock
        self._signals = signals

    def upload(self, path: Path, sha256: str, *, timeout_s: float) -> str:
        """The id of a training file with this content on the backend, sending it if it is not there."""
        # The name carries no local file name and no person: it is seen in the provider's dashboard.
        name, size = f"finetune-{sha256[:16]}.jsonl", path.stat().st_size

        def look(client: "openai.OpenAI") -> list[str]:
            files = client.files.list(purpose="fine-tune", order="asc")
            return [file.id for file in files if _is_file(file, name, size)]

        def post(client: "openai.OpenAI") -> "FileObject":
            with path.open("rb") as file:
                return client.with_options(timeout=timeout_s).files.create(file=(name, file), purpose="fine-tune")

        return self._once(Effect("upload", self._op("file", sha256), look, post))

    def create_job(self, config: CreateJob, train_file: str, valid_file: str | None, identity: str) -> str:
        """The id of the job with this `identity` (of data, config and generation), creating it if it is not there."""
        op = self._op("job", identity)
        suffix = config.suffix
        if not self._connection.profile.keeps_metadata:
            suffix = f"{suffix or 'run'}-{op[:8]}"

        def matches(job: "FineTuningJob") -> bool:
            if self._connection.profile.keeps_metadata:
                return (job.metadata or {}).get(OP_KEY) == op
            told = job.to_dict()  # the suffix is in no documented field; servers differ
            return job.training_file == train_file and suffix in (told.get("user_provided_suffix"), told.get("suffix"))

        def look(client: "openai.OpenAI") -> list[str]:
            from openai import omit

            metadata = {OP_KEY: op} if self._connection.profile.keeps_metadata else omit
            # The filter only saves pages; a server that ignores it sends every job, so each is checked here.
            jobs = [job for job in client.fine_tuning.jobs.list(limit=100, metadata=metadata) if matches(job)]
            return [job.id for job in sorted(jobs, key=lambda job: (job.created_at, job.id))]

        def post(client: "openai.OpenAI") -> "FineTuningJob":
            return client.fine_tuning.jobs.create(
                model=config.model,
                training_file=train_file,
                validation_file=valid_file,
                method={
                    "type": "supervised",
                    "supervised": {
                        "hyperparameters": {
                            "n_epochs": config.hyperparameters.n_epochs,
                            "batch_size": config.hyperparameters.batch_size,
                            "learning_rate_multiplier": config.hyperparameters.learning_rate_multiplier,
                        }
                    },
                },
                suffix=suffix,
                seed=config.seed,
                metadata={**config.metadata, OP_KEY: op, LINEAGE_KEY: self._state.body.lineage},
            )

        return self._once(Effect("create_job", op, look, post))

    def _op(self, kind: Literal["file", "job"], made_of: object) -> str:
        return digest([kind, self._connection.identity, made_of])[:32]

    def _once(self, effect: Effect) -> str:
        attempt = self._state.body.remote.setdefault(effect.op, Attempt(step=effect.where))
        unknown = attempt.tries > 0 and attempt.remote_id is None
        while True:
            found = self._settled(effect) if unknown else self._look(effect)
            if found:
                if attempt.remote_id not in found:
                    self._record(attempt, found[0], "adopted")
                return attempt.remote_id or found[0]
            answered = self._post(effect, attempt)
            if answered is not None:
                return answered
            unknown = True

    def _look(self, effect: Effect) -> list[str]:
        """What the server has that matches.

        Raises:
            DecisionNeeded: it keeps no list, and what came of an earlier POST is unknown.
        """
        import openai

        def listed(client: "openai.OpenAI") -> list[str] | None:
            try:
                return effect.look(client)
            except openai.APIStatusError as error:
                if error.status_code in _NO_LIST:
                    return None
                raise

        found = self._connection.ask(effect.where, listed)
        if found is not None:
            return found
        attempt = self._state.body.remote[effect.op]
        if attempt.tries and attempt.remote_id is None:
            raise DecisionNeeded(
                effect.where,
                f"a request sent at {attempt.first_at} was never answered, and "
                f"{self._connection.profile.title} keeps no list to look it up in",
                fix=f"Look in its dashboard, then run `finetune resolve CONFIG {effect.where} --adopt ID`, "
                f"or `--none` if nothing is there.",
            )
        return [attempt.remote_id] if attempt.remote_id else []

    def _settled(self, effect: Effect) -> list[str]:
        """Look until something is found or the server has had time to show what it committed."""
        delays = _spread(self._connection.profile.settle_s, SETTLE_LOOKS)
        found = self._look(effect)
        while not found and (delay := next(delays, None)) is not None:
            self._clock.sleep(delay)
            found = self._look(effect)
        return found

    def _post(self, effect: Effect, attempt: Attempt) -> str | None:
        """One POST; None if what came of it is unknown."""
        import openai

        from pipeline.backends.refusals import definitely_refused

        attempt.tries += 1
        attempt.first_at = attempt.first_at or stamp(self._clock)
        attempt.remote_id = attempt.how = None
        with self._signals.uninterrupted():
            self._state.save()
            failpoints.hit("post.intended")
            try:
                made = effect.post(self._connection.client)
            except openai.APIError as error:
                if not definitely_refused(error):
                    self._connection.check()
                    return None
                attempt.tries -= 1
                self._state.save()
                raise self._connection.explain(effect.where, error) from None
            failpoints.hit("post.answered")
            # An answer that is no object with an id (the SDK hands it over as it came) leaves the outcome unknown.
            remote_id = getattr(made, "id", None)
            if not isinstance(remote_id, str) or not remote_id:
                return None
            self._record(attempt, remote_id, "created")
            failpoints.hit("post.recorded")
            return remote_id

    def _record(self, attempt: Attempt, remote_id: str, how: Literal["created", "adopted"]) -> None:
        attempt.remote_id, attempt.how = remote_id, how
        self._state.save()


def _is_file(file: "FileObject", name: str, size: int) -> bool:
    return file.filename == name and file.bytes == size and file.status != "error"


def _spread(total: float, parts: int) -> Iterator[float]:
    """`parts` delays that double and add up to `total` seconds; none at all for a total of 0."""
    if total > 0:
        yield from (total * 2**part / (2**parts - 1) for part in range(parts))


def resolve(state: State, step: str, adopt: str | None) -> None:
    """Settle by hand what became of a request that was never answered: adopt its id, or say that nothing came of it.

    Raises:
        InputError: no request of this step is open.
    """
    waiting = [each for each in state.body.remote.values() if each.step == step and each.tries and not each.remote_id]
    if not waiting:
        raise InputError(
            f"resolve {step}", "nothing is undecided there", fix="`finetune status CONFIG` shows each step."
        )
    for attempt in waiting:
        if adopt is None:
            attempt.tries = 0
        else:
            attempt.remote_id, attempt.how = adopt, "adopted"
    state.save()
