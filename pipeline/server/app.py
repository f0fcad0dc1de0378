"""The application: routes, frame and lifespan put together."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator

from fastapi import FastAPI, Response
from starlette.concurrency import run_in_threadpool

from pipeline import __version__
from pipeline.server import completions, files, jobs, models, uploads
from pipeline.server.auth import AuthMiddleware
from pipeline.server.chats import Chats
from pipeline.server.context import Context
from pipeline.server.envelope import EnvelopeMiddleware, add_error_handlers, json_response
from pipeline.server.faults import FaultMiddleware
from pipeline.server.logs import log_failure
from pipeline.server.openapi import describe
from pipeline.server.seams import Queue, Store
from pipeline.server.settings import ServerSettings
from pipeline.training.generation import Engine
from pipeline.training.scripted import read_script

EXPIRE_EVERY_S = 60.0


def create_app(settings: ServerSettings, store: Store, engine: Engine, queue: Queue) -> FastAPI:
    """Put one server together. Its lifespan starts the queue, and stops it and the chats in good order."""
    script = read_script(settings.script if settings.trainer == "scripted" else None)
    fault = script.files.status_details if script.files else None
    context = Context(settings, store, queue, Chats(engine), fault)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.start()
        if tuned := store.models():  # somebody will want to talk to the newest
            engine.warm_up(tuned[0].base_model)
        expiring = asyncio.create_task(_expire(store))
        yield
        expiring.cancel()
        await run_in_threadpool(context.chats.close)
        await run_in_threadpool(queue.close)

    app = FastAPI(title="finetune", version=__version__, lifespan=lifespan, redirect_slashes=False, docs_url=None)
    app.state.context = context
    app.add_middleware(AuthMiddleware, key=settings.key)
    if script.requests:
        app.add_middleware(FaultMiddleware, faults=script.requests)
    app.add_middleware(EnvelopeMiddleware)  # added last: outermost
    add_error_handlers(app)
    app.add_api_route("/healthz", _healthz)
    for area in (files, uploads, jobs, models, completions):
        app.include_router(area.router)
    describe(app)
    return app


async def _expire(store: Store) -> None:
    """Give back the space of what has expired, for as long as the server runs."""
    while True:
        await asyncio.sleep(EXPIRE_EVERY_S)
        try:
            await run_in_threadpool(store.expire)
        except (OSError, sqlite3.Error) as error:  # a full disk, say; the next time may go well
            log_failure("expiring files", error)


async def _healthz() -> Response:
    """Answers as soon as the server does; the one route that wants no key."""
    return json_response({"status": "ok"})
