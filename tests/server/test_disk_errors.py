"""A full disk, without a compiler: a limit on the size of files, which fails the same calls in the same places."""

import errno
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from pipeline.errors import StateDamaged
from pipeline.server import disk_errors
from pipeline.server.interfaces import StorageBroken, StorageBusy, StorageError, StorageFull
from tests.server.harness import ServerProcess, examples, finish, start_job, upload


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")
def test_an_upload_that_does_not_fit_answers_507_and_leaves_nothing(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server()
    kept = upload(server.client)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    with pytest.raises(openai.APIStatusError) as refused:
        upload(server.client, examples(2000))

    assert refused.value.status_code == 507
    assert refused.value.body == {
        "message": "The server's disk is full. Free some space there and send the request again.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    assert list((server.data_dir / "incoming").iterdir()) == []
    assert [path.name for path in (server.data_dir / "files").iterdir()] == [kept.id]
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert upload(server.client, examples(2000)).bytes == len(examples(2000))
    assert finish(server.client, start_job(server.client).id).status == "succeeded"


@pytest.mark.parametrize(
    ("number", "full", "said"),
    [
        (errno.ENOSPC, True, "the server's disk is full"),
        (errno.EDQUOT, True, "the server's disk is full"),
        (errno.EIO, False, "the server's disk failed (Input/output error)"),
        (errno.EROFS, False, "the server's disk failed (Read-only file system)"),
        (errno.EACCES, False, None),
    ],
)
def test_the_disk_is_told_apart_from_a_bug(number: int, full: bool, said: str | None) -> None:
    error = OSError(number, "a path of the user's")

    assert (disk_errors.is_full(error), disk_errors.problem(error)) == (full, said)


@pytest.mark.parametrize(
    ("error", "full", "said", "lacking"),
    [
        (StorageFull("database or disk is full"), True, "the server's disk is full", None),
        (StorageBroken("Input/output error"), False, "the server's disk failed (Input/output error)", None),
        (StorageBusy("database is locked"), False, None, "database is locked"),
        (StorageError("malformed"), False, None, None),
    ],
)
def test_a_stores_trouble_is_told_apart_like_the_disks(
    error: StorageError, full: bool, said: str | None, lacking: str | None
) -> None:
    told = disk_errors.is_full(error), disk_errors.problem(error), disk_errors.shortage(error)

    assert told == (full, said, lacking)


def test_a_start_on_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged) as refused, disk_errors.explained(tmp_path):
        raise StorageFull

    assert str(refused.value) == (
        f"{tmp_path}: the server's disk is full. Free some space and start again: nothing that was accepted is lost."
    )


def test_a_start_on_a_store_that_is_no_good_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged) as refused, disk_errors.explained(tmp_path):
        raise StorageError("malformed")

    assert str(refused.value) == (
        f"{tmp_path}: the server's store cannot be read, got malformed. "
        "Put back a copy of this folder, or move it away to start with an empty store."
    )
