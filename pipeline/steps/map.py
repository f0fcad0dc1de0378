"""Step 4: the chosen sender becomes the assistant, everybody else the user."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.settings import Config
from pipeline.durable import Artifact, atomic_writer
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER
from pipeline.steps.outputs import Map, Merge
from pipeline.steps.step import Step, Work

if TYPE_CHECKING:
    from pipeline.sessions.transform import Cast

MAPPED = "04_mapped.jsonl"

_LISTED = 20


def run(config: Config, merge: Merge, work: Work) -> Map:
    """Give every message its role.

    Raises:
        InputError: nobody of that name speaks in the archive, or `me` and it does not say who that is; lists who
            does, with counts.
    """
    wanted = config.map.assistant
    names = [wanted] if isinstance(wanted, str) else wanted
    path = work.run_dir / merge.sessions.path
    artifact, cast = _cast(path, work, names)
    if any(name not in cast.senders for name in names):
        artifact, cast = _cast(path, work, [name if name in cast.senders else cast.meant[name] for name in names])
    return Map(artifact, cast.assistant, cast.user)


def _cast(path: Path, work: Work, names: list[str]) -> tuple[Artifact, "Cast"]:
    from pipeline.sessions.transform import cast_file

    with atomic_writer(work.run_dir / MAPPED) as file:
        cast = cast_file(path, file, frozenset(names))
        for name in names:
            if name not in cast.senders and cast.meant.get(name) not in cast.senders:
                raise _not_found(name, path)
    return file.artifact(MAPPED), cast


def _not_found(name: str, path: Path) -> InputError:
    from pipeline.sessions.stream import read_streams

    blocks = (block for stream in read_streams(path) for block in stream.blocks)
    senders = Counter(message.sender for block in blocks for message in block)
    listed = ", ".join(f"{sender} ({count:,})" for sender, count in senders.most_common(_LISTED))
    more = f" and {len(senders) - _LISTED:,} more" if len(senders) > _LISTED else ""
    what = "no such sender"
    if name == OWNER:
        what = "no message in the archive is marked as its owner's"
    return InputError("map.assistant", what, got=name, fix=f"Choose one of the senders found: {listed}{more}.")


STEP = Step(
    name="map",
    version=1,
    needs=("merge",),
    declares=("map.assistant",),
    output=Map,
    run=run,
)
