"""What the server measures about itself, for Prometheus, and the one log line that each request leaves."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.server.logs import logger

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_GONE = 499  # nginx's status of a request whose client left before the answer


class Metrics:
    """The counters of one server. No label holds anything that a client can choose.

    Args:
        jobs: counts the jobs by status, when asked.
        chats: how many answers are being made, and how many wait.
    """

    def __init__(self, jobs: Callable[[], Mapping[str, int]], chats: Callable[[], Mapping[str, int]]) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        self._registry.register(_Gauges("finetune_jobs", "Fine-tuning jobs by status.", "status", jobs))
        self._registry.register(_Gauges("finetune_chats", "Answers that are being made, or wait.", "state", chats))
        self.requests = Counter(
            "finetune_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self.request_seconds = Histogram(
            "finetune_request_seconds", "From a request to the end of its answer.", ["route"], registry=self._registry
        )
        self.first_word_seconds = Histogram(
            "finetune_chat_first_word_seconds", "From a chat's request to its first word.", registry=self._registry
        )
        self.tokens = Counter(
            "finetune_chat_tokens", "Tokens of chats: read (prompt) and made.", ["kind"], registry=self._registry
        )

    def render(self) -> bytes:
        """Everything, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Values that are looked up when Prometheus asks."""

    def __init__(self, name: str, help_text: str, label: str, look: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._help, self._label, self._look = name, help_text, label, look

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name and help, without looking."""
        return [GaugeMetricFamily(self._name, self._help, labels=[self._label])]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One value for each label."""
        family = GaugeMetricFamily(self._name, self._help, labels=[self._label])
        for label, value in self._look().items():
            family.add_metric([label], value)
        yield family


class ObserveMiddleware:
    """Outermost: measures every request, and logs it if `pipeline.server` logs at the level INFO."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, request_id = _GONE, ""

        async def look(message: Message) -> None:
            nonlocal status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = dict(message["headers"]).get(b"x-request-id", b"").decode()
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            seconds = time.perf_counter() - began
            # The template, such as /v1/files/{file_id}: what a client writes there must not make new labels.
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            if logger.isEnabledFor(logging.INFO):
                fields = {"request_id": request_id, "method": method, "route": route, "status": status}
                logger.info("request", extra={"fields": {**fields, "ms": round(seconds * 1000, 1)}})


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
