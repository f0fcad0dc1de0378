"""The benchmarks: `make bench`, or `python -m tests.bench --messages 100000` for a quick look.

Everything is measured against a named peer in the same run: runs take turns, medians are compared, and what counts are
the ratios, for times differ from machine to machine. The goals are for a million messages in 400 chats.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil  # type: ignore[import-untyped]

from pipeline.archives.imessage.typedstream import decode_attributed_body
from tests.bench.archive import build_archive
from tests.bench.exports import EXPORTS
from tests.bench.measure import Measured
from tests.bench.oracles import agreements
from tests.bench.readers import GOAL, Read
from tests.bench.redaction import GOAL as LEAST
from tests.bench.redaction import scores
from tests.bench.startup import no_op_seconds
from tests.bench.training import Trained

ROOT = Path(__file__).parents[2]
BODIES = 20_000
MILLION = 1_000_000
EXPORTED = 100_000
REDACTED = 2_000
TRAINED = (60, 270)
EVERY_S = 0.05
STARTS = 15

HEAD = ("what", "ours", "peer", "ratio", "goal", "")
STEPS = ("load", "merge", "map", "convert")


class Line(NamedTuple):
    """One line of the table; `is_reached` is None where there is no goal."""

    what: str
    ours: str
    peer: str
    ratio: float
    goal: str = ""
    is_reached: bool | None = None


class Archives(NamedTuple):
    """Databases of the same kind of chats; `four_times` has four times the messages, `one_chat` has them in one."""

    usual: Path
    four_times: Path
    one_chat: Path
    messages: int


def main() -> None:
    """Build the archives, take turns, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks, as ratios to named peers.")
    parser.add_argument(
        "only", nargs="?", choices=["startup", "readers", "redaction", "training"], help="do that alone"
    )
    parser.add_argument("--messages", type=int, default=MILLION)
    parser.add_argument("--chats", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3, help="of each way; the median counts")
    parser.add_argument("--folder", type=Path, help="where the archives and artifacts are written (default: a new one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finetune-bench-", dir=arguments.folder) as made:
        folder = Path(made)
        if arguments.only == "startup":
            _print_table(_startup(folder, arguments.runs))
            return
        if arguments.only == "readers":
            _print_table(_readers(folder))
            return
        if arguments.only == "training":
            _print_table(_training(folder))
            return
        if arguments.only == "redaction":
            _print_redaction()
            return
        archives = _build(folder, arguments.messages, arguments.chats)
        _say(f"taking turns, {arguments.runs} times, the notebook once ...")
        taken = _turns(archives.usual, arguments.runs)
        _say("measuring memory ...")
        memory = _memory(archives)
        lines = [*_ways(taken, arguments.messages), *memory]
        lines += _readers(folder)
        lines += [_decoder(archives.usual, arguments.runs), *_startup(folder, arguments.runs)]
    chats = f"{arguments.messages:,} messages in {arguments.chats:,} chats"
    _say(f"\n{chats}; {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    with tempfile.TemporaryDirectory(prefix="finetune-bench-", dir=arguments.folder) as made:
        lines += _training(Path(made))
    _print_table(lines)
    _print_steps(taken)
    _print_redaction()


def _readers(folder: Path) -> list[Line]:
    """Messages per second of processor time, of every app's export."""
    _say(f"reading exports of {EXPORTED:,} messages ...")
    lines = []
    for name in EXPORTS:
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.readers", name, str(EXPORTED), str(folder)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        found = msgspec.json.decode(done.stdout, type=Read)
        rate, floor = found.messages / found.ours, found.messages / found.floor
        reached = ("100,000/s or more", rate >= GOAL)
        lines.append(Line(f"reading {name}", f"{rate:,.0f}/s", f"floor {floor:,.0f}/s", rate / floor, *reached))
        if found.peer is not None:
            theirs = found.messages / found.peer
            lines.append(Line(f"reading {name}", f"{rate:,.0f}/s", f"LangChain {theirs:,.0f}/s", rate / theirs))
    return [*lines, *_oracles(folder)]


def _training(folder: Path) -> list[Line]:
    """Tokens per second of processor time of one thread; each way is a process of its own."""
    lines = []
    for median in TRAINED:
        _say(f"training the bundled model on examples of {median} tokens, three ways ...")
        ours, trl, plain = (_trained(way, median, folder) for way in ("ours", "trl", "plain"))
        rate, theirs, loop = (each.tokens / each.seconds for each in (ours, trl, plain))
        what, mine = f"training, {median} tokens", f"{rate:.0f}/s"
        lines += [
            Line(what, mine, f"TRL {theirs:.0f}/s", rate / theirs, "5x or more", rate / theirs >= 5),
            Line("... beside a plain loop", mine, f"{loop:.0f}/s", rate / loop),
            _floor_line(ours),
        ]
    return lines


def _floor_line(ours: Trained) -> Line:
    share = ours.floor / ours.seconds
    mine, floor = (f"{ours.tokens / seconds:.0f}/s" for seconds in (ours.seconds, ours.floor))
    return Line("... beside its bare products", mine, floor, share, "0.35x or more", share >= 0.35)


def _trained(way: str, median: int, folder: Path) -> Trained:
    command = [sys.executable, "-P", "-W", "ignore", "-m", "tests.bench.training", way, str(median), str(folder)]
    # -P leaves out the folder it is called in.
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=env)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Trained)


