"""JSON bodies: what is too much is refused before it is parsed, and nothing large is parsed where others wait."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel

from pipeline.server import requests
from pipeline.server.http import json_bodies
from pipeline.server.http.envelope import ApiError
from pipeline.server.http.invalid_requests import Complaint, Problem, complaint
from pipeline.server.http.json_bodies import decode, json_body

MODEL = '"model": "m"'
HELLO = '{"role": "user", "content": "x"}'
TOO_MANY = "The request is too large: its JSON holds more than 50000 values."
TOO_WIDE = "The request is too large: an object of its JSON has more than 1000 members."
UNREADABLE = "We could not parse the JSON body of your request."


def _keys(count: int) -> str:
    return ", ".join(f'"k{number}": 1' for number in range(count))


def _refusal(text: str, model: type[BaseModel]) -> tuple[str, str | None, str | None]:
    with pytest.raises(ApiError) as refused:
        decode(text.encode(), model)
    assert refused.value.status_code == 400
    return refused.value.message, refused.value.param, refused.value.code


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (f'{{{MODEL}, "messages": [{"1," * 200_000}1]}}', requests.ChatCreate),
        (f'{{{MODEL}, "messages": [{"{}," * 200_000}1]}}', requests.ChatCreate),
        (f'{{{MODEL}, "messages": [{(HELLO + ",") * 20_000}1]}}', requests.ChatCreate),
        (f'{{{MODEL}, "messages": [{{"role": "user", "content": [{"1," * 200_000}1]}}]}}', requests.ChatCreate),
        (f'{{{MODEL}, "messages": [{HELLO}], "stop": [{"1," * 200_000}1]}}', requests.ChatCreate),
        (f'{{{MODEL}, "messages": [{HELLO}], {_keys(60_000)}}}', requests.ChatCreate),
        (f'{{{MODEL}, "training_file": "f", "metadata": {{{_keys(60_000)}}}}}', requests.JobCreate),
        (f'{{{MODEL}, "training_file": "f", "integrations": [{"1," * 200_000}1]}}', requests.JobCreate),
        (f'{{{MODEL}, "training_file": "f", "hyperparameters": {{{_keys(60_000)}}}}}', requests.JobCreate),
        (f'{{"part_ids": [{"1," * 200_000}1]}}', requests.UploadComplete),
        ("[" * 200_000, requests.UploadCreate),
    ],
)
def test_many_small_values_are_refused_before_they_take_memory(text: str, model: type[BaseModel]) -> None:
    tracemalloc.start()

    refusal = _refusal(text, model)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refusal == (TOO_MANY, None, "request_too_large")
    assert peak < 3 * len(text) + 5_000_000


@pytest.mark.parametrize(
    ("text", "model", "refusal"),
    [
        (f"{{{_keys(1001)}}}", requests.UploadCreate, (TOO_WIDE, None, "request_too_large")),
        (
            '{"model": ' + "[" * 64 + "]" * 64 + "}",
            requests.ChatCreate,
            ("The request is too large: its JSON is nested more than 64 levels deep.", None, "request_too_large"),
        ),
        (f'{{{MODEL}, "seed": {"9" * 401}}}', requests.ChatCreate, (UNREADABLE, None, None)),
        (
            f'{{{MODEL}, "messages": [{(HELLO + ",") * 2048}{HELLO}]}}',
            requests.ChatCreate,
            (
                "messages: List should have at most 2048 items after validation, not 2049.",
                "messages",
                "array_above_max_length",
            ),
        ),
        (
            f'{{"model": "{"m" * 4097}", "messages": [{HELLO}]}}',
            requests.ChatCreate,
            ("model: String should have at most 4096 characters.", "model", "string_above_max_length"),
        ),
        (
            f'{{"part_ids": [{"0," * 10_000}0]}}',
            requests.UploadComplete,
            ("part_ids[0]: Input should be a valid string.", "part_ids[0]", "invalid_type"),
        ),
        (
            f'{{"part_ids": [{json.dumps(["p"] * 10_001)[1:-1]}]}}',
            requests.UploadComplete,
            (
                "part_ids: List should have at most 10000 items after validation, not 10001.",
                "part_ids",
                "array_above_max_length",
            ),
        ),
    ],
)
def test_each_limit_is_named(text: str, model: type[BaseModel], refusal: tuple[str, str | None, str | None]) -> None:
    assert _refusal(text, model) == refusal


def test_a_list_is_complained_of_once_however_many_of_its_items_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    complained: list[int] = []

    def spy(found: Sequence[Problem], body: object) -> Complaint:
        complained.append(len(found))
        return complaint(found, body)

    monkeypatch.setattr(json_bodies, "complaint", spy)

    _refusal(f'{{{MODEL}, "messages": [{"1," * 2000}1]}}', requests.ChatCreate)
    _refusal(f'{{{MODEL}, "messages": [{{"role": "user", "content": [{"1," * 2000}1]}}]}}', requests.ChatCreate)
    _refusal(f'{{"part_ids": [{"1," * 2000}1]}}', requests.UploadComplete)

    assert complained == [1, 2, 1]  # of a content: that it is no text, and its first part


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_large_body_is_parsed_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    threads: list[str] = []
    real = json_bodies.decode

    def spy(data: bytearray, model: type[requests.ChatCreate], max_values: int) -> requests.ChatCreate:
        threads.append(threading.current_thread().name)
        return real(data, model, max_values)

    monkeypatch.setattr(json_bodies, "decode", spy)
    text = f'{{{MODEL}, "messages": [{{"role": "user", "content": "{"x" * size}"}}]}}'.encode()
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": text[:50], "more_body": True},
        {"type": "http.request", "body": text[50:], "more_body": False},
    ]

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    body = asyncio.run(json_body(requests.ChatCreate)(Request(scope, receive)))

    assert len(body.messages[0].content) == size
    assert [name.startswith("bodies") for name in threads] == [size > 16 * 1024]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_every_encoding_of_json_is_read(encoding: str) -> None:
    text = '{"filename": "é.jsonl", "purpose": "fine-tune", "bytes": 1, "mime_type": "text/jsonl"}'

    assert decode(text.encode(encoding), requests.UploadCreate).filename == "é.jsonl"
