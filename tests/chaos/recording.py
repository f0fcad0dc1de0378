"""T19: the answers of a dying model, recorded and killed; the dressed server's log says what was paid for.

Not one answer may be paid for twice, none that was paid for may be forgotten, and what is there is whole.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.harness import KEY, Ended, Lab, World
from tests.chaos.rows import Case
from tests.rescue.dressed import PRICES, DressedServer, dressed_server, example, jsonl

QUESTIONS = 3
_FETCH = ("rescue", "fetch")
_RECORD = ("rescue", "record", "m01", "--max-cost", "1", "--samples", "2")


@contextlib.contextmanager
def provider(world: World) -> Iterator[DressedServer]:
    """One with one model, whose training file asks three questions."""
    with dressed_server() as server:
        server.projects = {KEY: "one"}
        server.add(1)
        server.files["file-train-01"] = jsonl([example(n) for n in range(QUESTIONS)])
        world.env["KEY_ONE"] = KEY
        yield server


def call(world: World, server: DressedServer, *argv: str, kill_at: int = 0) -> Ended:
    return world.run(*argv, "--key-env", "KEY_ONE", "--base-url", server.base_url, kill_at=kill_at)


def records(lab: Lab) -> Iterator[Case]:
    """SIGKILL at every failpoint of `rescue record`, then the same command, and then `--again`."""
    for point, name in enumerate(_trace(lab, _RECORD), start=1):

        def happens(world: World, point: int = point) -> None:
            with provider(world) as server:
                call(world, server, *_FETCH)
                call(world, server, *_RECORD, kill_at=point)
                _judge(world, server, call(world, server, *_RECORD))

        yield Case(f"T19 record: kill at {point} ({name})", happens)


def pairs(lab: Lab) -> Iterator[Case]:
    """Two kills: one at each failpoint of `rescue record`, and one at each of the next."""
    total = len(_trace(lab, _RECORD))
    for first in range(1, total + 1):
        for second in range(1, total - first + 2):

            def happens(world: World, first: int = first, second: int = second) -> None:
                with provider(world) as server:
                    call(world, server, *_FETCH)
                    call(world, server, *_RECORD, kill_at=first)
                    call(world, server, *_RECORD, kill_at=second)
                    _judge(world, server, call(world, server, *_RECORD))

            yield Case(f"T19 record: kill at {first}, then at {second}", happens)


def answers(lab: Lab) -> Iterator[Case]:
    """Each answer lost, refused, or of a server in trouble, and the model dark after each."""
    del lab
    refusal = {"error": {"message": "no", "type": "x", "param": None, "code": None}}
    for at in range(1, 2 * QUESTIONS + 1):
        for trouble in ("reset", "lost", *((status, {}, refusal) for status in (408, 409, 429, 500, 503))):

            def happens(world: World, at: int = at, trouble: object = trouble) -> None:
                with provider(world) as server:
                    call(world, server, *_FETCH)
                    server.trouble = lambda number: trouble if number == at else None
                    call(world, server, *_RECORD)
                    _judge(world, server, call(world, server, *_RECORD))

            what = trouble if isinstance(trouble, str) else str(trouble[0])
            yield Case(f"T19 record: {what} instead of answer {at}", happens)

        def goes_dark(world: World, at: int = at) -> None:
            with provider(world) as server:
                call(world, server, *_FETCH)
                server.dark_after = at
                if call(world, server, *_RECORD).code != (6 if at < 2 * QUESTIONS else 0):
                    world.bad("P8: a model that has gone dark is not said to be")
                _judge(world, server, None)

        yield Case(f"T19 record: dark after answer {at}", goes_dark)


def fetches(lab: Lab) -> Iterator[Case]:
    """SIGKILL at every failpoint of `rescue fetch`, then the same command."""
    for point, name in enumerate(_trace(lab, _FETCH, is_first=True), start=1):

        def happens(world: World, point: int = point) -> None:
            with provider(world) as server:
                call(world, server, *_FETCH, kill_at=point)
                again = call(world, server, *_FETCH)
                (train,) = (world.folder / "work" / "rescue").glob("*/train.jsonl")
                if again.code != 0 or train.read_bytes() != server.files["file-train-01"]:
                    world.bad(f"P5: not fetched: {again.err[-300:]}")
                if list((world.folder / "work").rglob("*.tmp")):
                    world.bad("P5: a half-written file is left")
                if any(not line.startswith("GET ") for line in server.log):
                    world.bad("P1: fetching changed something on the account")

        yield Case(f"T19 fetch: kill at {point} ({name})", happens)


def _trace(lab: Lab, argv: tuple[str, ...], *, is_first: bool = False) -> list[str]:
    """The failpoints of the command without trouble."""
    with lab.world() as world, provider(world) as server:
        if not is_first:
            call(world, server, *_FETCH)
        return call(world, server, *argv).trace


def _judge(world: World, server: DressedServer, last: Ended | None) -> None:
    """By the server's log, and the ledger's lines."""
    if last is not None and last.code != 0:
        world.bad(f"P8: recording does not end well: {last.code} {last.err[-300:]}")
    twice = [asked for asked, count in server.asked().items() if count > 1]
    if twice:
        world.bad(f"P1: {len(twice)} answers paid for twice")
    lines = _lines(world)
    texts = {
        (line["kind"], json.dumps(line["prompt"]["messages"])): [
            choice["message"]["content"] for choice in line["response"]["choices"]
        ]
        for line in lines
        if line["is"] == "answered"
    }
    intended = {line["key"] for line in lines if line["is"] == "asked"}
    for chat in server.chats:
        kind = "sampled" if "n" in chat.body else "greedy"
        kept = texts.get((kind, json.dumps(chat.body["messages"])))
        if kept is not None and kept != chat.answers:
            world.bad("P4: another answer than the model gave")
    if len(intended) < len(server.asked()):
        world.bad("P1: an answer was paid for, and nothing tells of it")
    if last is not None and len(intended) != 2 * QUESTIONS:
        world.bad(f"P4: {len(intended)} of {2 * QUESTIONS} questions asked")
    lost = len(server.chats) - len(texts)
    paid = sum(10 * PRICES[0] + 5 * len(chat.answers) * PRICES[1] for chat in server.chats) / 1e6
    spent = float((last or world.ended[-1]).err.rpartition("about $")[2].split()[0])
    if spent + 5e-5 < paid or (lost and spent < 0.001):
        world.bad(f"P1: {spent} is said to be spent, and {paid} was, {lost} answers lost")


def _lines(world: World) -> list[dict[str, Any]]:
    (path,) = (world.folder / "work" / "rescue").glob("*/answers.jsonl")
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]
