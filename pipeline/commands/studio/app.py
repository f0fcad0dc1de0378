"""The application: all pages behind the guard."""

from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from pipeline.commands.studio import model_pages, run_pages, start_pages, vote_pages
from pipeline.commands.studio.desk import Desk, desk_of, explain
from pipeline.commands.studio.security import OPEN, Guard, Session
from pipeline.durable import unusable
from pipeline.errors import FinetuneError


def create_app(session: Session, desk: Desk) -> Starlette:
    """The studio for one browser.

    Args:
        desk: what it remembers.
    """
    static = resources.files("pipeline.commands.studio") / "static"
    app = Starlette(
        routes=[
            *start_pages.ROUTES,
            *run_pages.ROUTES,
            *model_pages.ROUTES,
            *vote_pages.ROUTES,
            Mount(OPEN.rstrip("/"), StaticFiles(directory=str(static))),
        ],
        middleware=[Middleware(Guard, session=session)],
        exception_handlers={FinetuneError: explain, OSError: _of_the_disk, HTTPException: _missing},
    )
    app.state.desk = desk
    return app


async def _of_the_disk(request: Request, error: Exception) -> Response:
    return await explain(request, unusable(error) if isinstance(error, OSError) else error)


async def _missing(request: Request, error: Any) -> Response:
    said = "There is no such page." if error.status_code == 404 else f"{error.detail}."
    return desk_of(request).page("problem", error.status_code, said=said)
