"""The pages of a model that is there."""

from starlette.routing import Route

ROUTES: list[Route] = []
