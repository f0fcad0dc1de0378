"""Whole sessions, which the pipeline handles in pieces."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pipeline.sessions.session import Session
from pipeline.sessions.transform import merge_runs


def write_sessions(path: Path, sessions: Iterable[Session]) -> Path:
    """Write sessions, one a line."""
    path.write_bytes(b"".join(msgspec.json.encode(session) + b"\n" for session in sessions))
    return path


def merge_session(session: Session, delimiter: str, max_gap_s: float | None = None) -> Session:
    """The session with its runs joined."""
    messages = [message for block in merge_runs([session.messages], delimiter, max_gap_s) for message in block]
    return msgspec.structs.replace(session, messages=messages)
