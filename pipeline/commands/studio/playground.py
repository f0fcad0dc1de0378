"""The processes that answer the playground (answering.py), one a config: begun at the first question, ended when idle.

While one is there it holds the run directory, as an open `finetune chat` does, so it does not stay long.
"""

import asyncio
import contextlib
import itertools
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from pipeline.commands.studio.answering import Hello, Message, Piece, Question
from pipeline.commands.studio.children import program, refusal
from pipeline.errors import FinetuneError
from pipeline.process.privacy import as_given

IDLE_S = 120.0
_ENDING_S = 30.0
_LONGEST_LINE = 1 << 20
_KEPT = 40
_AGAIN = "Ask again."


class Talkers:
    """Those that are there."""

    def __init__(self) -> None:
        self._there: dict[Path, Talker] = {}
        self._starting = asyncio.Lock()

    async def get(self, config: Path) -> "Talker":
        """The one of a config, started if need be.

        Raises:
            FinetuneError: there is no model yet, or the run directory is in use.
        """
        async with self._starting:
            talker = self._there.get(config)
            if talker is None or talker.has_ended:
                talker = self._there[config] = await Talker.start(config)
            return talker

    async def close(self, config: Path | None = None) -> None:
        """End the one of a config, or all, and wait until they have let go of their run directories."""
        async with self._starting:
            gone = [each for each in self._there if config in (None, each)]
            await asyncio.gather(*(self._there.pop(each).close() for each in gone))


class Talker:
    """One process.

    Attributes:
        hello: who there is to talk to.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Piece]] = {}
        self._complaints: list[str] = []
        self._spell = 0
        self._first: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.ensure_future(self._hear()), asyncio.ensure_future(self._overhear())]

    @classmethod
    async def start(cls, config: Path) -> "Talker":
        """Start it and wait until it has said who there is.

        Raises:
            FinetuneError: it ended instead; in its own words.
        """
        process = await asyncio.create_subprocess_exec(
            *program(), "studio", "--answers", str(config), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
            env=as_given(), limit=_LONGEST_LINE,
        )  # fmt: skip
        talker = cls(process)
        talker.hello = await talker._first
        talker._rest()
        return talker

    hello: Hello

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, or about to be."""
        pipe = self._process.stdin
        return self._process.returncode is not None or pipe is None or pipe.is_closing()

    async def ask(self, model: str, messages: list[Message], temperature: float) -> AsyncIterator[Piece]:
        """The answer, as it comes; whoever stops listening stops it."""
        number, pieces = next(self._numbers), asyncio.Queue[Piece]()
        self._waiting[number] = pieces
        self._rest(is_busy=True)
        try:
            self._say(Question(number, model, messages, temperature))
            while True:
                piece = await pieces.get()
                yield piece
                if piece.done:
                    return
        finally:
            del self._waiting[number]
            if not self.has_ended:
                self._say(Question(number, stop=True))
            self._rest()

    async def close(self) -> None:
        """Let it end in good order; one that does not is ended."""
        self._rest(is_busy=True)
        self._hang_up()
        try:
            await asyncio.wait_for(self._process.wait(), _ENDING_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._tasks)

    def _rest(self, *, is_busy: bool = False) -> None:
        """Count from now how long nobody asks anything."""
        self._spell += 1
        if not is_busy and not self._waiting:
            asyncio.get_running_loop().call_later(IDLE_S, self._hang_up_after, self._spell)

    def _hang_up_after(self, spell: int) -> None:
        if spell == self._spell:  # nobody has asked since
            self._hang_up()

    def _hang_up(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _say(self, question: Question) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):  # it has ended, and `_hear` says so
                self._process.stdin.write(msgspec.json.encode(question) + b"\n")

    async def _hear(self) -> None:
        while self._process.stdout is not None and (line := await self._process.stdout.readline()):
            if not self._first.done():
                with contextlib.suppress(msgspec.DecodeError):
                    self._first.set_result(msgspec.json.decode(line, type=Hello))
                continue
            piece = msgspec.json.decode(line, type=Piece)
            if piece.id in self._waiting:
                self._waiting[piece.id].put_nowait(piece)
        await self._process.wait()
        await self._tasks[1]
        why = refusal(self._complaints) or "The process that answers has ended."
        if not self._first.done():
            self._first.set_exception(_Refused(why))
        for number, pieces in self._waiting.items():
            pieces.put_nowait(Piece(number, error=f"{why} {_AGAIN}", done=True))
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _overhear(self) -> None:
        while self._process.stderr is not None and (line := await self._process.stderr.readline()):
            said = line.decode(errors="replace").rstrip()
            self._complaints = [*self._complaints[-_KEPT:], *([said] if said.startswith("error: ") else [])]


class _Refused(FinetuneError):
    """In the words of the process that ended."""

    def __init__(self, said: str) -> None:
        super().__init__("chat", "", fix="")
        self.args = (said,)
