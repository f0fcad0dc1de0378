"""Step 2: the archive becomes sessions, one at a time."""

from collections import Counter
from collections.abc import Iterator

from pipeline.chats.session import Session, write_sessions
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.steps.outputs import Download, Load
from pipeline.steps.step import Step, Work


def run(config: Config, download: Download, work: Work) -> Load:
    """Read every session of the archive.

    Raises:
        InputError: the archive cannot be read, or holds no message.
    """
    archive = work.run_dir / download.archive.path
    dropped: Counter[str] = Counter()
    counts: Counter[str] = Counter()

    def sessions() -> Iterator[Session]:
        if config.load.loader is not None:
            from pipeline.chats.langchain import read_langchain

            found = read_langchain(config.load.loader, archive, dropped)
        elif config.load.source == "whatsapp":
            from pipeline.chats.whatsapp import read_whatsapp

            found = read_whatsapp(archive, dropped)
        else:
            from pipeline.chats.imessage import read_imessage

            found = read_imessage(archive, dropped)
        for session in found:
            counts["sessions"] += 1
            counts["messages"] += len(session.messages)
            yield session
        if not counts["messages"]:
            raise InputError(str(archive), "holds no messages", fix="Check download.source and load.loader.")

    artifact = write_sessions(work.run_dir, "02_sessions.jsonl", sessions())
    return Load(artifact, counts["sessions"], counts["messages"], dict(sorted(dropped.items())))


STEP = Step(
    name="load",
    version=1,
    needs=("download",),
    declares=("load",),
    output=Load,
    run=run,
)
