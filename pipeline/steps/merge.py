"""Step 3: consecutive messages of one sender become one."""

from collections import Counter
from collections.abc import Iterator

from pipeline.chats.session import Session, read_sessions, write_sessions
from pipeline.chats.transform import merge_runs
from pipeline.config import Config
from pipeline.dataset.preset import BURST_GAP_S
from pipeline.steps.outputs import Load, Merge
from pipeline.steps.step import Step, Work


def run(config: Config, load: Load, work: Work) -> Merge:
    """Merge runs: as LangChain's merge_chat_runs does, or for texting up to a pause."""
    counts: Counter[str] = Counter()
    texting = config.convert.preset == "texting"
    delimiter, max_gap_s = config.merge.delimiter, config.merge.max_gap_s
    if delimiter is None:
        delimiter = "\n" if texting else "\n\n"
    if max_gap_s is None and texting:
        max_gap_s = BURST_GAP_S

    def merged() -> Iterator[Session]:
        for session in read_sessions(work.run_dir / load.sessions.path):
            result = merge_runs(session, delimiter, max_gap_s)
            counts["before"] += len(session.messages)
            counts["after"] += len(result.messages)
            yield result

    artifact = write_sessions(work.run_dir, "03_merged.jsonl", merged())
    return Merge(artifact, counts["before"], counts["after"])


STEP = Step(
    name="merge",
    version=2,
    needs=("load",),
    declares=("merge.delimiter", "merge.max_gap_s", "convert.preset"),
    output=Merge,
    run=run,
)
