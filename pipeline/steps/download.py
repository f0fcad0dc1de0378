"""Step 1: fetch the archive, and check that it is one."""

from pipeline.archives.readers import AUTO
from pipeline.config.settings import Config, listed
from pipeline.durable import Artifact, describe_artifact
from pipeline.errors import InputError
from pipeline.steps.outputs import Download
from pipeline.steps.step import Step, Work

_MB = 1_000_000


def run(config: Config, work: Work) -> Download:
    """Fetch each `download.source` to 01_archive.<ext>, or to 01_archive-1.<ext> and so on where there are several.

    A good file that is there is never replaced by a bad one.
    """
    from pipeline.fetch import file_name

    sources = listed(config.download.source)
    if len(sources) == 1:
        first, more = _fetch(config, sources[0], "01_archive", work), []
    else:
        first, *more = (_fetch(config, each, f"01_archive-{n}", work, n) for n, each in enumerate(sources, start=1))
    names = tuple(map(file_name, sources))
    return Download(first, tuple(more), names if any(names) else ())


def _fetch(config: Config, source: str, stem: str, work: Work, number: int | None = None) -> Artifact:
    """One archive; `number` says in errors which of several it is."""
    from pipeline.fetch import archive_suffix, check_any, check_by_content, check_sqlite, fetch_archive

    settings = config.download
    is_imessage = config.load.source == "imessage" or config.load.loader == "imessage"
    check = check_by_content if config.load.source == AUTO else check_any

    def progress(done: int, total: int | None) -> None:
        of = f" of {total / _MB:,.1f}" if total else ""
        work.display.progress(done, total, f"{done / _MB:,.1f}{of} MB")

    try:
        target = f"{stem}{'.db' if is_imessage else archive_suffix(source)}"
        fetch_archive(
            source,
            work.run_dir / target,
            check=check_sqlite if is_imessage else check,
            sha256=settings.sha256,
            timeout_s=settings.timeout_s,
            attempts=settings.attempts,
            progress=progress,
            note=work.display.note,
            sleep=work.clock.sleep,
        )
    except InputError as error:
        if number is None or error.where != "download.source":
            raise
        raise InputError(f"download.source, number {number}", error.what, got=error.got, fix=error.fix) from None
    return describe_artifact(work.run_dir, target)


STEP = Step(
    name="download",
    version=1,
    needs=(),
    declares=("download.source", "download.sha256", "load.source", "load.loader"),
    also_reads=("download.timeout_s", "download.attempts"),
    output=Download,
    run=run,
)
