"""What the routes work with, handed to them by FastAPI's dependencies."""

from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Query, Request, Response

from pipeline.models import hub_cache
from pipeline.models.base_models import is_known, is_path
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

    def base_model(self, name: str) -> str | None:
        """What a request means by this name: for a model of the Hub at the commit that is in the cache now.

        What is made of it belongs to that commit, whatever the name will mean later. None if it may not be named; looks
        at the disk only for names that the settings allow.
        """
        if name in self.own_models:
            return name
        if name in self.settings.models and is_known(name):
            return name if is_path(name) else hub_cache.pinned(name)
        return hub_cache.pinned(name) if self.settings.offers_cache else None

    def meant(self, name: str) -> str:
        """The model that answers to this name: itself, but for an alias."""
        return dict(self.settings.aliases).get(name, name)

    def base_models(self) -> list[str]:
        """Every base model that a request may name."""
        cached = hub_cache.chat_models() if self.settings.offers_cache else ()
        names = dict.fromkeys((*self.own_models, *self.settings.models, *cached))
        return [name for name in names if self.base_model(name) is not None]


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
