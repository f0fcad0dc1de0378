"""The pages before a run: the list of models, a file that is dropped, whom and what to train."""

from pathlib import Path

from anyio import from_thread, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.archives.readers import READERS
from pipeline.backends.profiles import PROFILES
from pipeline.commands.studio import beginning, dropped, folder
from pipeline.commands.studio.desk import desk_of, fields_of, to
from pipeline.errors import InputError
from pipeline.sessions.session import OWNER

SAMPLE = "sample:tortoise-hare"


async def home(request: Request) -> Response:
    """The models of this folder, and the place to drop a file."""
    there = await run_in_threadpool(folder.listed)
    return desk_of(request).page(
        "home",
        runs=[each for each in there if each.has_run or not _is_example(each)],
        examples=[each for each in there if not each.has_run and _is_example(each)],
        folder=str(Path.cwd()),
        apps=READERS,
        sample=SAMPLE,
    )


def _is_example(config: folder.Listed) -> bool:
    """One of the configs that come along in `configs/`."""
    return config.path.startswith("configs/")


async def upload(request: Request) -> Response:
    """Keep a dropped file; its content is the body, its name a parameter. Answers with its path."""
    name, length = request.query_params.get("name", ""), request.headers.get("content-length", "")
    path = await run_in_threadpool(dropped.place_for, name, int(length) if length.isdecimal() else None)
    pieces = request.stream().__aiter__()

    async def next_piece() -> bytes:
        async for piece in pieces:
            if piece:
                return piece
        return b""

    try:
        size = await to_thread.run_sync(dropped.keep, path, lambda: from_thread.run(next_piece))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it; nothing was kept
    return JSONResponse({"path": str(path), "size": size})


async def look(request: Request) -> Response:
    """Look through an archive that a form names, and go on to whom and what to train."""
    said = (await fields_of(request)).get("source", "").strip()
    if not said:
        raise InputError("path", "nothing was given", fix="Drop a file, or give the path of one.")
    name = await run_in_threadpool(desk_of(request).looks.add, said)
    return to(f"/new/{name}")


async def new(request: Request) -> Response:
    """What the archive is, who talks in it, and what may be chosen."""
    name = request.path_params["look"]
    found = desk_of(request).looks.get(name)
    people = beginning.people_of(found)
    return desk_of(request).page(
        "new",
        look=name,
        found=found,
        people=people,
        owner=OWNER,
        is_guessed=any(each.is_likely for each in people),
        file=await run_in_threadpool(beginning.proposed_file, found),
        backends=[(kind, profile) for kind, profile in PROFILES.items()],
    )


async def models(request: Request) -> Response:
    """The models for one person's chats: a part of the page before."""
    found = desk_of(request).looks.get(request.path_params["look"])
    there = await run_in_threadpool(beginning.models_for, found, request.query_params.get("me", ""))
    return desk_of(request).page("models", models=there)


async def expect(request: Request) -> Response:
    """What to expect of one model for one person's chats: a part of the page before."""
    found = desk_of(request).looks.get(request.path_params["look"])
    asked = request.query_params
    said = await run_in_threadpool(
        lambda: beginning.expected(
            found, asked.get("me", ""), asked.get("model", ""), here=asked.get("backend", "embedded") == "embedded"
        )
    )
    return desk_of(request).page("expect", said=said)


async def write(request: Request) -> Response:
    """Write the config, and go on to its run."""
    fields = await fields_of(request)
    found = desk_of(request).looks.get(request.path_params["look"])
    made = await run_in_threadpool(beginning.write, found, fields)
    return to("/run", made.path)


ROUTES = [
    Route("/", home),
    Route("/upload", upload, methods=["POST"]),
    Route("/look", look, methods=["POST"]),
    Route("/new/{look}", new),
    Route("/new/{look}/models", models),
    Route("/new/{look}/expect", expect),
    Route("/new/{look}/write", write, methods=["POST"]),
]
