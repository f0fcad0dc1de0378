"""What the harness asks of the zygote: one process, and what goes wrong in it."""

import msgspec


class Line(msgspec.Struct, frozen=True):
    """Connections that do not come about.

    Attributes:
        call: whose requests, as tests.fault_server.call_of names them.
        kind: dns, refused or tls.
    """

    call: str
    kind: str
    skip: int = 0
    times: int = 1


class Disk(msgspec.Struct, frozen=True):
    """System calls of durable writes that fail.

    Attributes:
        call: open, write, fsync, replace or dirsync.
        error: an errno's name.
        at: which one, from 1; `times` of them.
    """

    call: str
    error: str
    at: int
    times: int = 1


class Order(msgspec.Struct, kw_only=True):
    """One process.

    Attributes:
        argv: the command's arguments.
        out, err: files for its output; "closed" is a pipe that nobody reads.
        trace: a file that gets a line for every failpoint reached.
        clock: a file of two doubles: the seconds passed, and by how much the wall clock is wrong.
        signals: at the 17th failpoint ("17") or at the second of a name ("post.answered#2"), this signal.
        mutants: names in tests.chaos.mutants.
        record: a file that gets every call to the disk.
        program: "pipeline", or "usual": the script that everybody writes.
        interrupts: a signal that means nothing arrives every other millisecond (EINTR).
        file_limit: the largest file the process may write, in bytes (RLIMIT_FSIZE).
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    out: str
    err: str
    trace: str
    clock: str
    signals: dict[str, int] = {}
    mutants: list[str] = []
    line: Line | None = None
    disk: Disk | None = None
    record: str | None = None
    program: str = "pipeline"
    file_limit: int | None = None
    interrupts: bool = False


class Request(msgspec.Struct, kw_only=True):
    """Start a process, wait for one (-1: for any), or run one in the zygote itself before all others."""

    warm_up: Order | None = None
    start: Order | None = None
    wait: int | None = None
    or_stopped: bool = False


class Reply(msgspec.Struct):
    """The process started, or how the one waited for ended: an exit code, or minus a signal; or that it has stopped."""

    pid: int
    status: int | None = None
    stopped: bool = False
