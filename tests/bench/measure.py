"""Measures one way from a chat.db to training examples: `python -m tests.bench.measure KIND DB`, a process of its own.

Prints one line of JSON. Imports are not timed: they would be most of what the peers take.
"""

import dataclasses
import io
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

from pipeline.terminal.style import Lines

COLUMNS = (
    "ROWID, date, is_from_me, handle_id, text, attributedBody, subject, service, associated_message_type, item_type, "
    "balloon_bundle_id, is_system_message, is_service_message, is_auto_reply, is_corrupt, is_spam, is_audio_message, "
    "message_summary_info, thread_originator_guid, schedule_type, is_sent, date_edited, date_retracted"
)
"""Of `message`, those that our reader reads."""


@dataclasses.dataclass
class Part:
    """What one step took: seconds, and seconds of work on all cores, a second process's too."""

    seconds: float
    cpu: float


Found = tuple[int, int, dict[str, Part]]
"""Messages, examples, what each step took."""

Run = Callable[[], Found]
_Made = TypeVar("_Made")


@dataclasses.dataclass
class Measured:
    """What one run took.

    Attributes:
        messages: rows of the archive that were turned into something or counted; of the notebook, those it found.
        cpu: seconds of work on all cores.
        parts: what each step took.
    """

    seconds: float
    cpu: float
    messages: int
    examples: int
    parts: dict[str, Part]


def ours(archive: Path, folder: Path, preset: str = "notebook", tokens: str = "estimate") -> Run:
    """load, merge, map and convert, as a run does them, with every artifact durable."""
    from pipeline.backends.client import Connection
    from pipeline.backends.ledger import Ledger
    from pipeline.config.settings import Config
    from pipeline.durable import Artifact
    from pipeline.process.clock import SystemClock
    from pipeline.process.signals import Signals
    from pipeline.state.file import State
    from pipeline.steps import convert, load, map, merge
    from pipeline.steps.outputs import Download
    from pipeline.steps.step import Work
    from pipeline.terminal.display import TextDisplay

    config, clock = (
        Config.model_validate({"name": "bench", "convert": {"min_examples": 1, "preset": preset, "tokens": tokens}}),
        SystemClock(),
    )
    connection, state = Connection(config.backend, folder, clock), State.load(folder)
    display = TextDisplay(None, clock, lines=Lines(io.StringIO()))
    ledger = Ledger(state, connection, clock, Signals(), display.note)
    work = Work(folder, display, clock, connection, ledger, go_on="")
    (folder / "01_archive.db").symlink_to(archive)

    def run() -> Found:
        parts: dict[str, Part] = {}
        loaded = _timed(parts, "load", lambda: load.run(config, Download(Artifact("01_archive.db", "", 0)), work))
        merged = _timed(parts, "merge", lambda: merge.run(config, loaded, work))
        mapped = _timed(parts, "map", lambda: map.run(config, merged, work))
        converted = _timed(parts, "convert", lambda: convert.run(config, mapped, loaded, work))
        return loaded.messages + sum(loaded.dropped.values()), converted.examples, parts

    return run


def texting(archive: Path, folder: Path) -> Run:
    """The same with windows, all checks, and tokens counted as the default model counts them."""
    return ours(archive, folder, "texting", "exact")


def rows(archive: Path, folder: Path) -> Run:
    """What load asks of SQLite, conversation by conversation, and nothing done with it."""
    from collections import deque

    from pipeline.archives.imessage.database import Database, opened
    from pipeline.archives.imessage.people import People, conversations

    def run() -> Found:
        with opened(archive) as db:
            database = Database(archive, db)
            for conversation in conversations(database, People(database.handles())):
                deque(database.rows(conversation.chats), maxlen=0)
            return database.messages(), 0, {}

    return run


def notebook(archive: Path, folder: Path) -> Run:
    """What LangChain's fine-tuning notebooks do; its assistant is the sender with most messages, there is no `me`."""
    from langchain_community.adapters.openai import convert_messages_for_finetuning
    from langchain_community.chat_loaders.imessage import IMessageChatLoader
    from langchain_community.chat_loaders.utils import map_ai_messages, merge_chat_runs

    with closing(sqlite3.connect(archive)) as db:
        sender = db.execute(
            "SELECT id FROM handle JOIN message ON handle.ROWID = handle_id GROUP BY id ORDER BY count(*) DESC"
        ).fetchone()[0]

    def run() -> Found:
        found = list(IMessageChatLoader(path=archive).lazy_load())
        sessions = list(map_ai_messages(merge_chat_runs(found), sender=sender))
        examples = convert_messages_for_finetuning(sessions)
        with (folder / "train.jsonl").open("w") as file:
            for example in examples:
                file.write(json.dumps({"messages": example}) + "\n")
        return sum(len(session["messages"]) for session in found), len(examples), {}

    return run


def scan(archive: Path, folder: Path) -> Run:
    """The same columns, row by row, and nothing done with them: the floor."""

    def run() -> Found:
        with closing(sqlite3.connect(f"{archive.as_uri()}?mode=ro", uri=True)) as db:
            return sum(1 for _ in db.execute(f"SELECT {COLUMNS} FROM message")), 0, {}

    return run


def _timed(parts: dict[str, Part], name: str, step: Callable[[], _Made]) -> _Made:
    begin, worked = time.perf_counter(), _cpu()
    made = step()
    parts[name] = Part(time.perf_counter() - begin, _cpu() - worked)
    return made


def _measured(run: Run) -> Measured:
    begin, worked = time.perf_counter(), _cpu()
    messages, examples, parts = run()
    return Measured(time.perf_counter() - begin, _cpu() - worked, messages, examples, parts)


def _cpu() -> float:
    return sum(os.times()[:4])


WAYS = {
    "ours": ours,
    "texting": texting,
    "rows": rows,
    "notebook": notebook,
    "scan": scan,
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).parent) as made:
        sys.stdout.buffer.write(msgspec.json.encode(_measured(WAYS[sys.argv[1]](Path(sys.argv[2]), Path(made)))))