def _oracles(folder: Path) -> list[Line]:
    _say("reading WhatsApp beside whatstk and chat-miner, installed for that and thrown away ...")
    found = agreements(folder, EXPORTED)
    if not found:
        _say("whatstk and chat-miner cannot be had here")
    lines = []
    for each in found:
        rate, theirs = f"{each.ours:,.0f}/s", f"{each.peer} {each.theirs:,.0f}/s"
        lines.append(Line(f"reading {each.form}", rate, theirs, each.ours / each.theirs))
        lines.append(Line("... and the same is found", f"{each.share:.2%}", f"as {each.peer}", each.share))
    return lines


def _build(folder: Path, messages: int, chats: int) -> Archives:
    archives = Archives(folder / "chat.db", folder / "chat4.db", folder / "chat1.db", messages)
    _say(f"building archives of {messages:,} and {4 * messages:,} messages ...")
    build_archive(archives.usual, messages, chats)
    build_archive(archives.four_times, 4 * messages, chats)
    build_archive(archives.one_chat, messages, 1)
    return archives


def _turns(archive: Path, runs: int) -> dict[str, list[Measured]]:
    taken: dict[str, list[Measured]] = {"scan": [], "ours": [], "texting": [], "notebook": [], "rows": []}
    for _ in range(runs):
        for kind, measured in taken.items():
            if kind != "notebook" or not measured:  # minutes, for a million messages
                measured.append(_measure(kind, archive))
    return taken


def _ways(taken: dict[str, list[Measured]], messages: int) -> list[Line]:
    scan, ours, texting, theirs = (_seconds_of(taken[kind]) for kind in ("scan", "ours", "texting", "notebook"))
    rate, their_rate = taken["ours"][0].messages / ours, taken["notebook"][0].messages / theirs
    allowed = 15 * messages / MILLION
    return [
        Line(
            "messages per second",
            f"{rate:,.0f}/s",
            f"notebook {their_rate:,.0f}/s",
            rate / their_rate,
            "8x or more",
            rate / their_rate >= 8,
        ),
        Line(
            "load to convert", f"{ours:.2f} s", f"bare scan {scan:.2f} s", ours / scan, "2x or less", ours / scan <= 2
        ),
        Line(
            "... for texting, exact tokens",
            f"{texting:.2f} s",
            f"bare scan {scan:.2f} s",
            texting / scan,
            f"{allowed:.3g} s or less",
            texting <= allowed,
        ),
    ]


def _memory(archives: Archives) -> list[Line]:
    """Peaks of all processes of a run together, the tokenizer's memory included."""
    lines = []
    for kind, what in (("ours", "peak memory"), ("texting", "... for texting")):
        usual = _peak_mb(kind, archives.usual)
        for there, path in (("4x the messages", archives.four_times), ("all in one chat", archives.one_chat)):
            peak = _peak_mb(kind, path)
            lines.append(
                Line(
                    f"{what}, {there}",
                    f"{peak:.0f} MB",
                    f"as usual {usual:.0f} MB",
                    peak / usual,
                    "under 200 MB, flat",
                    peak < 200 and peak / usual < 1.15,
                )
            )
    return lines


