"""The page of blind votes."""

from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pipeline.commands.studio import children, voting
from pipeline.commands.studio.desk import LINES, config_of, desk_of, fields_of
from pipeline.commands.studio.folder import name_of
from pipeline.errors import InputError


async def vote(request: Request) -> Response:
    """Which answer is the person's; its script asks for one after the other."""
    config = await config_of(request)
    return desk_of(request).page("vote", config=config, name=await run_in_threadpool(name_of, config))


async def begin(request: Request) -> Response:
    """Have the models answer what was not asked before, and say how far that is, a line each."""
    desk, config = desk_of(request), await config_of(request)
    await desk.talkers.close(config)

    async def stream() -> AsyncIterator[bytes]:
        async for what, line in children.lines("studio", "--ballot", str(config)):
            if what == "out":
                desk.ballots[config] = voting.read_ballot(line)
            else:
                yield msgspec.json.encode({"what": what, "line": line.removeprefix("error: ")}) + b"\n"

    return StreamingResponse(stream(), media_type=LINES)


async def following(request: Request) -> Response:
    """The next one to vote on, and the count."""
    config = await config_of(request)
    ballot = _ballot_of(request, config)
    return _object(await run_in_threadpool(voting.next_item, config, ballot))


async def cast(request: Request) -> Response:
    """Keep a vote."""
    config, fields = await config_of(request), await fields_of(request)
    ballot = _ballot_of(request, config)
    told = await run_in_threadpool(voting.cast, config, ballot, fields.get("item", ""), fields.get("chosen", ""))
    return _object(told)


def _ballot_of(request: Request, config: object) -> voting.Ballot:
    ballot = next((each for path, each in desk_of(request).ballots.items() if path == config), None)
    if ballot is None:
        raise InputError("vote", "the models were not asked yet", fix="Open the page again.")
    return ballot


def _object(told: object) -> Response:
    return Response(msgspec.json.encode(told), media_type="application/json")


ROUTES = [
    Route("/vote", vote),
    Route("/vote/begin", begin, methods=["POST"]),
    Route("/vote/next", following),
    Route("/vote/cast", cast, methods=["POST"]),
]
