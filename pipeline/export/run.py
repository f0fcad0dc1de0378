"""An export from the outside: its process, the folder that it writes to, and what becomes of it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.durable import TEMPORARY, make_private_dir, publish
from pipeline.errors import FinetuneError, InputError, StateDamaged, TryLater
from pipeline.export.messages import Done, Message, Note, Order, Refused
from pipeline.models.environment import for_children, require_libraries
from pipeline.models.exit_codes import signal_name
from pipeline.wording import in_bytes

# -P: the folder that a user works in may hold a pipeline.py of its own.
COMMAND = (sys.executable, "-P", "-m", "pipeline.export.process")
_SIZE = {"f32": 2.0, "f16": 1.0, "q8_0": 0.6}
"""Of the file, as a part of weights in 16 bits."""


def require_vacant(target: Path) -> None:
    """See that nothing is in an export's place.

    Raises:
        InputError: something is.
    """
    if target.exists() or target.is_symlink():
        raise InputError(
            str(target), "there is something already", fix="Remove it, or name another folder with --into."
        )


def export_to(target: Path, order: Order, note: Callable[[str], None]) -> tuple[str, ...]:
    """Write what is asked for into `target`, which is there in the end whole and proved, or not at all.

    Returns:
        How it was proved, a line each.

    Raises:
        InputError: this model cannot be exported so.
        ExpectationNotMet: what came out says something else than the served model.
        StateDamaged: the disk refuses.
    """
    require_libraries()
    parent = make_private_dir(target.parent)
    for left in parent.glob(f".{target.name}.*{TEMPORARY}"):  # of one that was killed; the run's lock is ours
        shutil.rmtree(left, ignore_errors=True)
    _check_room(order, parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=TEMPORARY, dir=parent))
    try:
        done = _ask(msgspec.structs.replace(order, folder=str(temporary)), note)
        publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return done.lines


def _check_room(order: Order, parent: Path) -> None:
    weights = sum(file.stat().st_size for file in Path(order.base).glob("*.safetensors"))
    part = {"adapter": 0.05, "merged": 1.0}.get(order.form, _SIZE[order.quant])
    needed, free = int(weights * part * 1.05) + 20_000_000, shutil.disk_usage(parent).free
    if needed > free:
        raise StateDamaged(
            str(parent),
            f"the export needs about {in_bytes(needed)}",
            got=f"{in_bytes(free)} free",
            fix="Free some space, or name a folder on a larger disk with --into.",
        )


def _ask(order: Order, note: Callable[[str], None]) -> Done:
    try:
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,  # its end says that we are gone, however that happened
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=for_children(),
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone
        )
    except OSError as error:
        what = f"no process can be started ({error.strerror})"
        raise TryLater("export", what, fix="Run the same command later.") from None
    with process:
        try:
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(order) + b"\n")
                process.stdin.flush()
            for line in process.stdout or ():
                match _message(line):
                    case Note(text):
                        note(text)
                    case Refused() as refused:
                        raise refused.error()
                    case Done() as done:
                        return done
                    case None:
                        pass
            raise _dead(process.wait())
        except BrokenPipeError:
            raise _dead(process.wait()) from None
        finally:
            process.kill()
            process.wait()  # it may be writing yet what is about to be removed


def _message(line: bytes) -> Message | None:
    """What it says; None for what others print there."""
    try:
        message: Message = msgspec.json.decode(line, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message


def _dead(code: int) -> FinetuneError:
    how = signal_name(-code) if code < 0 else f"exit code {code}"
    return TryLater(
        "export",
        f"the process that does it has ended ({how})",
        fix="Close other programs, then run it again.",
    )