def _decoder(archive: Path, runs: int) -> Line:
    import sqlite3
    from contextlib import closing

    import typedstream  # type: ignore[import-untyped]  # has no type hints

    with closing(sqlite3.connect(archive)) as db:
        query = "SELECT attributedBody FROM message WHERE ROWID % 5 = 0 LIMIT ?"
        bodies = [body for (body,) in db.execute(query, (BODIES,))]
    few = bodies[: BODIES // 40]
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(_seconds(lambda: [decode_attributed_body(body) for body in bodies]) / len(bodies))
        theirs.append(_seconds(lambda: [typedstream.unarchive_from_data(body) for body in few]) / len(few))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return Line("decoding a body, faster by", f"{mine * 1e6:.2f} us", f"pytypedstream {peer * 1e6:.0f} us", peer / mine)


def _startup(folder: Path, runs: int) -> list[Line]:
    """Seconds of processor time."""
    _say("running a finished run again, against doit and dvc, installed for that and thrown away ...")
    took = no_op_seconds(folder, max(runs, STARTS))
    if "dvc" not in took:
        _say("doit and dvc cannot be had here")
    lines = []
    for peer, called in (("dvc", "dvc repro"), ("doit", "doit"), ("imports", "typer, pydantic, ... imported")):
        for name, what in (("run", "a finished run, run again"), ("status", "its status")):
            if peer in took:
                ratio = took[name] / took[peer]
                goal = ("a third or less", ratio <= 1 / 3) if peer == "dvc" else ("", None)
                lines.append(Line(what, f"{took[name]:.2f} s", f"{called} {took[peer]:.2f} s", ratio, *goal))
    return lines


def _measure(kind: str, archive: Path) -> Measured:
    done = subprocess.run(_command(kind, archive), cwd=ROOT, check=True, capture_output=True)
    return msgspec.json.decode(done.stdout, type=Measured)


def _peak_mb(kind: str, archive: Path) -> float:
    """The most resident memory that a run's processes had together, looked at twenty times a second."""
    peak = 0
    with subprocess.Popen(_command(kind, archive), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        run = psutil.Process(process.pid)
        while process.poll() is None:
            held = 0
            for each in (run, *run.children()):
                try:
                    held += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, held)
            time.sleep(EVERY_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, kind)
    return peak / 2**20


def _command(kind: str, archive: Path) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "tests.bench.measure", kind, str(archive)]


def _seconds_of(taken: Sequence[Measured]) -> float:
    return statistics.median(each.seconds for each in taken)


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _print_table(lines: Sequence[Line]) -> None:
    verdicts = {True: "reached", False: "NOT REACHED", None: ""}
    rows = []
    for line in lines:
        ratio = f"{line.ratio:.{2 if line.ratio < 1 else 1 if line.ratio < 100 else 0}f}x"
        rows.append((line.what, line.ours, line.peer, ratio, line.goal, verdicts[line.is_reached]))
    _print_columns([HEAD, *rows], right=(1, 2, 3))


def _print_steps(taken: dict[str, list[Measured]]) -> None:
    """Where the time goes: of each step the seconds, and in brackets those of work on all cores."""

    def median(kind: str, step: str) -> str:
        parts = [each.parts[step] for each in taken[kind]]
        seconds, cpu = (statistics.median(getattr(part, name) for part in parts) for name in ("seconds", "cpu"))
        return f"{seconds:.2f} ({cpu:.2f})"

    _say("\nwhere the time goes: seconds, and in brackets seconds of work on all cores\n")
    ways = (("load to convert", "ours"), ("... for texting", "texting"))
    _print_columns(
        [("", *STEPS), *((what, *(median(kind, step) for step in STEPS)) for what, kind in ways)], right=(1, 2, 3, 4)
    )
    rows, scan = _seconds_of(taken["rows"]), _seconds_of(taken["scan"])
    _say(
        f"\nOf load, SQLite takes {rows:.2f} s of one core to find the rows conversation by conversation, in order of\n"
        f"time; the bare scan takes them as they lie in {scan:.2f} s. The rest, and nearly all of the other steps, is\n"
        "work on each message in Python, halved by a second process; texting's convert is one process and a thread."
    )


def _print_redaction() -> None:
    _say(f"\nwhat is replaced in texts, {REDACTED:,} of each kind and as many harmless ones, made by rules\n")
    rows = [("kind", "precision", "recall", "goal", "")]
    for each in scores(REDACTED, seed=3):
        verdict = "reached" if min(each.precision, each.recall) >= LEAST else "NOT REACHED"
        rows.append((each.kind, f"{each.precision:.2%}", f"{each.recall:.2%}", f"{LEAST:.0%} or more", verdict))
    _print_columns(rows, right=(1, 2))


def _print_columns(rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        _say("  ".join(cells).rstrip())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
