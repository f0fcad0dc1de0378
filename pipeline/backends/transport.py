"""The HTTP client under the SDK: what it hands up has been answered where we asked, in bounds, and makes sense."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx2
import openai

from pipeline.backends.answers import Endless, Nonsense, read, read_answer, read_chunk
from pipeline.process.clock import Clock
from pipeline.process.privacy import remember_key, without_keys
from pipeline.wording import about, counted

if TYPE_CHECKING:
    from httpx2._client import UseClientDefault
    from httpx2._types import AuthTypes

MB = 1_000_000
MOST_JSON = 32 * MB
MOST_CONTENT = 256 * MB  # of a result file, which is held in memory
MOST_ERROR = MB
PATIENCE = 3  # an answer may take so many times the timeout, which httpx holds for each single read
STREAM_PATIENCE = 10  # and each piece of a streamed one, while signs of life come: a model may have to be loaded
LONGEST_S = 3600.0  # for a result file, and for a whole streamed answer
MOST_EVENT = MB
LONGEST_TOKEN = 128  # characters; the longest in OpenAI's vocabularies are runs of blanks
_TO_SPARE = 4096  # characters
_EVENTS_A_TOKEN = 4  # a character may take several tokens, but hardly a token several events
_EVENTS_TO_SPARE = 500
_MOST_REDIRECTS = 5
_TIMEOUT_S = 60.0
_ASKED_FOR = ("retry-after", "retry-after-ms", "location")  # what is read of an error's headers
_LEFT = tuple(f"x-ratelimit-{what}-{of}" for what in ("remaining", "reset") for of in ("requests", "tokens"))
_SECRET = ("authorization", "key", "token", "secret", "cookie")


class Client(openai.DefaultHttpxClient):
    """Follows nothing that was sent to another place, and reads no more and no longer than an answer may take.

    httpx bounds the wait for each piece alone, so an answer that comes byte by byte has no end for it; and it holds
    what a compressed body becomes, however much that is.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None], *, trust_env: bool, mounts: dict[str, None]) -> None:
        """`say` is told once of each field whose value makes no sense."""
        super().__init__(trust_env=trust_env, mounts=mounts, follow_redirects=False)
        self._clock, self._say = clock, say
        self._said: set[str] = set()

    def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: "AuthTypes | UseClientDefault | None" = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: "bool | UseClientDefault" = False,  # noqa: ARG002 - the SDK's wishes are not heard
    ) -> httpx2.Response:
        """The answer, its body read and clean but for a stream's; of a redirect only where it would lead.

        Raises:
            Nonsense: it cannot be used.
        """
        _remember_keys(request)
        response = super().send(request, stream=True, auth=auth, follow_redirects=False)
        try:
            if _path(request).endswith("/content"):
                response = self._followed(request, response)
            return self._checked(request, response, stream)
        except BaseException:
            response.close()
            raise

    def _followed(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """Result files are often kept elsewhere; the request for one holds nothing but the key, which stays here."""
        for _ in range(_MOST_REDIRECTS):
            target = response.next_request
            if target is None:
                return response
            response.close()
            if target.url.origin != request.url.origin:
                target = self.build_request("GET", target.url, extensions=request.extensions)
            response = super().send(target, stream=True, follow_redirects=False)
        response.close()
        raise Endless("it redirects without an end")

    def _checked(self, request: httpx2.Request, response: httpx2.Response, stream: bool) -> httpx2.Response:
        kind = response.headers.get("content-type", "")
        timeout_s = request.extensions.get("timeout", {}).get("read") or _TIMEOUT_S
        patience_s = PATIENCE * timeout_s
        if not response.is_success:
            return self._refusal(request, response, patience_s)
        if _path(request).endswith("/content"):
            if kind.startswith("text/html"):
                raise _no_json(kind)
            content = _streamed(response, kind, self._pieces(response, MOST_CONTENT, LONGEST_S))
            if not stream:
                content.read()
            return content
        if stream and kind.startswith("text/event-stream"):
            pieces = self._speech(response, STREAM_PATIENCE * timeout_s, _tokens_asked_for(request))
            return _streamed(response, kind, pieces)
        if request.method == "DELETE" and not kind:  # 202 or 204, as Azure's Resource Manager answers
            response.close()
            return _json(request, response.status_code, b"{}")
        # A proxy's page in the API's place: the SDK would hand its text over as if it were the answer.
        if not kind.startswith(("application/json", "text/event-stream")):
            raise _no_json(kind)
        if stream:
            raise Nonsense("it is no stream")
        body = b"".join(self._pieces(response, MOST_JSON, patience_s))
        answer = read_answer(request.method, _path(request), body, self._say_once)
        left = {name: response.headers[name] for name in _LEFT if name in response.headers}
        return _json(request, response.status_code, json.dumps(answer).encode(), left)

    def _say_once(self, field: str) -> None:
        if field not in self._said:
            self._said.add(field)
            self._say(f"{field} makes no sense as the server sends it, and is passed over")

    def _refusal(self, request: httpx2.Request, response: httpx2.Response, patience_s: float) -> httpx2.Response:
        """The status counts, whatever comes with it."""
        try:
            body = json.dumps(read(b"".join(self._pieces(response, MOST_ERROR, patience_s)))).encode()
        except httpx2.RequestError:
            body = b"{}"
        finally:
            response.close()
        headers = {name: response.headers[name] for name in _ASKED_FOR if name in response.headers}
        return _json(request, response.status_code, body, headers)

    def _speech(self, response: httpx2.Response, patience_s: float, tokens: int) -> Iterator[bytes]:
        """A streamed answer (text/event-stream), event by event.

        Raises:
            Nonsense: an event makes no sense or does not come in `patience_s`; there is none; or it goes on for much
                longer than `tokens` tokens can.
        """
        start = self._clock.monotonic()
        within = _InTime(response.stream, self._clock, patience_s)
        plain = _streamed(response, "text/event-stream", self._pieces(response, MOST_JSON, patience_s, within))
        most_characters = tokens * LONGEST_TOKEN + _TO_SPARE
        most_events = tokens * _EVENTS_A_TOKEN + _EVENTS_TO_SPARE
        events = characters = 0
        try:
            for event in httpx2.EventSource(plain, max_event_size=MOST_EVENT):
                if event.data.startswith("[DONE]"):
                    break
                if not event.data.strip():  # a sign of life
                    continue
                within.begin()
                chunk, length = read_chunk(event.data)
                events, characters = events + 1, characters + length
                if characters > most_characters or events > most_events:
                    raise Endless(f"it goes on long after the {counted(tokens, 'token')} that were asked for")
                if self._clock.monotonic() - start > LONGEST_S:
                    raise Endless(f"it did not end within {about(LONGEST_S)}")
                yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        except httpx2.SSEError:
            raise Nonsense(f"it has a line of more than {MOST_EVENT // MB} MB") from None
        if not events:
            raise Nonsense("it is empty")
        yield b"data: [DONE]\n\n"

    def _pieces(
        self, response: httpx2.Response, most: int, longest_s: float, within: "_InTime | None" = None
    ) -> Iterator[bytes]:
        """The body, decompressed.

        Raises:
            Nonsense: it exceeds `most` bytes or `longest_s`, or is not compressed as its header says.
        """
        response.stream = within or _InTime(response.stream, self._clock, longest_s)
        size = 0
        try:
            for piece in response.iter_bytes():
                size += len(piece)
                if size > most:
                    raise Endless(f"it is longer than {most // MB} MB")
                yield piece
        except httpx2.DecodingError:
            raise Nonsense("it is not compressed as it says") from None
        finally:
            response.close()


class _InTime(httpx2.SyncByteStream):
    """A body as it comes over the wire, which may hold nothing for ever once it is decompressed."""

    def __init__(self, stream: object, clock: Clock, longest_s: float) -> None:
        if not isinstance(stream, httpx2.SyncByteStream):
            raise TypeError("a body that cannot be read here")
        self._stream, self._clock, self._longest_s = stream, clock, longest_s
        self.begin()

    def begin(self) -> None:
        """What was waited for has come; the time for the next begins."""
        self._start = self._clock.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            if self._clock.monotonic() - self._start > self._longest_s:
                raise Endless(f"it did not end within {about(self._longest_s)}")
            yield piece

    def close(self) -> None:
        self._stream.close()


class _Pieces(httpx2.SyncByteStream):
    """What has been checked, as the body of a response."""

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self.close = close  # type: ignore[method-assign]

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def _streamed(response: httpx2.Response, kind: str, pieces: Iterator[bytes]) -> httpx2.Response:
    return httpx2.Response(
        response.status_code,
        headers={"content-type": kind},
        stream=_Pieces(pieces, response.close),
        request=response.request,
    )


def _tokens_asked_for(request: httpx2.Request) -> int:
    """The limit that every request of ours for a chat completion has."""
    return int(json.loads(request.read())["max_completion_tokens"])


def _json(request: httpx2.Request, status: int, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.Response(
        status, headers={**(headers or {}), "content-type": "application/json"}, content=body, request=request
    )


def _no_json(kind: str) -> httpx2.RemoteProtocolError:
    return httpx2.RemoteProtocolError(f"expected JSON, got {without_keys(kind) or 'no content type'}")


def _path(request: httpx2.Request) -> str:
    """As it was sent: an id with a slash in it is one part."""
    return request.url.raw_path.decode("ascii").partition("?")[0]


def _remember_keys(request: httpx2.Request) -> None:
    """Of the SDK's own header and of those that the environment adds."""
    for name, value in request.headers.items():
        if name != "idempotency-key" and any(part in name for part in _SECRET):
            remember_key(value.rpartition(" ")[2])
