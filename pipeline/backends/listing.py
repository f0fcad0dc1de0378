"""Lists as servers really send them, and how a job of ours is recognised in one."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeVar

from pipeline.errors import BackendFailed
from pipeline.network import Transient

if TYPE_CHECKING:
    import openai
    from openai.pagination import SyncCursorPage
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob

T = TypeVar("T")
OP_KEY = "finetune_op"
LINEAGE_KEY = "finetune_run"
MOST_PAGES = 1000  # of a hundred jobs each; a list of files has up to 10,000 on one
NO_LIST = (404, 405, 501)


class NoList(Exception):
    """The server keeps no such list."""


class EndlessList(BackendFailed):
    """The server's pages never end."""


def _endless(why: str) -> EndlessList:
    return EndlessList(
        "backend.base_url",
        f"its list does not end ({why})",
        fix="Whoever runs that server has to mend its paging; until then use another.",
    )


def rows(first_page: "Callable[[], SyncCursorPage[T]]") -> Iterator[T]:
    """Every row of every page, each once.

    Raises:
        NoList: the server does not list these.
        Transient: what came is no list; an empty one it is not.
        EndlessList: there is always another page. Half a list is none: what is not on it may be there all the same.
    """
    import openai

    seen: set[str] = set()

    try:
        page = first_page()
    except openai.APIStatusError as error:
        if error.status_code in NO_LIST:
            raise NoList from None
        raise
    for _ in range(MOST_PAGES):
        if not isinstance(page.data, list) or not all(isinstance(getattr(row, "id", None), str) for row in page.data):
            raise Transient("the server's list makes no sense")
        fresh = [row for row in page.data if getattr(row, "id", None) not in seen]
        seen.update(str(getattr(row, "id", "")) for row in fresh)
        yield from fresh
        if not page.has_next_page():
            return
        if not fresh:
            raise _endless("every page of it is the same, whatever `after` says")
        page = page.get_next_page()
    raise _endless(f"after {MOST_PAGES:,} pages there are more")


def jobs(client: "openai.OpenAI", metadata: dict[str, str] | None) -> "Iterator[FineTuningJob]":
    """Every job, newest first. `metadata` only saves pages: servers ignore it or honour it, so check each row."""
    from openai import omit

    return rows(lambda: client.fine_tuning.jobs.list(limit=100, metadata=metadata or omit))


@dataclasses.dataclass(frozen=True)
class JobMark:
    """How the job of one operation is told from others.

    Attributes:
        op: the operation's identity, sent as metadata.
        suffix: sent as the model's suffix; carries a part of `op` where metadata may be lost.
        known_by: what the server is known to keep.
    """

    op: str
    train_file: str
    suffix: str | None
    known_by: Literal["metadata", "suffix", "either"]

    @property
    def metadata_filter(self) -> dict[str, str] | None:
        """For the list call; only saves pages, since each row is checked by `is_on`."""
        return {OP_KEY: self.op} if self.known_by == "metadata" else None

    def is_on(self, job: "FineTuningJob") -> bool:
        """Whether this is the operation's job."""
        if self.known_by != "suffix" and (job.metadata or {}).get(OP_KEY) == self.op:
            return True
        return self.known_by != "metadata" and self.suffix in _suffixes(job)

    def may_be_on(self, job: "FineTuningJob") -> bool:
        """Whether it trains on our file, which nobody else knows, and shows neither mark."""
        unmarked = OP_KEY not in (job.metadata or {}) and not any(_suffixes(job))
        return job.training_file == self.train_file and unmarked


def is_file(file: "FileObject", name: str, size: int) -> bool:
    """Whether this is a usable file of that name and size in bytes."""
    return file.filename == name and file.bytes == size and file.status != "error"


def lineage_of(job: "FineTuningJob") -> str | None:
    """The run directory that made the job, where the server keeps that."""
    return (job.metadata or {}).get(LINEAGE_KEY)


def age(row: object) -> tuple[int, str]:
    """For sorting, oldest first; the same order on every look."""
    created_at = getattr(row, "created_at", None)
    return (created_at if isinstance(created_at, int) else 0, str(getattr(row, "id", "")))


def _suffixes(job: "FineTuningJob") -> tuple[object, ...]:
    """The suffix is in no documented field of the answer; servers differ."""
    told = job.to_dict()
    return (told.get("user_provided_suffix"), told.get("suffix"))
