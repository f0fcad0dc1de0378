"""A web server that does as it is told, and what the tests of downloads share."""

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import FinetuneError
from pipeline.fetch import DriveHosts, check_any, fetch_archive

BODY = bytes(range(256)) * 4096
ETAG = {"ETag": '"v1"'}
Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server that gives its `answers` one after the other, the last one for ever, and notes the requests."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str | None, str | None]] = []  # path, Range, If-Range
        self.released = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, self.headers["Range"], self.headers["If-Range"]))
                answer = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def reply(status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, sent: int | None = None) -> Answer:
    """Answer with `body`, or break off after `sent` bytes of it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[:sent])

    return answer


def serve(body: bytes, headers: dict[str, str]) -> Answer:
    """Answer as a server that knows Range and If-Range does."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "")
        first = int(wanted[1]) if wanted and request.headers["If-Range"] in headers.values() else 0
        if first >= len(body):
            reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})(request)
        elif first:
            span = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
            reply(206, body[first:], headers | span)(request)
        else:
            reply(200, body, headers)(request)

    return answer


def page(title: str, inside: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{inside}</body></html>".encode()


HTML = {"Content-Type": "text/html; charset=utf-8"}


class Fetch:
    """fetch_archive with a target, and notes of the sleeps and the progress."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.target = folder / "01_archive.db"
        self.sleeps: list[float] = []
        self.notes: list[str] = []
        self.progress: list[tuple[int, int | None]] = []
        self.drive = DriveHosts(site.url, f"{site.url}/accounts")
        self.check: Callable[[Path], None] = check_any
        self.sha256: str | None = None
        self.timeout_s = 10.0
        self.attempts = 3

    def __call__(self, source: str) -> Path:
        return fetch_archive(
            source,
            self.target,
            check=self.check,
            sha256=self.sha256,
            timeout_s=self.timeout_s,
            attempts=self.attempts,
            progress=lambda done, total: self.progress.append((done, total)),
            note=self.notes.append,
            sleep=self.sleeps.append,
            drive=self.drive,
        )

    def left(self) -> set[str]:
        return {path.name for path in self.target.parent.iterdir()}


def says(error: type[FinetuneError], message: str) -> "pytest.RaisesExc[FinetuneError]":
    return pytest.raises(error, match=f"^{re.escape(message)}$")
