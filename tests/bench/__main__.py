"""The benchmarks: `make bench`, or `python -m tests.bench --messages 1000000`.

Everything is measured against a named peer in the same run: runs take turns, medians are compared, and only ratios are
printed as results, for times differ from machine to machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.chats.typedstream import decode_attributed_body
from tests.bench.archive import build_archive
from tests.bench.measure import Measured

ROOT = Path(__file__).parents[2]
BODIES = 20_000


class Line(NamedTuple):
    """One line of the table."""

    what: str
    ours: str
    peer: str
    ratio: str
    meaning: str


def main() -> None:
    """Build the archives, take turns, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks, as ratios to named peers.")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--chats", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3, help="of each way; the median counts")
    parser.add_argument("--folder", type=Path, help="where the archives and artifacts are written (default: a new one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finetune-bench-", dir=arguments.folder) as made:
        folder = Path(made)
        archive, four_times = folder / "chat.db", folder / "chat4.db"
        _say(f"building archives of {arguments.messages:,} and {4 * arguments.messages:,} messages ...")
        build_archive(archive, arguments.messages, arguments.chats)
        build_archive(four_times, 4 * arguments.messages, arguments.chats)
        _say(f"taking turns, {arguments.runs} times ...")
        lines = [
            *_ways(archive, arguments.runs),
            _texting(archive, arguments.runs),
            _memory(archive, four_times),
            _memory(archive, four_times, "texting"),
            _decoder(archive, arguments.runs),
            _skipped(folder, arguments.runs),
        ]
    _print(lines, arguments.messages, arguments.chats)


def _ways(archive: Path, runs: int) -> list[Line]:
    taken: dict[str, list[Measured]] = {"ours": [], "notebook": [], "scan": []}
    for _ in range(runs):
        for kind, measured in taken.items():
            measured.append(_measure(kind, archive))
    middle = {kind: statistics.median(each.seconds for each in found) for kind, found in taken.items()}
    rate = {kind: found[0].messages / middle[kind] for kind, found in taken.items()}
    found, theirs = taken["ours"][0], taken["notebook"][0]
    parts = ", ".join(
        f"{name} {statistics.median(each.parts[name] for each in taken['ours']) / middle['ours']:.0%}"
        for name in found.parts
    )
    return [
        Line(
            "messages per second",
            f"{rate['ours']:,.0f}/s",
            f"notebook {rate['notebook']:,.0f}/s",
            f"{rate['ours'] / rate['notebook']:.1f}x",
            f"higher is better, goal 8x; {found.examples:,} examples of ours, {theirs.examples:,} of the notebook's",
        ),
        Line(
            "load to convert",
            f"{middle['ours']:.2f} s",
            f"bare scan {middle['scan']:.2f} s",
            f"{middle['ours'] / middle['scan']:.1f}x",
            f"lower is better, goal 2x; {parts}",
        ),
    ]


def _texting(archive: Path, runs: int) -> Line:
    taken: dict[str, list[Measured]] = {"texting": [], "scan": []}
    for _ in range(runs):
        for kind, measured in taken.items():
            measured.append(_measure(kind, archive))
    ours, scan = (statistics.median(each.seconds for each in found) for found in taken.values())
    found = taken["texting"][0]
    parts = ", ".join(
        f"{name} {statistics.median(each.parts[name] for each in taken['texting']) / ours:.0%}" for name in found.parts
    )
    return Line(
        "the same for texting",
        f"{ours:.2f} s",
        f"bare scan {scan:.2f} s",
        f"{ours / scan:.1f}x",
        f"lower is better, goal 15 s a million; exact tokens, every check; {found.examples:,} examples; {parts}",
    )


def _memory(archive: Path, four_times: Path, kind: str = "ours") -> Line:
    once, more = _measure(kind, archive).peak_mb, _measure(kind, four_times).peak_mb
    return Line(
        "peak memory, 4x messages" if kind == "ours" else "likewise for texting",
        f"{more:.0f} MB",
        f"1x messages {once:.0f} MB",
        f"{more / once:.1f}x",
        "lower is better, 1x is flat, goal under 200 MB; one conversation at a time is held"
        + (", and the tokenizer, about 110 MB" if kind == "texting" else ""),
    )


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
    return Line(
        "decoding a body",
        f"{mine * 1e6:.2f} us",
        f"pytypedstream {peer * 1e6:.0f} us",
        f"{peer / mine:.0f}x",
        "higher is better; it builds the whole object graph, we take the text",
    )


def _skipped(folder: Path, runs: int) -> Line:
    command = [sys.executable, "-m", "pipeline", "run", str(ROOT / "configs" / "ci.yaml")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    ours, theirs = [], []
    for _ in range(max(runs, 5)):
        ours.append(_seconds(lambda: subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)))
        theirs.append(_seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return Line(
        "a finished run, run again",
        f"{mine:.2f} s",
        f"python -c pass {peer:.2f} s",
        f"{mine / peer:.0f}x",
        "lower is better; ten steps checked and skipped",
    )


def _measure(kind: str, archive: Path) -> Measured:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.measure", kind, str(archive)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return msgspec.json.decode(done.stdout, type=Measured)


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _print(lines: list[Line], messages: int, chats: int) -> None:
    head = Line("what", "ours", "peer", "ratio", "")
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(4)]
    _say(f"\n{messages:,} messages in {chats:,} chats, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    for line in (head, *lines):
        cells = [
            line.what.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:4], widths[1:], strict=True)),
        ]
        _say(f"{'  '.join(cells)}  {line.meaning}".rstrip())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
