"""A loopback server dressed as OpenAI with many tuned models on it; its log is the truth about money."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.fault_server import FaultServer

Json = dict[str, Any]
BASE = "gpt-4o-mini-2024-07-18"
RESULT = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.52347,0.0,,\n"
PRICES = (0.30, 1.20)
"""Per million tokens read and written, of tunes on BASE."""


def example(number: int, **more: Any) -> Json:
    """A training example; `more` goes into it."""
    return {
        "messages": [
            {"role": "system", "content": "You are a tortoise."},
            {"role": "user", "content": f"Question {number}?"},
            {"role": "assistant", "content": f"Reference {number}."},
        ],
        **more,
    }


def jsonl(rows: list[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclasses.dataclass
class Chat:
    """A chat request that was carried out, and so is paid for."""

    body: Json
    answers: list[str]


class DressedServer(http.server.ThreadingHTTPServer):
    """Jobs, files and models of several projects.

    Attributes:
        projects: the project of each key.
        jobs: by project, newest first.
        files: content by id; an int is the status of whoever asks.
        more_models: are listed, too, without a job.
        cuts: so many contents of files break off in the middle.
        dates: `shutdown_date` of a model.
        dark: models that do not answer any more, 404; with `dark_after`, only once so many chats were answered.
        trouble: asked before each chat: an answer (status, headers, body) instead of the real one, "reset" for a
            connection that dies before it is carried out, or "lost" for one that dies afterwards.
        chats: those that were carried out, in order; `asked` counts each question.
        log: method and path of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.lock = threading.Lock()
        self.projects: dict[str, str] = {"sk-one-0123456789": "one"}
        self.jobs: dict[str, list[Json]] = {"one": []}
        self.files: dict[str, bytes | int] = {}
        self.results_in_base64 = False
        self.cuts = 0
        self.checkpoints: dict[str, list[Json]] = {}
        self.stored: list[Json] = []
        self.inputs: dict[str, list[Json]] = {}
        self.more_models: list[str] = []
        self.dates: dict[str, str] = {}
        self.dark: set[str] = set()
        self.dark_after: int | None = None
        self.no_logprobs = False
        self.most_rows = 100
        self.says: Callable[[Json], str] = answer_to
        self.trouble: Callable[[int], object] = lambda _: None
        self.headers: dict[str, str] = {}
        self.chats: list[Chat] = []
        self.tries = 0
        self.log: list[str] = []
        self.bugs: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        FaultServer.handle_error(self, request, client_address)  # type: ignore[arg-type]

    def add(self, number: int, project: str = "one", **more: Any) -> str:
        """A job that succeeded, with its files; returns its model."""
        model = f"ft:{BASE}:org:tortoise:m{number:02}"
        job: Json = {
            "id": f"ftjob-{number:02}",
            "object": "fine_tuning.job",
            "created_at": 1_750_000_000 + number,
            "model": BASE,
            "status": "succeeded",
            "fine_tuned_model": model,
            "organization_id": "org-x",
            "training_file": f"file-train-{number:02}",
            "validation_file": None,
            "result_files": [f"file-result-{number:02}"],
            "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
            "seed": 7,
            "trained_tokens": 1234,
            "error": {},
            **more,
        }
        self.jobs.setdefault(project, []).insert(0, job)
        self.files.setdefault(job["training_file"], jsonl([example(n) for n in range(12)]))
        for result in job["result_files"]:
            self.files.setdefault(result, RESULT)
        return model

    def asked(self) -> Counter[str]:
        """How often each question was carried out."""
        return Counter(json.dumps({**chat.body, "logprobs": None}, sort_keys=True) for chat in self.chats)

    def rows_of_models(self, project: str) -> list[Json]:
        names = [job["fine_tuned_model"] for job in self.jobs.get(project, []) if job["fine_tuned_model"]]
        names = [BASE, *(name for name in names if name not in self.dark), *self.more_models]
        rows: list[Json] = [{"id": name, "object": "model", "created": 1, "owned_by": "org-x"} for name in names]
        for row in rows:
            row["shutdown_date"] = self.dates.get(row["id"])
        return rows


def answer_to(body: Json) -> str:
    """What the model says: the reference of every question with an even number, something else to the others."""
    asked = str(body["messages"][-1]["content"])
    number = "".join(each for each in asked if each.isdigit()) or "0"
    return f"Reference {number}." if int(number) % 2 == 0 else f"I say {number} to that."


