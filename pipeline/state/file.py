"""state.json: what has been done, so that running again goes on.

One file, written whole and durably, one generation kept (`state.json.prev`). `lineage` names the run directory's
history, `serial` counts the writes, `sha256` covers the canonical body: an empty, cut or edited file is never read as
a fresh start. The lock is flock on `state.lock`, which is never unlinked; the kernel frees it when its holder dies.
"""

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import __version__
from pipeline.durable import (
    Artifact,
    describe_artifact,
    keep_as,
    make_private,
    read_file,
    sweep_temporaries,
    write_atomically,
)
from pipeline.errors import InputError, StateDamaged
from pipeline.state.lock import LOCK, lineage_of_lock, open_lock, signature, take

FORMAT = "finetune-state"
VERSION = 1
NAME = "state.json"
PREVIOUS = "state.json.prev"

Json = Any  # values of a config or an output as JSON has them

UPLOAD, CREATE_JOB, DEPLOY = "upload", "create_job", "deploy"
"""The steps with remote effects, as `Attempt.step` has them: one sends files, one buys jobs, one has models served."""

MIGRATIONS: dict[int, Callable[[Json], Json]] = {}
"""For each earlier version, a pure function from its body to the next version's (tests/golden has a state of each)."""


class Attempt(msgspec.Struct, kw_only=True):
    """A remote effect that was about to happen; written before the request leaves.

    Attributes:
        step: whose effect it is.
        account: the backend identity it was made on.
        tries: POSTs that left and were not definitely refused.
        remote_id: what the server called it; None while unknown.
        how: whether this run made it or found it made.
        deleted: we have removed it from the backend on purpose.
        made_of, generation: of a job: what makes it the same job, and which of those it is; of a deployment: where.
        ended: of a job: it came to an end that is no success, or is not wanted any more.
    """

    step: str
    account: str
    tries: int = 0
    first_at: str | None = None
    remote_id: str | None = None
    how: Literal["created", "adopted"] | None = None
    deleted: bool = False
    made_of: str | None = None
    generation: int = 0
    ended: bool = False

    @property
    def is_job(self) -> bool:
        """Whether it is a job, which was bought."""
        return self.step == CREATE_JOB

    @property
    def is_file(self) -> bool:
        """Whether it is a training file."""
        return self.step == UPLOAD

    @property
    def stands(self) -> bool:
        """Whether it is a deployment, and was not removed."""
        return self.step == DEPLOY and self.remote_id is not None and not self.deleted


class Made(msgspec.Struct, frozen=True):
    """What a step made, with the config keys that it declared then."""

    declared: dict[str, Json]
    output: dict[str, Json]


class StepRecord(msgspec.Struct, kw_only=True):
    """One step's last run.

    Attributes:
        declared: the config keys the step declares, with their values.
        needs: for each step it builds on, the digest of that step's output.
        stats: for each artifact, [mtime in ns, size, inode] when it was last hashed.
        stale: a reason to run again that no fingerprint shows, such as a job that failed.
        earlier: while it is not done, what it made when it last was.
    """

    status: Literal["running", "done", "failed"]
    fingerprint: str
    version: int
    declared: dict[str, Json]
    needs: dict[str, str]
    started_at: str
    finished_at: str | None = None
    seconds: float | None = None
    attempts: int = 1
    output: dict[str, Json] | None = None
    output_digest: str | None = None
    artifacts: list[Artifact] = []
    stats: dict[str, list[int]] = {}
    error: str | None = None
    stale: str | None = None
    earlier: Made | None = None

    @property
    def last_made(self) -> Made | None:
        """What it made when it was last done."""
        return Made(self.declared, self.output) if self.status == "done" and self.output is not None else self.earlier


