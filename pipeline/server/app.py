"""The application: routes, frame and lifespan put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from pipeline import __version__
from pipeline.inference.generation import Engine
from pipeline.models.base_models import BASE_MODELS
from pipeline.server.context import Context
from pipeline.server.generations import Chats
from pipeline.server.http.auth import AuthMiddleware
from pipeline.server.http.envelope import EnvelopeMiddleware, add_error_handlers
from pipeline.server.http.faults import FaultMiddleware
from pipeline.server.http.limits import RateLimitMiddleware
from pipeline.server.http.metrics import Metrics, ObserveMiddleware
from pipeline.server.http.openapi import describe
from pipeline.server.interfaces import Queue, RouteStore, StorageError
from pipeline.server.logs import log_failure
from pipeline.server.model_checks import ModelChecks
from pipeline.server.routes import completions, files, health, jobs, models, text_completions, uploads
from pipeline.server.settings import ServerSettings
from pipeline.training.scripted import read_script

EXPIRE_EVERY_S = 60.0


def create_app(
    settings: ServerSettings, digests: frozenset[bytes], store: RouteStore, engine: Engine, queue: Queue
) -> FastAPI:
    """Put one server together. Its lifespan starts the queue, and stops it and the chats in good order.

    Args:
        digests: of the keys that open it; see keys.py.
    """
    is_mock = settings.trainer == "scripted"
    script = read_script(settings.script if is_mock else None)
    fault = script.files.status_details if script.files else None
    chats = Chats(engine)
    metrics = Metrics(store.count_jobs, chats.counts)
    context = Context(
        settings,
        store,
        queue,
        chats,
        metrics,
        script.base_models if is_mock else tuple(BASE_MODELS),
        ModelChecks(),
        fault,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.start()
        if tuned := store.models():  # somebody will want to talk to the newest
            engine.warm_up(tuned[0].base_model)
        expiring = asyncio.create_task(_expire(store))
        yield
        expiring.cancel()
        await run_in_threadpool(context.chats.close)
        await run_in_threadpool(context.model_checks.close)
        await run_in_threadpool(queue.close)

    app = FastAPI(title="finetune", version=__version__, lifespan=lifespan, redirect_slashes=False, docs_url=None)
    app.state.context = context
    if settings.requests_per_minute is not None:
        app.add_middleware(RateLimitMiddleware, per_minute=settings.requests_per_minute)
    app.add_middleware(AuthMiddleware, digests=digests)
    if script.requests:
        app.add_middleware(FaultMiddleware, faults=script.requests)
    app.add_middleware(EnvelopeMiddleware)
    app.add_middleware(ObserveMiddleware, metrics=metrics)  # added last: outermost
    add_error_handlers(app)
    for area in (health, files, uploads, jobs, models, completions, text_completions):
        app.include_router(area.router)
    describe(app)
    return app


async def _expire(store: RouteStore) -> None:
    """Give back the space of what has expired, for as long as the server runs."""
    while True:
        await asyncio.sleep(EXPIRE_EVERY_S)
        try:
            await run_in_threadpool(store.expire)
        except (OSError, StorageError) as error:  # a full disk, say; the next time may go well
            log_failure("expiring files", error)
