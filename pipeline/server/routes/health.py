"""/healthz, /readyz and /metrics: for whoever keeps the server running, rather than for its clients."""

import contextlib

from fastapi import APIRouter, Response

from pipeline.server.context import ContextDep
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.metrics import MEDIA_TYPE
from pipeline.server.http.openapi import described
from pipeline.server.interfaces import StorageError

router = APIRouter()

_STATUS = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}


@router.get("/healthz", responses=described("application/json", _STATUS))
async def is_healthy() -> Response:
    """Answers as soon as the server does, and as long as it does."""
    return json_response({"status": "ok"})


@router.get("/readyz", responses=described("application/json", _STATUS, 503))
def is_ready(context: ContextDep) -> Response:
    """Whether requests can be served and jobs trained: the store can be read, and the queue moves."""
    jobs = None
    with contextlib.suppress(StorageError):
        jobs = context.store.count_jobs()
    if jobs is None:
        raise ApiError(503, "The server's store cannot be read.", code="not_ready")
    if not context.queue.is_alive():
        raise ApiError(503, "The server's queue has stopped.", code="not_ready")
    return json_response({"status": "ready"})


@router.get("/metrics", responses=described("text/plain", {"type": "string"}))
def show_metrics(context: ContextDep) -> Response:
    """For Prometheus, which shows the key as any client does: `authorization: {credentials: ...}` in its config."""
    return Response(context.metrics.render(), media_type=MEDIA_TYPE)
