"""`finetune studio`: a page in the browser, on this machine, for all that the commands do."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.context import say
from pipeline.errors import InputError
from pipeline.wording import counted

if TYPE_CHECKING:
    import socket

    from pipeline.commands.studio.desk import Desk

HOST, PORT = "127.0.0.1", 8377
KEPT = Path("runs/.studio")
"""The port and the digest of the cookie: a page that is open goes on with the next studio of this folder."""


def studio(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where configs and runs are, or shall be; else this one.")
    ] = Path(),
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any; else the one of last time.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address, and open no browser.")] = False,
    answers: Annotated[Path | None, typer.Option(hidden=True)] = None,
    ballot: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Do it all in the browser: drop a chat, train, look, talk; on this machine alone."""
    if answers is not None:
        from pipeline.commands.studio.answering import answer_questions

        answer_questions(answers)
        return
    if ballot is not None:
        from pipeline.commands.studio.voting import tell_ballot

        tell_ballot(ballot)
        return
    _work_in(folder)
    with _listening(port) as listener:
        serve(listener, opens=not no_open)


def _work_in(folder: Path) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        fix = "Make it first, or name another."
        raise InputError(str(folder), f"cannot be worked in ({error.strerror})", fix=fix) from None


def serve(listener: "socket.socket", *, opens: bool) -> None:
    """Serve the studio until a signal; then the runs that it has started are paused."""
    from pipeline.commands.studio.desk import Desk
    from pipeline.commands.studio.security import Session
    from pipeline.commands.studio.server import run_until_told

    port = listener.getsockname()[1]
    kept_port, digest = _kept()
    session = Session(port, digest if port == kept_port else "", lambda made: _keep(port, made))
    desk = Desk()
    address = f"http://{HOST}:{port}/?token={session.token}"

    def announce() -> None:
        say(f"The studio is at {address}")
        say("It opens once, in one browser, on this machine. Ctrl-C ends it, and pauses what it trains.")
        if opens:
            _open(address)

    run_until_told(session, desk, listener, announce)
    _end(desk)


def _end(desk: "Desk") -> None:
    paused = desk.runs.end()
    if paused:
        say(f"{counted(paused, 'run')} paused; the next studio, or `finetune run CONFIG`, goes on.")


def _open(address: str) -> None:
    """Show the page, where there is a browser that does not take the terminal over."""
    import webbrowser

    with contextlib.suppress(webbrowser.Error, OSError):
        browser = webbrowser.get()
        if not isinstance(browser, webbrowser.GenericBrowser) or isinstance(browser, webbrowser.BackgroundBrowser):
            browser.open(address)


@contextlib.contextmanager
def _listening(port: int | None) -> "Iterator[socket.socket]":
    """The port that was asked for; else that of last time, else the usual one, else any."""
    from pipeline.server.main import listen

    wanted = [port] if port is not None else [_kept()[0] or PORT, 0]
    for each in wanted:
        try:
            listener = listen(HOST, each)
        except InputError:
            if each == wanted[-1]:
                raise
            continue
        with listener:
            yield listener
        return


def _kept() -> tuple[int, str]:
    """Port and digest of the last studio here."""
    try:
        port, digest = KEPT.read_text(encoding="ascii").split()
        return int(port), digest
    except (OSError, ValueError):
        return 0, ""


def _keep(port: int, digest: str) -> None:
    from pipeline.durable import make_private_dir, write_atomically

    with contextlib.suppress(OSError):  # then a page that is open has to be opened anew, no more
        make_private_dir(KEPT.parent)
        write_atomically(KEPT, f"{port} {digest}\n".encode())
