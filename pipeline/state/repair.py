"""Rebuilding a damaged or lost state file."""

import uuid
from pathlib import Path

from pipeline.durable import (
    read_file,
    write_atomically,
)
from pipeline.errors import StateDamaged
from pipeline.state.file import NAME, PREVIOUS, Body, State, decode_body
from pipeline.state.lock import lineage_of_lock
from pipeline.wording import counted


def repair(run_dir: Path) -> list[str]:
    """Rebuild the state from the generation before and the artifacts; says line by line what it found and did.

    A damaged file is kept as state.json.damaged. What only the backend knows is found by the next run: every remote
    effect has an identity that is computed from data and config, and is looked for before it is made again.

    Raises:
        StateDamaged: the state was written by a newer version; that is no damage.
    """
    path, previous = run_dir / NAME, run_dir / PREVIOUS
    said = []
    try:
        raw: bytes | None = read_file(path)
    except FileNotFoundError:
        raw = None
        said.append(f"{NAME} is missing.")
    if raw is not None:
        try:
            State.load(run_dir)
            return [f"{NAME} is intact; nothing to repair."]
        except StateDamaged as damage:
            if damage.newer:
                raise
            said.append(f"{NAME} {damage.what}. It is kept as {NAME}.damaged.")
        write_atomically(run_dir / f"{NAME}.damaged", raw)
    body = Body(lineage=lineage_of_lock(run_dir) or str(uuid.uuid4()))
    try:
        before = decode_body(read_file(previous), previous)
        body = before if lineage_of_lock(run_dir) in (None, before.lineage) else body
        said.append(f"{PREVIOUS} is good: serial {body.serial}, {counted(len(body.steps), 'step')} recorded.")
    except FileNotFoundError:
        said.append(f"There is no {PREVIOUS} either; every step is checked anew.")
    except StateDamaged as damage:
        said.append(f"{PREVIOUS} {damage.what}; every step is checked anew.")
    body.rebuilt = True
    state = State(run_dir, body)
    for name, record in body.steps.items():
        trouble = state.intact(record)
        said.append(f"{name}: {record.status if trouble is None else trouble}")
    path.unlink(missing_ok=True)
    state.save()
    said.append(f"{NAME} is written anew. Files and jobs on the backend are found by the next run.")
    return said
