"""What all pages share: what the studio remembers, how a page is drawn, how a form is read."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import jinja2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from pipeline.commands.studio import children, folder
from pipeline.commands.studio.beginning import Looks
from pipeline.commands.studio.children import Runs
from pipeline.commands.studio.playground import Talkers
from pipeline.commands.studio.voting import Ballot
from pipeline.errors import FinetuneError, InputError
from pipeline.terminal.invocation import Invocation
from pipeline.wording import counted, in_bytes, took, visible

_LONGEST_FORM = 200_000
LINES = "application/x-ndjson"


class Desk:
    """The studio's own things; there is one of it.

    Attributes:
        ending: the studio is about to end; whatever streams comes to its end.
    """

    def __init__(self) -> None:
        self.runs = Runs()
        self.looks = Looks()
        self.talkers = Talkers()
        self.ballots: dict[Path, Ballot] = {}
        self.ending = threading.Event()
        self._templates = _environment()

    def page(self, template: str, /, status: int = 200, **told: Any) -> Response:
        """A page; what it is told is escaped."""
        return HTMLResponse(self._templates.get_template(f"{template}.html.j2").render(**told), status)


def desk_of(request: Request) -> Desk:
    """The one of this application."""
    desk: Desk = request.app.state.desk
    return desk


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.commands.studio"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": in_bytes, "took": took, "noun": counted, "address": _address}
    return environment


def _seen(value: object) -> object:
    """Text of the run cannot turn the rest of its line round."""
    if type(value) is not str:
        return value
    return "\n".join(map(visible, value.split("\n")))


def _address(config: object) -> str:
    return quote(str(config), safe="")


async def config_of(request: Request) -> Path:
    """The config that the address names.

    Raises:
        InputError: it is none of this folder.
    """
    return await run_in_threadpool(folder.chosen, request.query_params.get("config", ""))


async def fields_of(request: Request) -> dict[str, str]:
    """What a form says; of a field that is there several times, the last.

    Raises:
        InputError: it is too long, or no form.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            raise InputError("this form", "is longer than a form can be", fix="Shorten what was typed.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except UnicodeDecodeError:
        raise InputError("this form", "is not UTF-8", fix="Fill it in on the page.") from None


def to(page: str, config: object = None) -> Response:
    """Go on to another page, as after every form."""
    return RedirectResponse(f"{page}?config={_address(config)}" if config is not None else page, 303)


def said_by(*arguments: str) -> Response:
    """What a command says, line by line as it comes: JSON objects with `what` and `line`."""

    async def stream() -> AsyncIterator[bytes]:
        async for what, line in children.lines(*arguments):
            shown = line.removeprefix("error: ") if what == "err" else line
            yield msgspec.json.encode({"what": what, "line": visible(shown)}) + b"\n"

    return StreamingResponse(stream(), media_type=LINES)


async def explain(request: Request, error: Exception) -> Response:
    """The answer where something foreseeable went wrong: a page, or an object for a script of ours."""
    said, status = str(error), 400
    if isinstance(error, FinetuneError):
        config = request.query_params.get("config")
        said = Invocation(Path(config) if config else None).typable(said)
        status = 404 if "no such config" in said else 409 if error.exit_code == 4 else 400
    if "application/json" in request.headers.get("accept", ""):
        return Response(msgspec.json.encode({"error": said}), status, media_type="application/json")
    return desk_of(request).page("problem", status, said=said)


async def every_second(desk: Desk) -> AsyncIterator[None]:
    """Now, and once a second until the studio ends."""
    while not desk.ending.is_set():
        yield
        await asyncio.sleep(1.0)
