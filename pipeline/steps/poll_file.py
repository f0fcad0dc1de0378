"""Step 7: wait until the backend has read the files."""

from typing import TYPE_CHECKING

from pipeline.backends.polling import Reminder, pace_of, wait_until
from pipeline.config.settings import Config
from pipeline.errors import RemoteEnded
from pipeline.steps.outputs import PollFile, Upload
from pipeline.steps.step import Step, Work
from pipeline.wording import about

if TYPE_CHECKING:
    import openai
    from openai.types import FileObject


# "deleted" and "cancelled" are Azure's; a status nobody has heard of is waited for.
_ENDED = ("processed", "error", "deleted", "cancelled")


def run(config: Config, upload: Upload, work: Work) -> PollFile:
    """Poll each file until it is processed.

    Raises:
        RemoteEnded: the backend could not use a file; carries its reason.
    """
    for file_id in (upload.train_file, upload.valid_file):
        if file_id is not None:
            _wait_for(file_id, config, work)
    return PollFile(upload.train_file, upload.valid_file)


def _wait_for(file_id: str, config: Config, work: Work) -> None:
    profile, since = work.connection.profile, work.clock.monotonic()
    reminder = Reminder(work.clock)

    def retrieve(client: "openai.OpenAI") -> "FileObject":
        file = client.files.retrieve(file_id)
        told = getattr(file, "status", None)
        return file if told or profile.file_status else file.model_copy(update={"status": "processed"})

    def look() -> "FileObject":
        file = work.connection.look_at("poll_file", file_id, retrieve, since)
        work.display.progress(0, None, f"{file_id} is {file.status}")
        if file.status not in _ENDED and (waited := reminder.due_after()):
            work.display.note(f"{file_id} is still {file.status}, for {about(waited)} now; waiting on")
        return file

    file = wait_until(
        "poll_file",
        look,
        lambda file: file.status in _ENDED,
        pace=pace_of(config.poll_file, profile.interval_s, profile.max_interval_s),
        clock=work.clock,
        go_on=work.go_on,
        complain=work.display.note,
    )
    if file.status != "processed":
        reason = work.connection.quote(file.status_details or "no reason given")
        raise RemoteEnded(
            "poll_file", f"{file_id} ended as {file.status} ({reason})", fix="Change the data, then run again."
        )


STEP = Step(
    name="poll_file",
    version=1,
    needs=("upload",),
    declares=(),
    also_reads=("poll_file",),
    output=PollFile,
    run=run,
    remote=True,
    spoils="upload",
)
