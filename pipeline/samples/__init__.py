"""The archives that come with the package: `download.source: sample:NAME`."""

from pathlib import Path

from pipeline.errors import InputError

SAMPLES = {"tortoise-hare": Path(__file__).with_name("tortoise_hare.db")}


def sample_path(name: str) -> Path:
    """Return where the sample archive `name` lies.

    Raises:
        InputError: no such sample; lists those there are.
    """
    if name not in SAMPLES:
        raise InputError(
            "download.source", "no such sample", got=repr(name), fix=f"Choose one of: {', '.join(sorted(SAMPLES))}."
        )
    return SAMPLES[name]
