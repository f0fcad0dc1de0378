"""Every endpoint through the real SDK, sync and async, with every raw answer validated strictly.

A case is a `Case` in the list of its area (files.py, jobs.py, ...). At the end `conformance: N/M` is printed.
"""

import asyncio
from collections.abc import Callable
from typing import get_args

import pytest

from pipeline.testing import MockServer
from tests.conformance import completions, files, jobs, models
from tests.conformance.api import Api, Case, Flavour

CASES = [*files.CASES, *jobs.CASES, *models.CASES, *completions.CASES]
# No client of OpenAI's calls these.
OWN = {"GET /healthz", "GET /readyz", "GET /metrics"}


@pytest.mark.parametrize("flavour", get_args(Flavour))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_walk(
    case: Case, flavour: Flavour, serve: Callable[[dict[str, object]], MockServer], routes: list[str]
) -> None:
    paths = list(dict.fromkeys(route.split()[1] for route in routes))

    async def walk() -> set[str]:
        api = Api(serve(case.script), flavour, paths)
        try:
            await case.run(api)
        finally:
            await api.close()
        return api.walked

    walked = asyncio.run(walk())

    assert set(case.walks) <= walked


def test_every_route_of_the_openapi_page_is_walked(routes: list[str]) -> None:
    assert {route for case in CASES for route in case.walks} == set(routes) - OWN


def test_names_of_walks_are_their_own() -> None:
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
