"""What a backend can do, asked with requests that change nothing and cost nothing, and kept for the run."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.backends.client import Connection
from pipeline.backends.listing import NO_LIST
from pipeline.durable import read_file, write_atomically
from pipeline.errors import FinetuneError, InputError
from pipeline.process.clock import Clock, stamp

if TYPE_CHECKING:
    import openai

FILE = "probe.json"
WHERE = "probe"


class Learned(msgspec.Struct, frozen=True):
    """What a backend said.

    Attributes:
        at: when it was asked, such as "2026-11-28T09:00:00Z".
        backend: whom, as `Connection.identity` has it.
        lists: for models, jobs and files: whether there is such a list, and None where that could not be asked now.
        models: how many it lists.
        has_model: whether the base model of the config is among them.
        shutdown: when models go, by name, where it says so.
        why: what came in the place of an answer, by list.
    """

    at: str
    backend: str
    lists: dict[str, bool | None]
    models: int = 0
    has_model: bool | None = None
    shutdown: dict[str, datetime.date] = {}
    why: dict[str, str] = {}


def probe(connection: Connection, model: str, clock: Clock) -> Learned:
    """Ask for the models, one job and one file. Only GETs.

    Raises:
        InputError: there is no key, or it is refused.
    """
    import openai

    connection.open()
    lists: dict[str, bool | None] = {}
    why: dict[str, str] = {}
    refused: list[InputError] = []

    def asked(name: str, request: "Callable[[openai.OpenAI], Any]") -> list[Any]:
        def look(client: openai.OpenAI) -> Any:
            try:
                return request(client).data
            except openai.APIStatusError as error:
                if error.status_code in NO_LIST:
                    return None
                raise

        found = None
        try:
            found = connection.ask(WHERE, look)
            lists[name] = isinstance(found, list)
        except FinetuneError as error:
            refused.extend([error] if isinstance(error, InputError) else [])
            lists[name], why[name] = None, error.what
        return found if isinstance(found, list) else []

    models = asked("models", lambda client: client.models.list())
    asked("jobs", lambda client: client.fine_tuning.jobs.list(limit=1))
    asked("files", lambda client: client.files.list(purpose="fine-tune", limit=1))
    if len(refused) == len(lists):
        raise refused[-1]
    names = [str(getattr(each, "id", "")) for each in models]
    return Learned(
        stamp(clock),
        connection.identity,
        lists,
        models=len(names),
        has_model=model in names if names else None,
        shutdown=dict(_shutdowns(models)),
        why=why,
    )


def _shutdowns(models: list[Any]) -> Iterator[tuple[str, datetime.date]]:
    """OpenAI API reference, models: `shutdown_date` is YYYY-MM-DD or null."""
    for each in models:
        told = getattr(each, "shutdown_date", None)
        if isinstance(told, str):
            try:
                yield str(each.id), datetime.date.fromisoformat(told)
            except ValueError:
                continue


def keep(learned: Learned, run_dir: Path) -> None:
    """Write it down in the run directory."""
    write_atomically(run_dir / FILE, msgspec.json.format(msgspec.json.encode(learned), indent=2) + b"\n")


def remembered(run_dir: Path, backend: str) -> Learned | None:
    """What was learnt of this backend last; None if nothing, or of another one."""
    try:
        learned = msgspec.json.decode(read_file(run_dir / FILE), type=Learned)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return learned if learned.backend == backend else None
