"""The soak: `make soak`, or `python -m tests.soak --seconds 120`. Ten minutes by default, outside of the tests.

64 clients poll a job, 8 chats are streamed and a job is trained, all at once and for real. Half of the time the clients
poll a bare FastAPI app that answers a constant, while chats and training go on: only the ratio of the two says
something, for times differ from machine to machine. Leaves with 1 if anything failed, or the server's memory grew.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.soak.load import CHATS, POLLERS, Load, Tally
from tests.soak.servers import bare_app, embedded_server

GROWTH = 1.05  # of the last quarter's memory over the second quarter's: more is growth


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Everything at once, for a while.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds from one poll of a client to its next")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="finetune-soak-") as folder,
        embedded_server(Path(folder)) as server,
        bare_app() as bare_url,
    ):
        load = Load(server, bare_url, arguments.interval)
        _say("training a first model, to chat with ...")
        asyncio.run(load.run(arguments.seconds, _say))
    sys.exit(0 if _report(load.tally, arguments.seconds) else 1)


def _report(tally: Tally, seconds: int) -> bool:
    """Print the results; whether all is well."""
    _say(
        f"\n{seconds} s: {POLLERS} clients polling, {CHATS} streaming chats, one training at a time, "
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}\n"
    )
    ours, bare = _quantiles(tally.polls), _quantiles(tally.bare_polls)
    _say(f"polling a job   {len(tally.polls):>7,} polls   median {ours[0]:>6.1f} ms   p99 {ours[1]:>7.1f} ms")
    _say(f"a bare FastAPI  {len(tally.bare_polls):>7,} polls   median {bare[0]:>6.1f} ms   p99 {bare[1]:>7.1f} ms")
    _say(f"p99, ours to bare: {ours[1] / bare[1]:.1f}x   (median {ours[0] / bare[0]:.1f}x)")
    words = _quantiles(tally.first_words)
    _say(
        f"chats           {len(tally.first_words):>7,} answers, {tally.chat_tokens:,} tokens; "
        f"first word: median {words[0] / 1000:.1f} s, p99 {words[1] / 1000:.1f} s"
    )
    _say(f"training        {tally.steps:>7,} steps in {tally.jobs:,} jobs")
    quarter = max(1, len(tally.memory_mb) // 4)
    before = statistics.median(tally.memory_mb[quarter : 2 * quarter] or tally.memory_mb)
    after = statistics.median(tally.memory_mb[-quarter:])
    _say(
        f"memory          {before:>7,.0f} MB in the second quarter, {after:,.0f} MB in the last: {after / before:.2f}x"
    )
    _say(f"errors          {len(tally.errors):>7,}")
    for error in sorted(set(tally.errors)):
        _say(f"  {tally.errors.count(error)}x {error}")
    return not tally.errors and after <= GROWTH * before


def _quantiles(times_ms: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    if len(times_ms) < 2:
        return (times_ms or [0.0])[0], (times_ms or [0.0])[0]
    return statistics.median(times_ms), statistics.quantiles(times_ms, n=100)[98]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
