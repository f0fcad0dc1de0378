"""A loopback server that speaks enough of the contract to go wrong in every way; its commit log is the truth."""

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        call: "file.create", "file.list", "job.create", "job.list" …
        kind: reset (the connection dies), cut (half the answer), garbage, no_id, or an HTTP status.
        commits: whether the server does what was asked before it goes wrong.
        body: the error object for a status.
    """

    call: str
    kind: str | int
    commits: bool = False
    body: Json | None = None


class FaultServer(http.server.ThreadingHTTPServer):
    """Files and jobs in memory; `posts` counts every POST received, `files` and `jobs` what was committed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.files: list[Json] = []
        self.jobs: list[Json] = []
        self.posts: list[str] = []
        self.faults: list[Fault] = []
        self.keeps_metadata = True
        self.filters = True
        self.lock = threading.Lock()

    def fault_for(self, call: str) -> Fault | None:
        for fault in self.faults:
            if fault.call == call:
                self.faults.remove(fault)
                return fault
        return None

    def commit_file(self, filename: str, size: int) -> Json:
        file = {
            "id": f"file-{len(self.files) + 1}",
            "object": "file",
            "bytes": size,
            "created_at": len(self.files),
            "filename": filename,
            "purpose": "fine-tune",
            "status": "processed",
        }
        self.files.append(file)
        return file

    def commit_job(self, request: Json) -> Json:
        job = {
            "id": f"ftjob-{len(self.jobs) + 1}",
            "object": "fine_tuning.job",
            "created_at": len(self.jobs),
            "model": request["model"],
            "training_file": request["training_file"],
            "validation_file": request.get("validation_file"),
            "status": "queued",
            "metadata": request.get("metadata") if self.keeps_metadata else None,
            "user_provided_suffix": request.get("suffix"),
            "organization_id": "org-x",
            "result_files": [],
            "hyperparameters": {},
            "seed": 1,
        }
        self.jobs.append(job)
        return job


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: unbuffered headers cost 40 ms of delayed acknowledgement

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        call = _call_of(self.command, url.path)
        with self.server.lock:
            if self.command == "POST":
                self.server.posts.append(call)
            fault = self.server.fault_for(call)
            answer = self._do(call, url, body) if fault is None or fault.commits else {}
        if fault is None:
            self._send(200, json.dumps(answer).encode())
        elif fault.kind == "reset":
            self.close_connection = True
            self.connection.close()
        elif fault.kind == "cut":
            self._send(200, json.dumps(answer).encode(), cut=True)
        elif fault.kind == "garbage":
            self._send(200, b"<html>Bad Gateway</html>", content_type="text/html")
        elif fault.kind == "no_id":
            self._send(200, b'{"object": "error"}')
        else:
            self._send(int(fault.kind), json.dumps({"error": fault.body or {"message": "no", "type": "x"}}).encode())

    def _do(self, call: str, url: urllib.parse.SplitResult, body: bytes) -> Json:
        if call == "file.create":
            name = re.search(rb'filename="([^"]+)"', body)
            part = next(p for p in body.split(b"\r\n--") if b'filename="' in p)
            content = part.split(b"\r\n\r\n", 1)[1]
            return self.server.commit_file(name.group(1).decode() if name else "", len(content))
        if call == "job.create":
            return self.server.commit_job(json.loads(body))
        if call == "file.list":
            return {"object": "list", "data": self.server.files, "has_more": False}
        if call == "job.list":
            asked = dict(urllib.parse.parse_qsl(url.query))
            wanted = {key[9:-1]: value for key, value in asked.items() if key.startswith("metadata[")}
            jobs = self.server.jobs
            if self.server.filters:
                jobs = [job for job in jobs if wanted.items() <= (job["metadata"] or {}).items()]
            return {"object": "list", "data": jobs, "has_more": False}
        rows = self.server.files if call.startswith("file") else self.server.jobs
        return next(row for row in rows if row["id"] == url.path.rsplit("/", 1)[1])

    def _send(self, status: int, body: bytes, content_type: str = "application/json", cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


def _call_of(method: str, path: str) -> str:
    thing = "file" if "/files" in path else "job"
    if method == "POST":
        return f"{thing}.create"
    return f"{thing}.list" if path.endswith(("/files", "/jobs")) else f"{thing}.get"


@contextlib.contextmanager
def fault_server() -> Iterator[FaultServer]:
    """Serve while the block runs."""
    with FaultServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
