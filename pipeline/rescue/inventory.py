"""Every tuned model and callable checkpoint that the keys in hand see. Only GET requests; spends nothing."""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pipeline.backends.listing import NoList, jobs, rows
from pipeline.durable import read_file, write_atomically
from pipeline.errors import FinetuneError, InputError
from pipeline.process.clock import Clock, stamp
from pipeline.rescue.accounts import Account
from pipeline.rescue.lifetimes import base_of, dark_on, guessed_usd

if TYPE_CHECKING:
    import openai
    from openai.types.fine_tuning import FineTuningJob

T = TypeVar("T")
WHERE = "rescue"
NAME = "inventory.json"
_MAY_HAVE_CHECKPOINTS = ("succeeded", "cancelled", "failed")
_GONE, _FORBIDDEN = (404, 410), (401, 403)
_STARTS = "ft:"


class DataFile(msgspec.Struct, frozen=True):
    """A file that a job names.

    Attributes:
        role: training, validation or result.
        state: there, gone (404), forbidden (403), or refused with another status.
        size: in bytes; None where it is not there.
    """

    role: str
    id: str
    state: str
    name: str = ""
    size: int | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """A model as it was at a step of the training."""

    model: str
    step: int | None


class Tune(msgspec.Struct, frozen=True):
    """A tuned model.

    Attributes:
        key: the environment variable whose key sees it.
        job: None where the model is listed and its job is not.
        answers: whether the API still has it.
        dark_on: the last day, YYYY-MM-DD, as `dark_from` says.
        days_left: until then; negative afterwards.
        about_usd: what it costs to ask everything in its files once, about.
    """

    model: str
    base: str
    key: str
    answers: bool
    job: str | None = None
    method: str | None = None
    created_at: int | None = None
    trained_tokens: int | None = None
    files: list[DataFile] = []
    checkpoints: list[Checkpoint] = []
    dark_on: str | None = None
    dark_from: str = ""
    days_left: int | None = None
    about_usd: float | None = None

    def file(self, role: str) -> DataFile | None:
        """The first file of that role."""
        return next((each for each in self.files if each.role == role), None)


class Seen(msgspec.Struct, frozen=True):
    """What one key sees: how many jobs and models, or why nothing."""

    key: str
    jobs: int = 0
    without_model: int = 0
    trouble: str | None = None


class Inventory(msgspec.Struct, frozen=True):
    """All of it, the models that go dark first at the top."""

    taken_at: str
    accounts: list[Seen]
    tunes: list[Tune]


def take_inventory(found: Sequence[Account], clock: Clock, progress: Callable[[str], None]) -> Inventory:
    """Look at everything the keys see. A key that is refused is a row, unless it is the only one.

    Raises:
        FinetuneError: no key sees anything.
    """
    tunes: dict[str, Tune] = {}
    seen = []
    for account in found:
        try:
            told, of_key = _look(account, clock, progress)
        except FinetuneError as error:
            if len(found) == 1:
                raise
            told, of_key = Seen(account.name, trouble=error.what), []
        seen.append(told)
        for tune in of_key:  # two keys of one project see the same
            tunes.setdefault(tune.model, tune)
    if all(each.trouble for each in seen):
        raise InputError(WHERE, f"no key is let in ({seen[0].trouble})", fix="Set keys that may read there.")
    far = 10**6
    ordered = sorted(tunes.values(), key=lambda t: (far if t.days_left is None else t.days_left, t.model))
    return Inventory(stamp(clock), seen, ordered)


def write_inventory(inventory: Inventory, folder: Path) -> Path:
    """Keep it in the folder of the rescue; returns where it is."""
    write_atomically(folder / NAME, msgspec.json.format(msgspec.json.encode(inventory)) + b"\n")
    return folder / NAME


