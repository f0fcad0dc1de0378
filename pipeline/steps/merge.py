"""Step 3: consecutive messages of one sender become one."""

from pipeline.config.settings import Config
from pipeline.dataset.preset import BURST_GAP_S
from pipeline.durable import atomic_writer
from pipeline.steps.outputs import Load, Merge
from pipeline.steps.step import Step, Work

MERGED = "03_merged.jsonl"


def run(config: Config, load: Load, work: Work) -> Merge:
    """Merge runs: as LangChain's merge_chat_runs does, or for texting up to a pause."""
    from pipeline.sessions.transform import merge_file

    texting = config.convert.preset == "texting"
    delimiter, max_gap_s = config.merge.delimiter, config.merge.max_gap_s
    if delimiter is None:
        delimiter = "\n" if texting else "\n\n"
    if max_gap_s is None and texting:
        max_gap_s = BURST_GAP_S

    with atomic_writer(work.run_dir / MERGED) as file:
        merged = merge_file(work.run_dir / load.sessions.path, file, delimiter, max_gap_s)
    return Merge(file.artifact(MERGED), merged.before, merged.after)


STEP = Step(
    name="merge",
    version=2,
    needs=("load",),
    declares=("merge.delimiter", "merge.max_gap_s", "convert.preset"),
    output=Merge,
    run=run,
)
