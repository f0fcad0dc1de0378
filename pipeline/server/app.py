"""The application: routes, frame and lifespan put together."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Response
from starlette.concurrency import run_in_threadpool

from pipeline import __version__
from pipeline.server import completions, files, jobs, models
from pipeline.server.auth import AuthMiddleware
from pipeline.server.chats import Chats
from pipeline.server.context import Context
from pipeline.server.envelope import EnvelopeMiddleware, add_error_handlers, json_response
from pipeline.server.settings import ServerSettings
from pipeline.server.store import Store
from pipeline.server.supervisor import Supervisor
from pipeline.training.generation import Engine
from pipeline.training.scripted import read_script


def create_app(settings: ServerSettings, store: Store, engine: Engine, supervisor: Supervisor) -> FastAPI:
    """Put one server together. Its lifespan starts the supervisor, and stops it and the chats in good order."""
    fault = read_script(settings.script).files if settings.trainer == "scripted" else None
    context = Context(settings, store, supervisor, Chats(engine), fault.status_details if fault else None)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        supervisor.start()
        if tuned := store.models():  # somebody will want to talk to the newest
            engine.warm_up(tuned[0].base_model)
        yield
        await run_in_threadpool(context.chats.close)
        await run_in_threadpool(supervisor.close)

    app = FastAPI(title="finetune", version=__version__, lifespan=lifespan, redirect_slashes=False, docs_url=None)
    app.state.context = context
    app.add_middleware(AuthMiddleware, key=settings.key)
    app.add_middleware(EnvelopeMiddleware)  # added last: outermost
    add_error_handlers(app)
    app.add_api_route("/healthz", _healthz)
    for area in (files, jobs, models, completions):
        app.include_router(area.router)
    return app


async def _healthz() -> Response:
    """Answers as soon as the server does; the one route that wants no key."""
    return json_response({"status": "ok"})
