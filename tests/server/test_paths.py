"""No path that a request names is ever looked at: every opened file is watched while requests try."""

import sys
from pathlib import Path

import httpx
import pytest

from pipeline.testing import MockServer
from tests.server.harness import BASE, examples

MARK = "finetune-forbidden-path"
_touched: list[str] = []
_watching = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    # Not os.putenv, with which pytest says which test it is at.
    if _watching and event != "os.putenv" and event.startswith(("open", "os.", "shutil.", "sqlite3.", "subprocess.")):
        _touched.extend(f"{event} {value!r}" for value in arguments if MARK in repr(value))


@pytest.fixture
def touched() -> list[str]:
    global _watching
    if not _watching:
        sys.addaudithook(_watch)  # for good: an audit hook cannot be taken away
        _watching = True
    _touched.clear()
    return _touched


@pytest.mark.parametrize(
    "name",
    [f"/etc/{MARK}", f"../../{MARK}", f"./{MARK}", f"~/{MARK}", f"file:///{MARK}", f"{MARK}\x00", f"ft:/{MARK}::1"],
)
def test_no_path_from_a_request_touches_the_file_system(shared: MockServer, touched: list[str], name: str) -> None:
    client = httpx.Client(base_url=shared.base_url, headers={"Authorization": f"Bearer {shared.api_key}"})
    chat = [{"role": "user", "content": name}]
    with client:
        file = client.post(
            "/files", data={"purpose": "fine-tune"}, files={"file": (f"{name}.jsonl", examples())}
        ).json()["id"]
        answers = [
            client.post("/chat/completions", json={"model": name, "messages": chat}),
            client.post("/chat/completions", json={"model": BASE, "messages": chat, "user": name}),
            client.post("/fine_tuning/jobs", json={"model": name, "training_file": file}),
            client.post("/fine_tuning/jobs", json={"model": BASE, "training_file": name}),
            client.post("/fine_tuning/jobs", json={"model": BASE, "training_file": file, "validation_file": name}),
            client.request("GET", "/files", params={"after": name, "purpose": name}),
            *(
                client.request(method, f"/{area}/" + name.replace("/", "%2F").replace("\x00", "%00"))
                for area in ("files", "models", "fine_tuning/jobs", "uploads")
                for method in ("GET", "DELETE")
            ),
        ]

    assert all(answer.status_code in (200, 400, 404, 405) for answer in answers)
    assert touched == []


def test_the_watch_sees_what_is_opened(touched: list[str], tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("x")

    assert len(touched) == 1
