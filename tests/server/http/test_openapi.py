"""The server's own OpenAPI page, and a fuzzer that reads it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from pipeline.testing import MockServer
from tests.server.harness import finish, start_job

REFUSED_ANYWHERE = {"400", "401", "429", "507"}
# Whether a request that fits the page is accepted depends on what is in the store: jobs have states, models names.
LEFT_OUT = "positive_data_acceptance"


@pytest.fixture(scope="module")
def page(shared: MockServer) -> dict[str, Any]:
    url = shared.base_url.removesuffix("/v1") + "/openapi.json"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {shared.api_key}"})
    document: dict[str, Any] = answer.json()
    return document


def _operations(page: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_says_what_it_answers_and_refuses(page: dict[str, Any]) -> None:
    routes = dict(_operations(page))

    assert len(routes) > 20
    for route, operation in routes.items():
        if not route.startswith(("GET /v1", "POST /v1", "DELETE /v1")):
            continue
        assert set(operation["responses"]) >= {"200", *REFUSED_ANYWHERE}, route
        assert "422" not in operation["responses"], route
        assert operation["security"] == [{"key": []}], route
        for media in operation["responses"]["200"]["content"].values():
            assert media["schema"], route


def test_every_reference_of_the_page_leads_somewhere(page: dict[str, Any]) -> None:
    schemas = page["components"]["schemas"]

    named = set(re.findall(r"#/components/schemas/([^']+)'", str(page)))

    assert named <= set(schemas)
    assert {"FileObject", "JobObject", "UploadObject", "JobCreate", "ErrorResponse"} <= named


def test_a_fuzzer_finds_no_server_error_and_nothing_that_the_page_does_not_say(
    client: openai.OpenAI, shared: MockServer, tmp_path: Path
) -> None:
    finish(client, start_job(client).id)
    url = shared.base_url.removesuffix("/v1") + "/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", url, "-H", f"Authorization: Bearer {shared.api_key}"]
    command += ["--exclude-checks", LEFT_OUT, "--max-examples", "8", "--generation-deterministic", "--no-color"]

    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    assert found.returncode == 0, found.stdout + found.stderr
