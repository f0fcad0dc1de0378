"""How fast an app's export is read: `python -m tests.bench readers` for all, each in a process of its own.

Counted is processor time, for a reader is bound by the processor. The floor is the least that reading the same bytes
can be: json.loads of all of it, or its lines. LangChain's loader is the peer, where it finds the messages in the file.
Floor and reader take their turns within the same second or so, as machines are not equally fast all the time.
"""

import json
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.archives.reading import Reading, load_archive
from tests.bench.exports import EXPORTS

GOAL = 100_000
"""Messages a second."""

_LINES = ("whatsapp", "whatsapp, iPhone", "signal", "wechat", "sms", "jsonl")


class Read(msgspec.Struct):
    """How an export was read; processor time in seconds.

    Attributes:
        peer: LangChain's; None where it has no loader that reads the file.
    """

    messages: int
    ours: float
    floor: float
    peer: float | None


class _Nowhere:
    def write(self, data: bytes | bytearray, /) -> object:
        return len(data)


def read(name: str, messages: int, folder: Path, runs: int = 2) -> Read:
    """Make an export in `folder`, and read it; of several runs the fastest counts."""
    path = EXPORTS[name](folder, messages)
    reading = Reading(str(path), name.partition(",")[0])
    ours, floor = [], []
    for _ in range(runs):
        floor.append(_seconds(lambda: _read_plainly(path, by_line=name in _LINES)))
        ours.append(_seconds(lambda: load_archive(reading, _Nowhere(), folder)))
    return Read(messages, min(ours), min(floor), _peer(name, path, messages))


def _read_plainly(path: Path, *, by_line: bool) -> None:
    for data in _bytes_of(path):
        if by_line:
            data.decode().splitlines()
        else:
            json.loads(data)


def _bytes_of(path: Path) -> Iterator[bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    else:
        yield from (each.read_bytes() for each in ([path] if path.is_file() else sorted(path.rglob("*.json"))))


def _peer(name: str, path: Path, messages: int) -> float | None:
    """Seconds that LangChain's loader takes; None if it does not find most of the messages."""
    warnings.simplefilter("ignore")
    from langchain_community.chat_loaders.facebook_messenger import SingleFileFacebookMessengerChatLoader
    from langchain_community.chat_loaders.slack import SlackChatLoader
    from langchain_community.chat_loaders.telegram import TelegramChatLoader
    from langchain_community.chat_loaders.whatsapp import WhatsAppChatLoader

    loaders: dict[str, Callable[[Any], Any]] = {
        "telegram": TelegramChatLoader,
        "whatsapp, iPhone": WhatsAppChatLoader,
        "slack": SlackChatLoader,
        "messenger, one file": SingleFileFacebookMessengerChatLoader,
    }
    if name not in loaders:
        return None
    begin = time.process_time()
    found = sum(len(session["messages"]) for session in loaders[name](str(path)).lazy_load())
    return time.process_time() - begin if found > messages // 2 else None


def _seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as made:
        sys.stdout.buffer.write(msgspec.json.encode(read(sys.argv[1], int(sys.argv[2]), Path(made))))