class _Handler(http.server.BaseHTTPRequestHandler):
    server: DressedServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_DELETE(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        path, query = urllib.parse.unquote(url.path).removeprefix("/v1"), dict(urllib.parse.parse_qsl(url.query))
        with self.server.lock:
            self.server.log.append(f"{self.command} {path}")
            project = self.server.projects.get(self.headers.get("authorization", "").removeprefix("Bearer "))
            if project is None:
                self._refuse(401, "Incorrect API key provided.", "invalid_api_key")
            elif self.command == "POST" and path == "/chat/completions":
                self._chat(json.loads(body), project)
            elif self.command == "GET":
                self._get(path, query, project)
            else:
                self._refuse(405, "Not here.")

    def _get(self, path: str, query: dict[str, str], project: str) -> None:
        server, parts = self.server, path.strip("/").split("/")
        jobs = {job["id"]: job for job in server.jobs.get(project, [])}
        if path == "/models":
            self._send({"object": "list", "data": server.rows_of_models(project)})
        elif parts[0] == "models":
            rows = {row["id"]: row for row in server.rows_of_models(project)}
            self._send_or_404(rows.get(parts[1]))
        elif path == "/fine_tuning/jobs":
            self._page([*jobs.values()], query)
        elif parts[0] == "fine_tuning" and parts[2] not in jobs:
            self._refuse(404, "Could not find fine tune", "fine_tune_not_found")
        elif parts[0] == "fine_tuning" and len(parts) == 3:
            self._send(jobs[parts[2]])
        elif parts[-1] == "checkpoints":
            self._page(server.checkpoints.get(parts[2], []), query)
        elif parts[-1] == "events":
            event = {"id": "ftevent-1", "object": "fine_tuning.job.event", "created_at": 1, "level": "info"}
            self._page([{**event, "message": "Created fine-tuning job"}], query)
        elif parts[0] == "files":
            self._file(parts)
        elif path == "/chat/completions":
            self._page([row for row in server.stored if row["model"] == query.get("model")], query)
        elif parts[-1] == "messages":
            self._page(server.inputs.get(parts[2], []), query)
        else:
            self._refuse(404, "No such route.")

    def _file(self, parts: list[str]) -> None:
        content = self.server.files.get(parts[1], 404)
        if isinstance(content, int):
            self._refuse(content, f"No such File object: {parts[1]}")
        elif parts[-1] == "content":
            if self.server.cuts:
                self.server.cuts -= 1
                self._send_bytes(content[: len(content) // 2], length=len(content))
                self.close_connection = True
                return
            is_result = parts[1].startswith("file-result") and self.server.results_in_base64
            self._send_bytes(base64.b64encode(content) if is_result else content)
        else:
            file = {"id": parts[1], "object": "file", "bytes": len(content), "created_at": 1, "filename": "data.jsonl"}
            self._send({**file, "purpose": "fine-tune", "status": "processed"})

    def _page(self, rows: list[Json], query: dict[str, str]) -> None:
        if "after" in query:
            rows = rows[[row["id"] for row in rows].index(query["after"]) + 1 :]
        page = rows[: min(int(query.get("limit", 20)), self.server.most_rows)]
        self._send({"object": "list", "data": page, "has_more": len(page) < len(rows)})

    def _chat(self, body: Json, project: str) -> None:
        server = self.server
        server.tries += 1
        trouble = server.trouble(server.tries)
        known = {job["fine_tuned_model"] for job in server.jobs.get(project, [])}
        is_dark = server.dark_after is not None and len(server.chats) >= server.dark_after
        if trouble == "reset":
            _die(self)
        elif isinstance(trouble, tuple):
            status, headers, said = trouble
            self._send(said, status, headers)
        elif body["model"] not in known or body["model"] in server.dark or is_dark:
            self._refuse(404, f"The model `{body['model']}` does not exist", "model_not_found")
        elif server.no_logprobs and body.get("logprobs"):
            self._refuse(400, "You are not allowed to request logprobs", "unsupported", param="logprobs")
        else:
            completion = self._completion(body)
            if trouble == "lost":
                _die(self)
            else:
                self._send(completion, 200, server.headers)

    def _completion(self, body: Json) -> Json:
        """Carry it out."""
        text, n = self.server.says(body), int(body.get("n") or 1)
        odds: Json = {"content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
        choices = [
            {
                "index": index,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": odds if body.get("logprobs") else None,
            }
            for index in range(n)
        ]
        self.server.chats.append(Chat(body, [text] * n))
        usage = {"prompt_tokens": 10, "completion_tokens": 5 * n, "total_tokens": 10 + 5 * n}
        completion_id = f"chatcmpl-{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:8]}"
        return {
            "id": completion_id, "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": choices, "usage": usage, "system_fingerprint": "fp_1",
        }  # fmt: skip

    def _send_or_404(self, row: Json | None) -> None:
        if row is None:
            self._refuse(404, "The model does not exist", "model_not_found")
        else:
            self._send(row)

    def _refuse(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self._send({"error": error}, status)

    def _send(self, body: Json, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(json.dumps(body).encode(), status, "application/json", headers)

    def _send_bytes(
        self, body: bytes, status: int = 200, kind: str = "application/octet-stream",
        headers: dict[str, str] | None = None, length: int | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        for name, value in {
            "content-type": kind,
            "content-length": str(length or len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _die(handler: http.server.BaseHTTPRequestHandler) -> None:
    """End the connection by a reset."""
    import socket
    import struct

    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


@contextlib.contextmanager
def dressed_server() -> Iterator[DressedServer]:
    """Serve while the block runs."""
    with DressedServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
        assert server.bugs == []
