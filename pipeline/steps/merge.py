"""Step 3: consecutive messages of one sender become one."""

from collections import Counter
from collections.abc import Iterator

from pipeline.chats.session import Session, read_sessions, write_sessions
from pipeline.chats.transform import merge_runs
from pipeline.config import Config
from pipeline.steps.outputs import Load, Merge
from pipeline.steps.step import Step, Work


def run(config: Config, load: Load, work: Work) -> Merge:
    """Merge runs, as LangChain's merge_chat_runs does."""
    counts: Counter[str] = Counter()

    def merged() -> Iterator[Session]:
        for session in read_sessions(work.run_dir / load.sessions.path):
            result = merge_runs(session, config.merge.delimiter)
            counts["before"] += len(session.messages)
            counts["after"] += len(result.messages)
            yield result

    artifact = write_sessions(work.run_dir, "03_merged.jsonl", merged())
    return Merge(artifact, counts["before"], counts["after"])


STEP = Step(
    name="merge",
    version=1,
    needs=("load",),
    declares=("merge.delimiter",),
    output=Merge,
    run=run,
)
