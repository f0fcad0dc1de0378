"""Step 2: the archive becomes sessions, one at a time."""

from collections import Counter
from collections.abc import Iterator

from pipeline.chats.archive import read_archive
from pipeline.chats.session import Session, write_sessions
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.steps.outputs import Download, Load
from pipeline.steps.step import Step, Work


def run(config: Config, download: Download, work: Work) -> Load:
    """Read every session of the archive.

    Raises:
        InputError: the archive cannot be read, a filter names nobody in it, or no message is left.
    """
    archive = work.run_dir / download.archive.path
    dropped: Counter[str] = Counter()
    counts: Counter[str] = Counter()

    def sessions() -> Iterator[Session]:
        for session in read_archive(config.load, archive, dropped):
            counts["sessions"] += 1
            counts["messages"] += len(session.messages)
            yield session
        if not counts["messages"]:
            reasons = f" but {', '.join(f'{n:,} {reason}' for reason, n in dropped.most_common())}" if dropped else ""
            raise InputError(
                str(archive),
                f"holds no messages to learn from{reasons}",
                fix="Check `download.source`, and what `load` leaves out.",
            )

    artifact = write_sessions(work.run_dir, "02_sessions.jsonl", sessions())
    return Load(artifact, counts["sessions"], counts["messages"], dict(sorted(dropped.items())))


STEP = Step(
    name="load",
    version=2,
    needs=("download",),
    declares=("load",),
    output=Load,
    run=run,
)
