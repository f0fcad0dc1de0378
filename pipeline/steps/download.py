"""Step 1: fetch the archive, and check that it is one."""

from pathlib import Path

from pipeline.archives.readers import AUTO
from pipeline.config.settings import Config
from pipeline.durable import describe_artifact
from pipeline.steps.outputs import Download
from pipeline.steps.step import Step, Work

_MB = 1_000_000


def run(config: Config, work: Work) -> Download:
    """Fetch `download.source` to 01_archive.<ext>; a good file there is never replaced by a bad one."""
    from pipeline.fetch import archive_suffix, check_any, check_by_content, check_sqlite, fetch_archive

    settings = config.download
    is_imessage = config.load.source == "imessage" or config.load.loader == "imessage"
    suffix = ".db" if is_imessage else archive_suffix(settings.source)
    by_source = check_by_content if config.load.source == AUTO else check_any
    check = check_sqlite if is_imessage else by_source
    target = Path(f"01_archive{suffix}")

    def progress(done: int, total: int | None) -> None:
        of = f" of {total / _MB:,.1f}" if total else ""
        work.display.progress(done, total, f"{done / _MB:,.1f}{of} MB")

    fetch_archive(
        settings.source,
        work.run_dir / target,
        check=check,
        sha256=settings.sha256,
        timeout_s=settings.timeout_s,
        attempts=settings.attempts,
        progress=progress,
        note=work.display.note,
        sleep=work.clock.sleep,
    )
    return Download(describe_artifact(work.run_dir, target.name))


STEP = Step(
    name="download",
    version=1,
    needs=(),
    declares=("download.source", "download.sha256", "load.source", "load.loader"),
    also_reads=("download.timeout_s", "download.attempts"),
    output=Download,
    run=run,
)
