"""The API as both of the SDK's clients see it, with every raw answer held to the SDK's own types."""

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient
from openai.pagination import AsyncCursorPage, AsyncPage

from pipeline.testing import MockServer
from tests.conformance.schemas import check_answer

Flavour = Literal["sync", "async"]
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One walk through the API.

    Attributes:
        name: a claim.
        walks: the routes that it calls and that answer it well, as the OpenAPI page spells them: "GET /v1/files".
        run: does it, with asserts.
        script: how the mocked API behaves.
    """

    name: str
    walks: tuple[str, ...]
    run: Callable[["Api"], Awaitable[None]]
    script: dict[str, object] = field(default_factory=dict)


class Api:
    """A client, sync or async, that is called in the same way; raw answers are checked as they come.

    Cases are written against the async client's types. The sync client has the same methods and answers at once.
    """

    def __init__(self, server: MockServer, flavour: Flavour, paths: list[str]) -> None:
        self.server = server
        self.walked: set[str] = set()
        self._patterns = {path: _pattern(path) for path in paths}
        self._sync: openai.OpenAI | None = None
        self._async: openai.AsyncOpenAI | None = None
        if flavour == "sync":
            client = DefaultHttpxClient(event_hooks={"response": [self._on_response]})
            self._sync = openai.OpenAI(
                base_url=server.base_url, api_key=server.api_key, max_retries=0, http_client=client
            )
        else:
            async_client = DefaultAsyncHttpxClient(event_hooks={"response": [self._on_async_response]})
            self._async = AsyncOpenAI(
                base_url=server.base_url, api_key=server.api_key, max_retries=0, http_client=async_client
            )

    async def close(self) -> None:
        if self._sync is not None:
            self._sync.close()
        if self._async is not None:
            await self._async.close()

    async def ask(self, call: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
        """What the call answers."""
        answer = call(self._client())
        return await answer if inspect.isawaitable(answer) else cast(T, answer)

    async def all(self, call: Callable[[AsyncOpenAI], Any]) -> list[Any]:
        """What a listing or a stream holds, page by page."""
        found: AsyncCursorPage[Any] | AsyncPage[Any] = call(self._client())
        if self._async is None:
            return list(cast(Iterator[Any], found))
        if inspect.isawaitable(found) and not hasattr(found, "__aiter__"):
            found = await found
        return [item async for item in cast(AsyncIterator[Any], found)]

    async def refused(self, call: Callable[[AsyncOpenAI], Awaitable[object]]) -> dict[str, object]:
        """The refusal of a call: its status and the body of its error."""
        with pytest.raises(openai.APIStatusError) as refused:
            await self.ask(call)
        assert isinstance(refused.value.body, dict)
        return {"status": refused.value.status_code, **refused.value.body}

    def _client(self) -> AsyncOpenAI:
        return cast(AsyncOpenAI, self._sync) if self._async is None else self._async

    def _on_response(self, response: Any) -> None:
        response.read()
        self._check(response)

    async def _on_async_response(self, response: Any) -> None:
        await response.aread()
        self._check(response)

    def _check(self, response: Any) -> None:
        path = response.request.url.path
        template = next((name for name, pattern in self._patterns.items() if pattern.fullmatch(path)), path)
        route = f"{response.request.method} {template}"
        check_answer(route, response.status_code, response.headers, response.content)
        if response.status_code == 200:
            self.walked.add(route)


def _pattern(template: str) -> re.Pattern[str]:
    # The name of a model may hold a slash.
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda m: ".+" if m[1] == "model" else "[^/]+", re.escape(template)))
