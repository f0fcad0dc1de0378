"""Runs the engine's generations in threads and hands their pieces to the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.inference.generation import Engine
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling
from pipeline.models.messages import ChatMessage

CHATS_AT_ONCE = 8  # more wait their turn, first come, first served
CHATS_WAITING = 64  # more are asked to come again

Generation = AsyncGenerator[Piece | Finish]


class Chats:
    """Every generation of one server."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._asked = 0  # changed by the event loop only
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(CHATS_AT_ONCE, thread_name_prefix="chat")

    def counts(self) -> dict[str, int]:
        """How many answers are being made, and how many wait for their turn."""
        running = min(self._asked, CHATS_AT_ONCE)
        return {"running": running, "waiting": self._asked - running}

    def is_full(self) -> bool:
        """Whether one more would have to wait for too many others."""
        return self._asked >= CHATS_AT_ONCE + CHATS_WAITING

    def end_all(self) -> None:
        """End every generation, now and from now on, so that the server can stop. Safe in a signal handler."""
        self._closing.set()

    def close(self) -> None:
        """End every generation and wait for their threads."""
        self.end_all()
        self._pool.shutdown(cancel_futures=True)

    def generate(
        self, model: ModelRef, messages: Sequence[ChatMessage], sampling: Sampling, gone: threading.Event
    ) -> Generation:
        """Yield an answer's pieces as they come and, last, its Finish; no Finish once `gone` or the server is closing.

        Closing the generator stops the engine.

        Raises:
            FinetuneError: what the engine raises.
        """
        return self._hand_on(lambda cancelled: self.engine.generate(model, messages, sampling, cancelled), gone)

    def complete(
        self, model: ModelRef, prompt: Prompt, sampling: Sampling, gone: threading.Event, *, echo: bool
    ) -> Generation:
        """Go on with a prompt; else as `generate`, and in the same queue."""

        def answer(cancelled: Callable[[], bool]) -> Iterator[Piece | Finish]:
            return self.engine.complete(model, prompt, sampling, cancelled, echo=echo)

        return self._hand_on(answer, gone)

    async def _hand_on(
        self, answer: Callable[[Callable[[], bool]], Iterator[Piece | Finish]], gone: threading.Event
    ) -> Generation:
        loop = asyncio.get_running_loop()
        left = threading.Event()
        arrived: asyncio.Queue[Piece | Finish | Exception | None] = asyncio.Queue()

        def hand_over(item: Piece | Finish | Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(arrived.put_nowait, item)

        def is_unwanted() -> bool:
            return left.is_set() or gone.is_set() or self._closing.is_set()

        def work() -> None:
            try:
                for item in answer(is_unwanted):
                    hand_over(item)
            except Exception as error:  # noqa: BLE001  it is raised again where the answer is awaited
                hand_over(error)
            except BaseException as error:  # noqa: BLE001  a panic of a library in Rust, say: somebody waits all the same
                hand_over(RuntimeError(type(error).__name__))
            else:
                hand_over(None)

        self._asked += 1
        try:
            try:
                self._pool.submit(work)
            except RuntimeError:
                if not self._closing.is_set():
                    raise
                return  # the pool is closed: as if generation had ended at once
            while (item := await arrived.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._asked -= 1
            left.set()
