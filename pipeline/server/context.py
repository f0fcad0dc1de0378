"""What the routes work with, handed to them by FastAPI's dependencies."""

from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Query, Request, Response

from pipeline.models.base_models import is_known
from pipeline.server import responses
from pipeline.server.generations import Chats
from pipeline.server.http.envelope import json_response
from pipeline.server.http.metrics import Metrics
from pipeline.server.interfaces import Queue, RouteStore
from pipeline.server.model_checks import ModelChecks
from pipeline.server.records import Page
from pipeline.server.settings import ServerSettings

T = TypeVar("T", responses.File, responses.Job, responses.Event, responses.Checkpoint)


class Context(msgspec.Struct, frozen=True):
    """The parts of one server."""

    settings: ServerSettings
    store: RouteStore
    queue: Queue
    chats: Chats
    metrics: Metrics
    own_models: tuple[str, ...]  # base models that need no path
    model_checks: ModelChecks
    file_fault: str | None  # scripted: every upload ends in `error`, with these status_details

    def has_base_model(self, name: str) -> bool:
        """Whether a request may name this base model; looks at the disk only for paths that the settings name."""
        return name in self.own_models or (name in self.settings.models and is_known(name))

    def base_models(self) -> list[str]:
        """Every base model that a request may name."""
        return [name for name in (*self.own_models, *self.settings.models) if self.has_base_model(name)]


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]

After = Annotated[str | None, Query(description="The last item of the page before; it is not shown again.")]


def list_response(page: Page[T], *, ends: bool = False) -> Response:
    """One page of a listing; `ends` adds `first_id` and `last_id`."""
    body: dict[str, object] = {"object": "list", "data": page.items, "has_more": page.has_more}
    if ends:
        ids = [item.id for item in page.items]
        body |= {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return json_response(body)
