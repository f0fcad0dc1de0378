"""What a backend says, read once and strictly, before anything of it is used, shown or written down.

The SDK takes every JSON for what it should be and builds its objects unchecked; so a strange answer would come to light
anywhere. Here it ends as Nonsense, which the SDK reports as a failed connection and looks outlive.
"""

import json
import re
from collections.abc import Callable, Mapping

import httpx2

from pipeline.process.privacy import without_keys
from pipeline.server.http.bounds import excess

MOST_VALUES = 1_000_000  # in one answer; a page of a list has a few thousand
_LOST = "\ufffd"  # stands for half a character, which no file and no request can hold
_HALF = re.compile("[\ud800-\udfff]")
_MOST = 2**63 - 1  # what a state can hold

_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that a date can have
_ROUTE = re.compile(r"/(files|fine_tuning/jobs)(/[^/]+)?(/events|/cancel)?$")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


class Nonsense(httpx2.RemoteProtocolError):
    """The server was reached, and what it sent cannot be used. Reads as "it is no JSON"."""


class Endless(Nonsense):
    """It was cut, for it is too long or takes too long; asking again at once would only take as long again."""


def read(body: bytes | str) -> Value:
    """The value of a JSON text: without keys, without halves of characters, and None for numbers that are too large.

    Raises:
        Nonsense: it is no JSON in UTF-8, too deep or too much.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Nonsense("it is no UTF-8") from None
    too_much = excess(text, MOST_VALUES)
    if too_much:
        raise Nonsense(f"it {too_much}")
    try:
        value: Value = json.loads(text)
    except ValueError:
        raise Nonsense("it is no JSON") from None
    return _clean(value)


def read_object(body: bytes | str) -> dict[str, Value]:
    """The same of a text that must hold an object, as every answer of the API does.

    Raises:
        Nonsense: see `read`; or it holds something else.
    """
    value = read(body)
    if not isinstance(value, dict):
        raise Nonsense("it is no JSON object")
    return value


def read_answer(method: str, path: str, body: bytes, odd: Callable[[str], None]) -> dict[str, Value]:
    """What the API answers to this call, each field that we use of its type, and None in the place of any other.

    A field that makes no sense must not keep a model that was paid for from its owner.

    Args:
        path: as it was sent, without a query.
        odd: is told of each field that was passed over, such as "a job's trained_tokens".

    Raises:
        Nonsense: see `read_object`.
    """
    answer = read_object(body)
    route = _ROUTE.search(path)
    if route is None or method == "DELETE":
        return answer
    kind = "event" if route[3] == "/events" else "file" if route[1] == "files" else "job"
    if method != "GET" or (route[2] is not None and kind != "event"):
        return _fitted(answer, kind, odd)
    listed = answer.get("data")
    if not isinstance(listed, list):
        raise Nonsense("it is no list")
    rows = [_fitted(row, kind, odd) for row in listed if isinstance(row, dict)]
    if len(rows) < len(listed):
        raise Nonsense("it is a list of something else")
    has_more = answer.get("has_more")
    return {"object": "list", "data": [*rows], "has_more": has_more if isinstance(has_more, bool) else None}


def read_chunk(data: str) -> tuple[dict[str, Value], int]:
    """One event of a streamed chat completion, with what we use of it, and how many characters of text it brings.

    An error that is sent in the place of a chunk is one still: an object whose `error` has a message.

    Raises:
        Nonsense: see `read_object`; or it is no chunk.
    """
    event = read_object(data)
    if event.get("error"):
        error = _error(event["error"])
        message = error.get("message") if isinstance(error, dict) else None
        return {"error": {"message": message or "it gives no reason"}}, 0
    listed = event.get("choices") or []
    if not isinstance(listed, list):
        raise Nonsense("it has no choices")
    choices = [_choice(each) for each in listed]
    chunk: dict[str, Value] = {
        "id": _text(event.get("id")) or "",
        "object": "chat.completion.chunk",
        "created": _time(event.get("created")) or 0,
        "model": _text(event.get("model")) or "",
        "choices": [choice for choice, _ in choices],
    }
    usage = event.get("usage")
    counts = {name: _whole(usage.get(name)) for name in _COUNTS} if isinstance(usage, dict) else {}
    if counts and None not in counts.values():
        chunk["usage"] = dict(counts)
    return chunk, sum(length for _, length in choices)


def _choice(value: Value) -> tuple[dict[str, Value], int]:
    delta = value.get("delta") or {} if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(delta, dict):
        raise Nonsense("one of its choices is none")
    content = delta.get("content")
    if content is not None and not isinstance(content, str):
        raise Nonsense("a piece of it is no text")
    said: dict[str, Value] = {"role": _text(delta.get("role")), "content": content}
    finish = _text(value.get("finish_reason"))
    return {"index": _whole(value.get("index")) or 0, "delta": said, "finish_reason": finish}, len(content or "")


def _fitted(row: dict[str, Value], kind: str, odd: Callable[[str], None]) -> dict[str, Value]:
    fitted = dict(row)
    for name, fit in _FIELDS[kind].items():
        value = row.get(name)
        fitted[name] = None if value is None else fit(value)
        if fitted[name] is None and value is not None and name != "id":  # without an id all of it is looked at again
            odd(f"{'an' if kind == 'event' else 'a'} {kind}'s {name}")
    return fitted


def _text(value: Value) -> Value:
    return value if isinstance(value, str) else None


def _name(value: Value) -> Value:
    """Of a thing on the server, which is asked for by it."""
    return value if isinstance(value, str) and _LOST not in value else None


def _whole(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MOST else None


def _time(value: Value) -> Value:
    seconds = _whole(value)
    return seconds if isinstance(seconds, int) and seconds <= _LAST_SECOND else None


def _texts(value: Value) -> Value:
    if not isinstance(value, dict):
        return None
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _names(value: Value) -> Value:
    return value if isinstance(value, list) and None not in map(_name, value) else None


def _mapping(value: Value) -> Value:
    return value if isinstance(value, dict) else None


def _error(value: Value) -> Value:
    """OpenAI sends code, message and param; others the message alone."""
    if isinstance(value, str):
        return {"code": None, "message": value, "param": None}
    if not isinstance(value, dict):
        return None
    return {name: _text(value.get(name)) for name in ("code", "message", "param")}


_FIELDS: Mapping[str, Mapping[str, Callable[[Value], Value]]] = {
    "file": {
        "id": _name,
        "filename": _text,
        "bytes": _whole,
        "status": _text,
        "status_details": _text,
        "created_at": _time,
    },
    "job": {
        "id": _name,
        "status": _text,
        "created_at": _time,
        "training_file": _name,
        "fine_tuned_model": _name,
        "trained_tokens": _whole,
        "result_files": _names,
        "metadata": _texts,
        "user_provided_suffix": _text,
        "suffix": _text,
        "error": _error,
    },
    "event": {
        "id": _name,
        "created_at": _time,
        "level": _text,
        "message": _text,
        "type": _text,
        "data": _mapping,
    },
}


def _clean(value: Value) -> Value:
    match value:
        case str():
            return without_keys(value if value.isascii() else _HALF.sub(_LOST, value))
        case bool() | float() | None:
            return value
        case int():
            return value if -_MOST <= value <= _MOST else None
        case list():
            return [_clean(each) for each in value]
        case dict():
            return {str(_clean(name)): _clean(each) for name, each in value.items()}
