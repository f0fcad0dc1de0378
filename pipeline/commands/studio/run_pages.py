"""The pages of a run: how far it is, its settings, and what it learns from."""

from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pipeline.commands.studio import learnt, live
from pipeline.commands.studio.desk import config_of, desk_of, every_second, fields_of, said_by, to
from pipeline.commands.studio.folder import name_of
from pipeline.config.yaml_text import read_text
from pipeline.errors import InputError
from pipeline.steps import step_of
from pipeline.steps.outputs import Convert

_EVENTS = "text/event-stream"
_SILENT = 15
"""Seconds after which something is sent even if nothing has changed: a connection that is dead is noticed."""


async def run(request: Request) -> Response:
    """How far the run is; its script asks for `run_events`."""
    config = await config_of(request)
    return desk_of(request).page("run", config=config, name=await run_in_threadpool(name_of, config))


async def run_events(request: Request) -> Response:
    """Server-sent events: the whole of it each time that something has changed."""
    desk, config = desk_of(request), await config_of(request)

    async def stream() -> AsyncIterator[bytes]:
        before, silent = b"", 0
        async for _ in every_second(desk):
            now = msgspec.json.encode(await run_in_threadpool(live.snapshot, config, desk.runs))
            silent = 0 if now != before else silent + 1
            if silent == 0:
                yield b"data: " + now + b"\n\n"
            elif silent % _SILENT == 0:
                yield b": still here\n\n"
            before = now

    return StreamingResponse(stream(), media_type=_EVENTS)


async def alive(_: Request) -> Response:
    """Nothing: that it comes is what a page wants to know."""
    return Response(status_code=204)


async def start(request: Request) -> Response:
    """Have the steps run; all, or those that make the examples; or have the model measured."""
    config, fields = await config_of(request), await fields_of(request)
    options = ["--until", step_of(Convert).name] if "prepare" in fields else []
    desk = desk_of(request)
    await desk.talkers.close(config)  # it would hold the run directory
    await run_in_threadpool(desk.runs.start, config, "evaluate" if "measure" in fields else "run", *options)
    return to("/run", config)


async def pause(request: Request) -> Response:
    """Do what Ctrl-C does."""
    config = await config_of(request)
    await run_in_threadpool(desk_of(request).runs.halt, config)
    return to("/run", config)


async def cancel(request: Request) -> Response:
    """Cancel the training job, as `finetune cancel` does."""
    return said_by("cancel", str(await config_of(request)))


async def settings(request: Request) -> Response:
    """The config's own text."""
    config = await config_of(request)
    name, text = await run_in_threadpool(lambda: (name_of(config), read_text(config)))
    return desk_of(request).page("settings", config=config, name=name, text=text)


async def what_is_learnt(request: Request) -> Response:
    """Where every message went, examples, and a search in them."""
    config, asked = await config_of(request), request.query_params
    first = asked.get("from", "1")
    found = await run_in_threadpool(
        learnt.look, config, asked.get("q", "").strip(), int(first) if first.isdecimal() else 1
    )
    return desk_of(request).page("learnt", config=config, name=found.name, found=found)


async def left_out(request: Request) -> Response:
    """The messages that were left out for a reason, as `finetune inspect --dropped` has them."""
    config, fields = await config_of(request), await fields_of(request)
    if not (reason := fields.get("reason", "")):
        raise InputError("reason", "none was given", fix="Choose one in the table.")
    return said_by("inspect", str(config), "--dropped", reason)


ROUTES = [
    Route("/run", run),
    Route("/run/events", run_events),
    Route("/run/alive", alive),
    Route("/run/start", start, methods=["POST"]),
    Route("/run/pause", pause, methods=["POST"]),
    Route("/run/cancel", cancel, methods=["POST"]),
    Route("/settings", settings),
    Route("/learnt", what_is_learnt),
    Route("/learnt/dropped", left_out, methods=["POST"]),
]
