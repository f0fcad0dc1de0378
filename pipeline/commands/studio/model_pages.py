"""The pages of a model that is there: how good it is, talking to it, taking it along, removing it."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pipeline.commands.studio import children, dropped, results
from pipeline.commands.studio.answering import Message
from pipeline.commands.studio.desk import LINES, config_of, desk_of, fields_of, said_by
from pipeline.commands.studio.folder import name_of
from pipeline.errors import InputError

_REPORTS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""A report brings its own style along, for it is one file; it has no script, and could run none."""

_LONGEST = 500_000
_FORMS = {
    "merged": "the whole model, as most programs take it",
    "adapter": "only what was learnt, a small file that goes on top of the base model",
    "gguf": "one file, for LM Studio or llama.cpp",
    "ollama": "one file and a recipe, for Ollama",
}
_PARTS = {"model": "--model", "data": "--data", "everything": "--everything"}
_drawing = asyncio.Lock()  # matplotlib draws one thing at a time


class Said(msgspec.Struct, frozen=True):
    """A question to one model, with all that was said before."""

    model: str
    messages: list[Message]
    temperature: float


async def result(request: Request) -> Response:
    """Is the model any good."""
    config = await config_of(request)
    found = await run_in_threadpool(results.result, config)
    return desk_of(request).page(
        "result", config=config, name=found.name, found=found, curve=msgspec.json.encode(found.curve).decode()
    )


async def compare(request: Request) -> Response:
    """All models of the folder beside each other."""
    rows = await run_in_threadpool(results.compared)
    return desk_of(request).page("compare", rows=rows, series=results.series(rows))


async def report(request: Request) -> Response:
    """The report, to look at or to keep."""
    config, asked = await config_of(request), request.query_params
    async with _drawing:
        name, page = await run_in_threadpool(results.report, config, with_text="text" in asked)
    headers = {"Content-Security-Policy": _REPORTS_POLICY}
    if "keep" in asked:
        headers["Content-Disposition"] = f'attachment; filename="{name}-report.html"'
    return Response(page, media_type="text/html", headers=headers)


async def talk(request: Request) -> Response:
    """The playground; its script asks who is there."""
    config = await config_of(request)
    return desk_of(request).page("talk", config=config, name=await run_in_threadpool(name_of, config))


async def who(request: Request) -> Response:
    """The models that can be talked to."""
    talker = await desk_of(request).talkers.get(await config_of(request))
    return Response(msgspec.json.encode(talker.hello), media_type="application/json")


async def say(request: Request) -> Response:
    """One model's answer, piece by piece as it comes."""
    config, body = await config_of(request), b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            raise InputError("this conversation", "has become too long", fix="Begin a new one.")
    try:
        said = msgspec.json.decode(body, type=Said)
    except msgspec.DecodeError:
        raise InputError("this question", "cannot be read", fix="Ask it on the page.") from None
    talker = await desk_of(request).talkers.get(config)

    async def stream() -> AsyncIterator[bytes]:
        async for piece in talker.ask(said.model, said.messages, said.temperature):
            yield msgspec.json.encode(piece) + b"\n"

    return StreamingResponse(stream(), media_type=LINES)


async def remove(request: Request) -> Response:
    """What may be kept, and what may be removed."""
    config = await config_of(request)
    name, archive = await run_in_threadpool(lambda: (name_of(config), dropped.kept_for(config)))
    return desk_of(request).page("remove", config=config, name=name, archive=archive, forms=_FORMS)


async def export(request: Request) -> Response:
    """Write the model as files, and say what was found of them, line by line."""
    config, fields = await config_of(request), await fields_of(request)
    if (form := fields.get("to", "")) not in _FORMS:
        raise InputError("export", "as what?", fix="Choose one.")
    await desk_of(request).talkers.close(config)
    return said_by("export", str(config), "--to", form)


async def plan(request: Request) -> Response:
    """What would go, as `finetune delete` says it, line by line."""
    config, fields = await config_of(request), await fields_of(request)
    await desk_of(request).talkers.close(config)
    return said_by("delete", str(config), _part(fields), "--dry-run")


async def delete(request: Request) -> Response:
    """Remove it."""
    desk, config, fields = desk_of(request), await config_of(request), await fields_of(request)
    part = _part(fields)
    archive = await run_in_threadpool(dropped.kept_for, config) if "archive" in fields else None
    await desk.talkers.close(config)
    code, out, errors = await children.answered("delete", str(config), part, "--yes")
    if code != 0:
        raise InputError("delete", children.refusal(errors) or f"ended with exit code {code}", fix="Try it again.")
    if archive is not None and await run_in_threadpool(dropped.forget, archive):
        out.append(f"Deleted: {archive}.")
    return Response(msgspec.json.encode(out), media_type="application/json")


def _part(fields: dict[str, str]) -> str:
    if (part := _PARTS.get(fields.get("part", ""))) is None:
        raise InputError("delete", "what is to be deleted?", fix="Choose one.")
    return part


ROUTES = [
    Route("/result", result),
    Route("/compare", compare),
    Route("/report", report),
    Route("/talk", talk),
    Route("/talk/who", who),
    Route("/talk/say", say, methods=["POST"]),
    Route("/remove", remove),
    Route("/export", export, methods=["POST"]),
    Route("/remove/plan", plan, methods=["POST"]),
    Route("/remove/do", delete, methods=["POST"]),
]