def read_inventory(folder: Path) -> Inventory:
    """The last one.

    Raises:
        InputError: none was taken.
    """
    try:
        return msgspec.json.decode(read_file(folder / NAME), type=Inventory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise InputError(str(folder), "no inventory in it", fix="Run `finetune rescue inventory` first.") from None


def chosen(inventory: Inventory, names: Sequence[str]) -> list[Tune]:
    """The models that are meant, each by its name or by a part of it that no other has; all where none is named.

    Raises:
        InputError: one is none, or several.
    """
    found = []
    for name in names:
        exact = [tune for tune in inventory.tunes if tune.model == name]
        matches = exact or [tune for tune in inventory.tunes if name in tune.model]
        if len(matches) != 1:
            what = (
                "no such model in the inventory" if not matches else f"{len(matches)} models have that in their names"
            )
            raise InputError(WHERE, what, got=name, fix="`finetune rescue inventory` lists them; write the whole name.")
        found += matches
    return found or list(inventory.tunes)


def _look(account: Account, clock: Clock, progress: Callable[[str], None]) -> tuple[Seen, list[Tune]]:
    connection = account.connection
    models = connection.ask(WHERE, lambda client: client.models.list().to_dict()).get("data")
    listed = {str(row["id"]): row for row in models if isinstance(row, dict)} if isinstance(models, list) else {}
    try:
        found = connection.ask(WHERE, lambda client: list(jobs(client, None)))
    except NoList:
        found = []
    tunes = []
    for number, job in enumerate(found, start=1):
        progress(f"{account.name}: job {number} of {len(found)}")
        tune = _tune(account, job, listed, clock)
        if tune is not None:
            tunes.append(tune)
    known = {name for tune in tunes for name in (tune.model, *(each.model for each in tune.checkpoints))}
    for name in listed:
        if name.startswith(_STARTS) and name not in known and ":ckpt-step-" not in name:
            tunes.append(_dated(Tune(name, base_of(name), account.name, answers=True), listed, clock))
    made = sum(tune.job is not None for tune in tunes)
    return Seen(account.name, len(found), len(found) - made), tunes


def _tune(account: Account, job: "FineTuningJob", listed: dict[str, dict[str, object]], clock: Clock) -> Tune | None:
    """A job's model; None if it made none."""
    checkpoints = _checkpoints(account, job) if job.status in _MAY_HAVE_CHECKPOINTS else []
    model = job.fine_tuned_model or (checkpoints[0].model if checkpoints else None)
    if model is None:
        return None
    ids = [("training", job.training_file), ("validation", job.validation_file)]
    ids += [("result", each) for each in job.result_files or []]
    tune = Tune(
        model,
        base_of(model),
        account.name,
        answers=model in listed or _is_there(account, model),
        job=job.id,
        method=job.method.type if job.method is not None else "supervised",
        created_at=job.created_at,
        trained_tokens=job.trained_tokens,
        files=[_file(account, role, file_id) for role, file_id in ids if file_id],
        checkpoints=checkpoints,
    )
    return _dated(tune, listed, clock)


def _dated(tune: Tune, listed: dict[str, dict[str, object]], clock: Clock) -> Tune:
    row = listed.get(tune.model) or listed.get(tune.base) or {}
    last, source = dark_on(tune.model, row.get("shutdown_date"))
    asked = sum(each.size or 0 for each in tune.files if each.role != "result")
    return msgspec.structs.replace(
        tune,
        dark_on=None if last is None else last.isoformat(),
        dark_from=source,
        days_left=None if last is None else _days(last, clock),
        about_usd=guessed_usd(tune.model, asked) if asked else None,
    )


def _days(last: datetime.date, clock: Clock) -> int:
    return (last - clock.now().date()).days


def _checkpoints(account: Account, job: "FineTuningJob") -> list[Checkpoint]:
    def ask(client: "openai.OpenAI") -> list[Checkpoint]:
        listed = rows(lambda: client.fine_tuning.jobs.checkpoints.list(job.id, limit=100))
        return [Checkpoint(each.fine_tuned_model_checkpoint, each.step_number) for each in listed]

    found, _ = answered(account, ask)
    return sorted(found or [], key=lambda each: -(each.step or 0))


def _is_there(account: Account, model: str) -> bool:
    return answered(account, lambda client: client.models.retrieve(model))[0] is not None


def _file(account: Account, role: str, file_id: str) -> DataFile:
    found, state = answered(account, lambda client: client.files.retrieve(file_id))
    if found is None:
        return DataFile(role, file_id, state)
    return DataFile(role, file_id, state, found.filename or "", found.bytes)


def answered(account: Account, ask: "Callable[[openai.OpenAI], T]") -> tuple[T | None, str]:
    """What comes of a GET for one thing; a refusal is about that thing alone: None, and what it means.

    Raises:
        FinetuneError: the API cannot be reached, or has no time.
    """
    import openai

    refused = "gone"

    def unless_refused(client: "openai.OpenAI") -> T | None:
        nonlocal refused
        try:
            return ask(client)
        except NoList:
            return None
        except openai.APIStatusError as error:
            status = error.status_code
            if status >= 500 or status in (408, 409, 429) or status < 400:
                raise
            refused = "gone" if status in _GONE else "forbidden" if status in _FORBIDDEN else f"refused ({status})"
            return None

    found = account.connection.ask(WHERE, unless_refused)
    return found, "there" if found is not None else refused
