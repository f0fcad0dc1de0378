"""Whether the key in hand sees what we made: the right account, and the thing still there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.backends.client import Connection
from pipeline.errors import DecisionNeeded, InputError
from pipeline.process.clock import Clock
from pipeline.state.file import CREATE_JOB, Attempt

if TYPE_CHECKING:
    import openai

_LOOKS = 3
_WAIT_S = 5.0


def is_usable(connection: Connection, step: str, remote_id: str) -> bool:
    """Whether this key sees the file or job; a file that the server could not use counts as gone."""
    status = _status(connection, step, remote_id)
    return status is not None and (step == CREATE_JOB or status != "error")


def _status(connection: Connection, step: str, remote_id: str) -> str | None:
    """What this key sees of the file or job; None if nothing."""
    import openai

    def get(client: "openai.OpenAI") -> str | None:
        try:
            get_one = client.fine_tuning.jobs.retrieve if step == CREATE_JOB else client.files.retrieve
            found = get_one(remote_id)
            return str(found.status) if found.id == remote_id else None
        except (openai.NotFoundError, openai.PermissionDeniedError):
            return None

    return connection.ask(step, get)


def check_account(connection: Connection, clock: Clock, where: str, recorded: Sequence[Attempt]) -> None:
    """The canary: the key must see what an earlier run recorded before anything new is sent.

    Raises:
        InputError: it does not see a job; another account would be billed and would hold the chats.
        DecisionNeeded: it does not see a file, which may also have expired.
    """
    # A file may have been removed or have expired; a job stays, so it is the better witness.
    witness = min(recorded, key=lambda attempt: not attempt.is_job, default=None)
    if witness is None or witness.remote_id is None or connection.profile.free:
        return
    for look in range(_LOOKS):
        if _status(connection, witness.step, witness.remote_id) is not None:  # a file in error is seen, too
            return
        if look < _LOOKS - 1:
            clock.sleep(_WAIT_S)
    if not witness.is_job:
        raise DecisionNeeded(
            where,
            f"this key does not see {witness.remote_id}, which an earlier run sent: another account, or expired?",
            fix="Use the earlier key, or `finetune forget CONFIG upload` to send it anew.",
        )
    raise InputError(
        where,
        f"this key does not see {witness.remote_id}, which an earlier run made: another project or organisation?",
        fix="Use the earlier key, or begin anew with this one under another name: --set name=….",
    )
