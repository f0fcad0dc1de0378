"""What a worker reports, kept in the job's folder too.

A server that is killed loses what it was told but had not written down yet. Those steps may lie before the checkpoint
from which the next worker goes on, so that nobody would ever tell of them again.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.durable import open_file, read_file
from pipeline.training.protocol import Checkpoint, Report, Started, Step

FILE = "reports.jsonl"


class Journal:
    """Says a worker's reports. What earlier workers on the folder said is said again first, up to where it goes on.

    Args:
        folder: the job's work_dir.
        say: tells the server, which leaves out what it knows.
    """

    def __init__(self, folder: Path, say: Callable[[Report], None]) -> None:
        self._path = folder / FILE
        self._say = say

    def report(self, said: Report) -> None:
        """Keep a report if it will matter, and say it."""
        if isinstance(said, Step | Checkpoint):
            self._keep(said)
        self._say(said)
        if isinstance(said, Started) and said.first_step:
            for earlier in self._earlier():
                if earlier.step <= said.first_step:
                    self._say(earlier)

    def _keep(self, said: Step | Checkpoint) -> None:
        fd = open_file(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        try:
            # The line break comes first: the line before may have been cut off by its writer's death.
            os.write(fd, b"\n" + msgspec.json.encode(said))
        finally:
            os.close(fd)

    def _earlier(self) -> list[Step | Checkpoint]:
        found = []
        for line in read_file(self._path).splitlines() if self._path.exists() else ():
            try:
                found.append(msgspec.json.decode(line, type=Step | Checkpoint))
            except msgspec.DecodeError:
                continue
        return found