class Body(msgspec.Struct, kw_only=True):
    """Everything the checksum covers.

    `remote` is the ledger, keyed by the effect's op. `models` has, for each base model by its name on the Hugging Face
    Hub, as the config has it, the commit that this run takes (a sha). `rebuilt` says that an earlier state was lost:
    what it knew of the backend is looked for with patience.
    """

    lineage: str
    serial: int = 0
    rebuilt: bool = False
    steps: dict[str, StepRecord] = {}
    remote: dict[str, Attempt] = {}
    models: dict[str, str] = {}


class _File(msgspec.Struct, kw_only=True):
    format: str
    version: int
    written_by: str
    sha256: str
    body: msgspec.Raw


def digest(value: Json) -> str:
    """sha256, in hex, of `value`'s canonical JSON (sorted keys)."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


class State:
    """The state of one run directory, in memory; `save` makes it durable."""

    def __init__(self, run_dir: Path, body: Body, on_disk: tuple[str, int] | None = None) -> None:
        self.run_dir = run_dir
        self.body = body
        self._on_disk = on_disk  # lineage and serial of the file that the next save replaces
        self.refreshed = False
        """Whether artifacts were verified by their content since the last save."""

    @classmethod
    def load(cls, run_dir: Path) -> "State":
        """Read the state; a directory without one and without artifacts is a fresh start.

        Raises:
            StateDamaged: the file is missing beside artifacts, empty, cut, edited, or of a newer version.
        """
        path = run_dir / NAME
        try:
            if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would be waited on for ever
                raise StateDamaged(str(path), "is not a file", fix="Remove it, then run `finetune repair CONFIG`.")
            raw = read_file(path)
        except FileNotFoundError:
            _refuse_lost_state(run_dir)
            return cls(run_dir, Body(lineage=lineage_of_lock(run_dir) or str(uuid.uuid4())))
        except OSError as error:
            raise StateDamaged(
                str(path), f"cannot be read ({error.strerror})", fix="Mend that, then run again."
            ) from None
        body = decode_body(raw, path)
        if body.lineage != (lineage_of_lock(run_dir) or body.lineage):
            raise StateDamaged(
                str(path),
                "belongs to another run directory",
                fix="Put the right one back, or run `finetune repair CONFIG`.",
            )
        return cls(run_dir, body, (body.lineage, body.serial))

    def save(self) -> None:
        """Write the state durably, keeping the one before as state.json.prev.

        Raises:
            StateDamaged: the disk refuses, and the old state stays whole; or another process has written it meanwhile.
        """
        try:
            self._write()
        except OSError as error:
            known = sorted(attempt.remote_id for attempt in self.body.remote.values() if attempt.remote_id)
            ids = f"; on the backend there are {', '.join(known)}" if known else ""
            raise StateDamaged(
                str(self.run_dir / NAME),
                f"cannot be written ({error.strerror}){ids}",
                fix="Free some space or mend the disk, then run again: what is on the backend is found again.",
            ) from None

    def _write(self) -> None:
        path = self.run_dir / NAME
        self._refuse_other_writers(path)
        self.body.serial += 1
        self.refreshed = False
        body = msgspec.json.encode(self.body, order="sorted")
        file = _File(
            format=FORMAT,
            version=VERSION,
            written_by=__version__,
            sha256=hashlib.sha256(body).hexdigest(),
            body=msgspec.Raw(body),
        )
        if path.exists():
            keep_as(path, self.run_dir / PREVIOUS)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
        self._on_disk = (self.body.lineage, self.body.serial)

    def _refuse_other_writers(self, path: Path) -> None:
        """The second belt beside the lock: file systems that lock badly, two hosts, edits by hand while we run."""
        try:
            there = decode_body(read_file(path), path)
            found = (there.lineage, there.serial)
        except FileNotFoundError:
            found = None
        if found != self._on_disk:
            raise StateDamaged(
                str(path),
                "was changed by another process while this one ran",
                fix="See what else works in this directory, then run again.",
            )

    def intact(self, record: StepRecord) -> str | None:
        """Why a recorded artifact cannot be trusted, or None. Hashes again only what was touched since."""
        for artifact in record.artifacts:
            path = self.run_dir / artifact.path
            try:
                now = stat_of(path)
                if now is not None and record.stats.get(artifact.path) == now:
                    continue
                if describe_artifact(self.run_dir, artifact.path) != artifact:
                    return f"{artifact.path} is not what was written"
            except FileNotFoundError:
                return f"{artifact.path} is missing"
            if now is not None:
                record.stats[artifact.path] = now
                self.refreshed = True
        return None


def stat_of(path: Path) -> list[int] | None:
    """What changes when a file is written: [mtime in ns, size in bytes, inode]. None for a folder."""
    found = path.stat()
    return None if path.is_dir() else [found.st_mtime_ns, found.st_size, found.st_ino]


def decode_body(raw: bytes, path: Path) -> Body:
    """The body of a state file, checked and of today's version; `path` is for error messages.

    Raises:
        StateDamaged: it is cut, edited or of a newer version.
    """
    fix = "Run `finetune repair CONFIG` to go back to the last good state."
    try:
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError):
        what = "is empty" if not raw.strip() else "is damaged"
        raise StateDamaged(str(path), f"{what}, so nothing is known of what was done", fix=fix) from None
    if not raw.startswith(b"{"):
        raise StateDamaged(str(path), "is damaged, so nothing is known of what was done", fix=fix)
    if file.format != FORMAT or file.version < 1:
        raise StateDamaged(str(path), "not a finetune state", got=f"{file.format} {file.version}", fix=fix)
    if file.version > VERSION:
        newer = StateDamaged(
            str(path),
            f"written by finetune {file.written_by} in format {file.version}; this one reads up to {VERSION}",
            fix="Upgrade finetune.",
        )
        newer.newer = True
        raise newer
    try:
        body = msgspec.json.decode(file.body)
        if digest(body) != file.sha256:
            raise StateDamaged(str(path), "was changed by something else than finetune (checksum)", fix=fix)
        for version in range(file.version, VERSION):
            body = MIGRATIONS[version](body)
        return msgspec.convert(body, Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StateDamaged(str(path), "is damaged", fix=fix) from None


def _refuse_lost_state(run_dir: Path) -> None:
    left = sorted(p.name for p in run_dir.glob("*") if p.name == PREVIOUS or p.name[:2].isdigit())
    if left:
        raise StateDamaged(
            str(run_dir / NAME),
            f"missing, though there are {', '.join(left[:3])}{' …' if len(left) > 3 else ''}",
            fix="Run `finetune repair CONFIG` to rebuild it, or remove the run directory to start over.",
        )


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold the run directory; a second run stops at once.

    Raises:
        Locked: another process holds it.
        InputError: the directory is a link or belongs to somebody else.
    """
    if run_dir.is_symlink() or run_dir.stat().st_uid != os.geteuid():
        raise InputError(str(run_dir), "not a directory of yours", fix="Choose another `name`, or remove it.")
    fd = open_lock(run_dir / LOCK)
    try:
        take(fd, run_dir)
        with contextlib.suppress(OSError):  # of a disk that is full or read-only; perhaps there is nothing to do
            run_dir.chmod(0o700)
            make_private(run_dir)
            sweep_temporaries(run_dir)
            lineage = lineage_of_lock(run_dir) or _lineage_of_state(run_dir) or str(uuid.uuid4())
            line = f"{signature()} lineage {lineage}\n".encode()
            os.pwrite(fd, line, 0)  # before cutting what is there: a full disk must not lose the lineage
            os.ftruncate(fd, len(line))
        yield
    finally:
        os.close(fd)


def _lineage_of_state(run_dir: Path) -> str | None:
    for name in (NAME, PREVIOUS):
        with contextlib.suppress(OSError, StateDamaged):
            return decode_body(read_file(run_dir / name), run_dir / name).lineage
    return None
