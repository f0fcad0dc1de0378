"""The web server of the studio: uvicorn on a socket of this machine, ended by a signal in good order."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Generator
from types import FrameType

import uvicorn

from pipeline.commands.studio.app import create_app
from pipeline.commands.studio.desk import Desk
from pipeline.commands.studio.security import Session

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 3
"""How long what streams may take to notice that the studio ends."""


class _Server(uvicorn.Server):
    """One whose end by a signal is an ordinary return."""

    def __init__(self, config: uvicorn.Config, desk: Desk, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._desk = desk
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what streams first."""
        self.tell_to_stop()
        await self._desk.talkers.close()
        await super().shutdown(sockets)

    def tell_to_stop(self) -> None:
        """End in good order. Safe in a signal handler and from any thread."""
        self._desk.ending.set()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Turn signals into `tell_to_stop`; those of before are handled again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        answered = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in answered}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.tell_to_stop()


def run_until_told(session: Session, desk: Desk, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until a signal; `announce` is called once pages can be had."""
    config = uvicorn.Config(
        create_app(session, desk),
        access_log=False,
        log_config=None,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    asyncio.run(_Server(config, desk, announce).serve(sockets=[listener]))
