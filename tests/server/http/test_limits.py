"""Rate limits: how much is left is told, what is too much is refused, and saved up again as time goes by."""

import asyncio
from pathlib import Path

import httpx
import openai
import pytest
from starlette.types import Message, Receive, Scope, Send

from pipeline.server.http.auth import CLIENT
from pipeline.server.http.envelope import ApiError
from pipeline.server.http.limits import RateLimitMiddleware
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from tests.conftest import FakeClock
from tests.server.harness import connect


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _receive() -> Message:
    raise AssertionError("nothing is read")


def _ask(limited: RateLimitMiddleware, client: bytes = b"one") -> dict[str, str]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(limited({"type": "http", CLIENT: client}, _receive, send))
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_what_is_left_is_told_and_comes_back_with_time(clock: FakeClock) -> None:
    limited = RateLimitMiddleware(_answer, 3, clock.monotonic)

    told = [_ask(limited) for _ in range(3)]

    assert told[0] == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "20s",
    }
    assert [headers["x-ratelimit-remaining-requests"] for headers in told] == ["2", "1", "0"]
    with pytest.raises(ApiError) as refused:
        _ask(limited)
    assert refused.value.message == "Rate limit reached: at most 3 requests a minute. Please try again in 20s."
    assert (refused.value.headers or {})["retry-after"] == "20"
    clock.sleep(20)
    assert _ask(limited)["x-ratelimit-remaining-requests"] == "0"
    clock.sleep(3600)
    assert _ask(limited)["x-ratelimit-remaining-requests"] == "2"  # no more than a minute's is saved up


def test_each_key_has_its_own(clock: FakeClock) -> None:
    limited = RateLimitMiddleware(_answer, 1, clock.monotonic)

    assert [_ask(limited, client)["x-ratelimit-remaining-requests"] for client in (b"one", b"two")] == ["0", "0"]


def test_the_sdk_is_refused_as_openai_does(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "sk-few", trainer="scripted", requests_per_minute=1)
    with serving(settings) as server, serve_in_thread(server):
        with connect(MockServer(server.base_url, "sk-few", tmp_path)) as client:
            allowed = client.models.with_raw_response.list()
            with pytest.raises(openai.RateLimitError) as refused:
                client.models.list()
        stranger = httpx.get(f"{server.base_url}/models")
        health = httpx.get(server.base_url.removesuffix("/v1") + "/healthz")

    assert allowed.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.value.body == {
        "message": "Rate limit reached: at most 1 requests a minute. Please try again in 60s.",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert refused.value.response.headers["retry-after"] == "60"
    assert refused.value.response.headers["x-ratelimit-limit-requests"] == "1"
    assert (stranger.status_code, health.status_code) == (401, 200)
