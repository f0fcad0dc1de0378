"""Reads JSON bodies: bounded before they are parsed, and parsed and checked where no other request waits for it.

The framework would do all of it on the event loop, and complain of every wrong item of a list before it answers.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from pipeline.server.http.bounds import excess
from pipeline.server.http.envelope import ApiError
from pipeline.server.http.invalid_requests import NO_OBJECT, UNREADABLE, complaint

# Our own limits: OpenAI documents none for a body as a whole.
MAX_VALUES = 50_000  # 2048 messages with a name and three parts each hold about 40,000
MAX_MEMBERS = 1_000  # of one object
MAX_DIGITS = 400  # of one integer; Python's own limit is 4300, and takes a time that is quadratic in it
_SMALL_BYTES = 16 * 1024  # what is parsed in less time than a thread takes to take over

# One thread: large bodies wait for each other, and so does the memory that they take while they are parsed.
_parsing = ThreadPoolExecutor(1, thread_name_prefix="bodies")

Model = TypeVar("Model", bound=BaseModel)


def json_body(model: type[Model], max_values: int = MAX_VALUES) -> Callable[[Request], Coroutine[Any, Any, Model]]:
    """What reads a request's body as `model`, for a route to depend on.

    What the route's other dependencies refuse, such as an id that there is not, is refused first.
    """

    async def read(request: Request) -> Model:
        if not _is_json(request.headers.get("content-type", "")):
            raise ApiError(400, NO_OBJECT)
        data = bytearray()  # one piece: a list of the pieces takes more memory than they hold, if they are small
        async for chunk in request.stream():
            data += chunk
        if not data:
            raise ApiError(400, NO_OBJECT)
        if len(data) <= _SMALL_BYTES:
            return decode(data, model, max_values)
        return await asyncio.get_running_loop().run_in_executor(_parsing, decode, data, model, max_values)

    return read


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def decode(data: bytes | bytearray, model: type[Model], max_values: int = MAX_VALUES) -> Model:
    """Parse and check one body.

    Raises:
        ApiError: not JSON, too much of it, or not what `model` takes; names one field, and repeats nothing of a value.
    """
    try:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
        if too_much := excess(text, max_values):
            raise ApiError(400, f"The request is too large: its JSON {too_much}.", code="request_too_large")
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except ValueError:
        raise ApiError(400, UNREADABLE) from None
    if not isinstance(value, dict):
        raise ApiError(400, NO_OBJECT)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors(include_url=False)]
        found = complaint(problems, value)
        raise ApiError(400, found.message, param=found.param, code=found.code) from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MAX_MEMBERS:
        message = f"The request is too large: an object of its JSON has more than {MAX_MEMBERS} members."
        raise ApiError(400, message, code="request_too_large")
    return dict(pairs)


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError
    return int(digits)
