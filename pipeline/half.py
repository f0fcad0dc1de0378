"""The second half of a step's work: `python -m pipeline.half JOB FD`, started by pipeline.helper.

Reads one line of JSON that says what to do, writes its half to the file FD and one line about it to stdout. Its parent
holds its stdin open: when that ends, so does this.
"""

import os
import sys
import threading

import msgspec

from pipeline.chats.archive import Reading, load_part
from pipeline.chats.passes import Casting, Merging, cast_part, merge_part
from pipeline.dataset.notebook_file import Noting, note_part

_BUFFER = 1 << 20


def main() -> None:
    """Do the job."""
    job, fd = sys.argv[1], int(sys.argv[2])
    task = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(fd, "wb", buffering=_BUFFER) as made:
        match job:
            case "load":
                told: msgspec.Struct = load_part(msgspec.json.decode(task, type=Reading), made)
            case "merge":
                told = merge_part(msgspec.json.decode(task, type=Merging), made)
            case "cast":
                told = cast_part(msgspec.json.decode(task, type=Casting), made)
            case "note":
                told = note_part(msgspec.json.decode(task, type=Noting), made)
            case _:
                raise ValueError(job)
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # past the buffer, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
