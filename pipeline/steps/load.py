"""Step 2: the archive becomes sessions."""

from pathlib import Path

from pipeline.config.settings import Config
from pipeline.dataset.preset import require_fitting
from pipeline.durable import atomic_writer
from pipeline.errors import InputError
from pipeline.steps.outputs import Download, Load
from pipeline.steps.step import Step, Work
from pipeline.wording import counted

SESSIONS = "02_sessions.jsonl"


def run(config: Config, download: Download, work: Work) -> Load:
    """Read every session of the archive.

    Raises:
        InputError: the archive cannot be read, is not what `convert.preset` takes, a filter names nobody in it, or no
            message is left.
    """
    from pipeline.archives.addresses import region_of
    from pipeline.archives.readers import EXAMPLES
    from pipeline.archives.reading import resolved
    from pipeline.archives.recognise import CUT
    from pipeline.archives.several import load_archives, readings_of

    found = [resolved(each) for each in readings_of(config.load, download.originals(work.run_dir))]
    for reading, what in found:
        if what:
            named = f"{Path(reading.path).name} is" if len(found) > 1 else "the archive is"
            work.display.note(f"{named} {what}")
    ready = {reading.source == EXAMPLES for reading, _ in found}
    if len(ready) > 1:
        raise InputError(
            "download.source",
            "some of these archives hold chats, others training examples that are ready",
            fix="Make two runs of them, or write the examples of both into one file.",
        )
    require_fitting(config, ready=True in ready)
    with atomic_writer(work.run_dir / SESSIONS) as file:
        loaded = load_archives([reading for reading, _ in found], file, work.run_dir)
        if not loaded.messages:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in loaded.dropped.most_common())
            raise InputError(
                ", ".join(map(str, download.paths(work.run_dir))),
                f"holds no messages to learn from{f' but {reasons}' if reasons else ''}",
                fix="Check `download.source`, and what `load` leaves out.",
            )
    for name in loaded.cut:
        work.display.note(f"WARNING: {name} {CUT}")
    for what, number in sorted(loaded.noted.items()):
        work.display.note(f"kept: {counted(number, 'message')} {what}")
    return Load(
        file.artifact(SESSIONS),
        loaded.sessions,
        loaded.messages,
        dict(sorted(loaded.dropped.items())),
        region_of(loaded.numbers),
        True in ready,
    )


STEP = Step(
    name="load",
    version=3,
    needs=("download",),
    declares=("load",),
    also_reads=("convert.preset",),  # to refuse what convert would
    output=Load,
    run=run,
)
