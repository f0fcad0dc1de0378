"""What a backend says, read once and strictly, before anything of it is used, shown or written down.

The SDK takes every JSON for what it should be and builds its objects unchecked; so a strange answer would come to light
anywhere. Here it ends as Nonsense, which the SDK reports as a failed connection and looks outlive.
"""

import json
import re

import httpx2

from pipeline.privacy import without_keys
from pipeline.server.http.bounds import excess

MOST_VALUES = 1_000_000  # in one answer; a page of a list has a few thousand
_LOST = "\ufffd"  # stands for half a character, which no file and no request can hold
_HALF = re.compile("[\ud800-\udfff]")
_MOST = 2**63 - 1  # what a state can hold

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


class Nonsense(httpx2.RemoteProtocolError):
    """The server was reached, and what it sent cannot be used. Reads as "it is no JSON"."""


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
