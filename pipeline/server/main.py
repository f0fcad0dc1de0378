"""Runs a server: lock, store, socket, signals, and the end of all of them."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from pipeline import durable
from pipeline.errors import InputError
from pipeline.inference.engines import create_engine
from pipeline.inference.generation import Engine
from pipeline.process.privacy import settle_process
from pipeline.server import disk_errors, keys
from pipeline.server.app import create_app
from pipeline.server.context import Context
from pipeline.server.http.connections import ACCEPTED_AT_ONCE, Connections, Limits, allow_most_descriptors
from pipeline.server.queue.supervisor import Supervisor
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.database import StoreLock
from pipeline.server.storage.store import Store

# Longer than clients keep idle connections (httpx: 5 s), so that a server never closes one just as a request is sent.
KEEP_ALIVE_S = 75
BACKLOG = 1024  # connections that the system holds until they are accepted
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    settings: ServerSettings,
    *,
    announce: Callable[[str], None] | None = None,
    show_key: Callable[[str], None] | None = None,
    parent_fd: int | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then stop in good order: workers checkpoint, jobs stay queued.

    Args:
        announce: called with the base URL, which ends in ``/v1``, once the server answers.
        show_key: called with the store's own key when it is made, which happens once, and only without a key in the
            settings. Where nobody would see it, none is made.
        parent_fd: a pipe whose other end the parent holds. At its end of file the parent is gone, however it died,
            and this process and its workers end at once.

    Raises:
        InputError: no key; the address cannot be bound, or is open to others and a key is short; the script is wrong.
        Locked: another server serves this data directory and went on for ten seconds.
        StateDamaged: the store cannot be read, or its disk is full.
    """
    settle_process()
    allow_most_descriptors()
    with serving(settings, show_key=show_key) as server:
        if parent_fd is not None:
            threading.Thread(target=_die_with_parent, args=(parent_fd, server), name="parent", daemon=True).start()
        server.serve_until_told(announce)


@contextlib.contextmanager
def serving(
    settings: ServerSettings,
    *,
    engine: Engine | None = None,
    show_key: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> Iterator["Server"]:
    """Hold everything a server needs: its lock, its store and a listening socket. See `run` for what is raised.

    Args:
        engine: answers chats; by default the one that goes with the trainer.
        limits: of connections; by default those that suit what this process may open.
    """
    given = keys.given(settings.key)
    if not given and show_key is None:
        raise InputError("server key", "expected a key, which every client must send", fix="Set FINETUNE_SERVER_KEY.")
    keys.check(given, settings.host, is_loopback=_is_loopback(settings.host))
    with contextlib.ExitStack() as stack:
        with disk_errors.explained(settings.data_dir):
            durable.make_private_dir(settings.data_dir)
            stack.callback(StoreLock.acquire(settings.data_dir).release)
            digests = frozenset(map(keys.digest, given)) or keys.made(settings.data_dir)
            engine = engine or create_engine(settings.trainer, settings.script)
            store = Store(settings.data_dir)
            stack.callback(store.close)
            if not store.is_new:
                store.sweep()
            listener = stack.enter_context(listen(settings.host, settings.port))
            supervisor = Supervisor(settings, store)
            supervisor.recover()
            if not digests and show_key is not None:  # last, for a key that is made must be seen
                key = keys.make(settings.data_dir)
                digests = frozenset([keys.digest(key)])
                show_key(key)
        app = create_app(settings, digests, store, engine, supervisor)
        _check_aliases(app.state.context)
        yield Server(app, listener, limits or Limits.of_process(settings.workers))


def _check_aliases(context: Context) -> None:
    """See that each name has a model behind it, and hides none.

    Raises:
        InputError: one has not.
    """
    for name, own in context.settings.aliases:
        if context.store.model(name) is not None or context.base_model(name) is not None:
            raise InputError("--alias", "a model here has that name already", got=name, fix="Leave it out.")
        if context.store.model(own) is None and context.base_model(own) is None:
            raise InputError(
                "--alias", f"no model of that name is in {context.settings.data_dir}", got=own,
                fix="Name a tuned model of that store, or the config of the run that made it.",
            )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to.

    Raises:
        InputError: the address cannot be bound.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is named (base_events._set_nodelay); left on, it holds
    # every answer back for the 40 ms of the client's delayed acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(
            f"{host}:{port}",
            f"the server cannot listen there ({error.strerror or error})",
            fix="Choose a free port; 0 takes any.",
        ) from None
    return listener


class Server(uvicorn.Server):
    """uvicorn, on a socket that listens already, with an end that is an ordinary return."""

    def __init__(self, app: FastAPI, listener: socket.socket, limits: Limits) -> None:
        connections = Connections(limits)
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            loop="asyncio",
            ws="none",
            http=connections.create,  # type: ignore[arg-type]  # it calls it, and asks for nothing else
            backlog=ACCEPTED_AT_ONCE,
            lifespan="on",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
        )
        super().__init__(config)
        self._connections = connections
        self.context: Context = app.state.context
        self._listener = listener
        self._announce: Callable[[str], None] | None = None

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def serve_until_told(self, announce: Callable[[str], None] | None) -> None:
        """Serve; return after `tell_to_stop`, or after a signal if this is the main thread."""
        self._announce = announce
        asyncio.run(self.serve(sockets=[self._listener]))

    def tell_to_stop(self) -> None:
        """End in good order. Safe in a signal handler and from any thread."""
        self.context.chats.end_all()
        self.context.model_checks.end()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._listener.listen(BACKLOG)  # asyncio has set it to the number that it accepts at once
        if self._announce is not None:
            self._announce(self.base_url)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        self._connections.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Turn signals into `tell_to_stop`. uvicorn's own would raise them again at the end, and so never exit 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Started by nohup, it is to go on when the terminal is closed.
        answered = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in answered}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Told twice: no more waiting for checkpoints. But a terminal that is closed says SIGHUP twice.
        if self.should_exit and number != signal.SIGHUP:
            self.context.queue.kill()
        self.tell_to_stop()


def _die_with_parent(parent_fd: int, server: Server) -> None:
    while os.read(parent_fd, 1024):
        pass
    server.context.queue.kill()
    server.context.model_checks.end()
    os._exit(1)  # at once: a killed parent leaves nobody to tidy up for, and the store is made for this
