"""A loopback server that speaks enough of the contract to go wrong in every way; its commit log is the truth."""

import contextlib
import dataclasses
import email.utils
import http.server
import json
import re
import socket
import struct
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

Json = dict[str, Any]
FOREVER = 1_000_000
COURSE = ("validating_files", "queued", "running", "succeeded")
ENDED = ("succeeded", "failed", "cancelled")
RESULT = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.5,0.5,,\n"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        call: file.create, file.list, file.get, file.delete, file.content, job.create, job.list, job.get, job.cancel,
            job.events, deploy.create, deploy.list, deploy.get, deploy.delete, model.list or chat.
        kind: reset (the connection dies), timeout (no answer), cut (half the answer), garbage (a proxy's page), no_id,
            wrong_id, nulls, unknown_status, drip (byte by byte), duplicate (the request arrives twice), late (what was
            asked is done `reads` lists later, and the connection dies now), says (`raw` is the whole answer), endless
            (`raw` over and over until the client hangs up), or an HTTP status.
        commits: whether the server does what was asked before it goes wrong.
        body: the error object for a status.
        headers: more headers of the answer.
        skip: so many calls go well first.
        times: so many calls go wrong then.
        reads: for late.
        raw: for says and endless, and for a status in the place of `body`; $AUTHORIZATION in it is the header's value.
        content_type: of `raw`.
    """

    call: str
    kind: str | int
    commits: bool = False
    body: Json | None = None
    headers: tuple[tuple[str, str], ...] = ()
    skip: int = 0
    times: int = 1
    reads: int = 0
    raw: bytes | None = None
    content_type: str = "application/json"


class Dress(Protocol):
    """Where a provider differs from OpenAI."""

    def begin(self, job: Json, request: Json) -> None:
        """A job is created; may refuse it."""

    def finish(self, job: Json) -> None:
        """A job has succeeded."""

    def store(self, file: Json, content: bytes) -> None:
        """A file was stored."""

    def serves(self, server: "FaultServer", model: str) -> bool:
        """Whether a model of this name answers."""

    def admit(self, authorization: str, url: urllib.parse.SplitResult) -> None:
        """Whether this key may deploy."""

    def deploy(self, server: "FaultServer", url: urllib.parse.SplitResult, request: Json) -> Json:
        """A deployment is asked for."""

    def deployment_at(self, url: urllib.parse.SplitResult) -> str:
        """Its name in an address."""

    def look_at(self, row: Json, course: tuple[str, ...]) -> None:
        """One look at a deployment moves it on."""


class FaultServer(http.server.ThreadingHTTPServer):
    """Files and jobs in memory.

    Attributes:
        posts: every POST received, in order; `requests` counts every call.
        files, jobs: what was committed and not deleted, in order; `contents` holds the bytes of each file ever stored.
        keeps_metadata, keeps_suffix, filters, lists: whether jobs echo their metadata and suffix, a list honours its
            filter, there is a list.
        page: the most rows of one page.
        stale: lists so many reads behind every commit.
        course: what each job goes through, one status a look at any job.
        status_by_time: the status at a moment since the job's creation, instead of `course`.
        now: Unix seconds.
        down: no answer at all while it says so.
        accounts: the account of each key; None accepts every key as one account.
        checks_files: a job needs a training file that is there.
        consumed: what the trainer says it took from the file.
        checkpoints: those of every job.
        dress: whose shape it has where providers differ (tests/dress.py); None is OpenAI's.
        deployments: what was committed and not removed, by name; `made_deployments` counts every one ever made.
        deployment_course: what each goes through, one status a look at it.
        keys: for each API, the keys that came to it.
        models: what GET /models lists.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything; the port stays."""
        self.files: list[Json] = []
        self.jobs: list[Json] = []
        self.contents: dict[str, bytes] = {}
        self.result = RESULT
        self.deleted: list[str] = []
        self.posts: list[str] = []
        self.requests: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.keeps_metadata = True
        self.keeps_suffix = True
        self.keeps_suffix = True
        self.filters = True
        self.lists = True
        self.page = FOREVER
        self.stale = 0
        self.course: tuple[str, ...] = COURSE
        self.status_by_time: Callable[[float], str] | None = None
        self.now: Callable[[], float] = lambda: 0.0
        self.down: Callable[[], bool] = lambda: False
        self.accounts: dict[str, str] | None = None
        self.checks_files = False
        self.consumed: Json = {}
        self.checkpoints: list[Json] = []
        self.events: list[Json] = []  # newest first, before the one that each job has
        self.dress: Dress | None = None
        self.deployments: dict[str, Json] = {}
        self.made_deployments = 0
        self.deployment_course: tuple[str, ...] = ()
        self.keys: dict[str, set[str]] = {}
        self.models: list[Json] = []
        self.says = "Slow and steady."
        self.bugs: list[str] = []
        self.started: set[str] = set()
        self.cancelled_unstarted: set[str] = set()
        self._made: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()
        self._late: list[tuple[str, int, Callable[[], Json]]] = []
        self._looks: Counter[str] = Counter()
        self._owner: dict[str, str] = {}

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as socketserver calls it
        """A client that dies is what this server is for; anything else is a bug in it."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.bugs.append(repr(error))

    def fault_for(self, call: str) -> Fault | None:
        for index, fault in enumerate(self.faults):
            if fault.call != call:
                continue
            if fault.skip:
                self.faults[index] = dataclasses.replace(fault, skip=fault.skip - 1)
                continue
            if fault.times > 1:
                self.faults[index] = dataclasses.replace(fault, times=fault.times - 1)
            else:
                del self.faults[index]
            return fault
        return None

    def commit_file(self, filename: str, size: int, account: str = "") -> Json:
        self._made["file"] += 1
        file: Json = {
            "id": f"file-{self._made['file']}",
            "object": "file",
            "bytes": size,
            "created_at": self._made["file"],
            "filename": filename,
            "purpose": "fine-tune",
            "status": "processed",
        }
        self.files.append(file)
        self._hidden[file["id"]] = self.stale
        self._owner[file["id"]] = account
        return file

    def commit_job(self, request: Json, account: str = "") -> Json:
        self._made["job"] += 1
        job: Json = {
            "id": f"ftjob-{self._made['job']}",
            "object": "fine_tuning.job",
            "created_at": int(self.now()) + self._made["job"],
            "model": request["model"],
            "training_file": request["training_file"],
            "validation_file": request.get("validation_file"),
            "status": self.course[0] if self.course is not COURSE else "queued",
            "fine_tuned_model": None,
            "trained_tokens": None,
            "metadata": request.get("metadata") if self.keeps_metadata else None,
            "user_provided_suffix": request.get("suffix") if self.keeps_suffix else None,
            "organization_id": "org-x",
            "result_files": [],
            "hyperparameters": {},
            "seed": 1,
        }
        if self.dress is not None:
            self.dress.begin(job, request)
        self.jobs.append(job)
        self._hidden[job["id"]] = self.stale
        self._owner[job["id"]] = account
        return job

    def billed(self) -> list[Json]:
        """The jobs somebody pays for: all that were not cancelled before they started."""
        return [job for job in self.jobs if job["id"] not in self.cancelled_unstarted]

    def be_late(self, call: str, reads: int, commit: Callable[[], Json]) -> None:
        self._late.append((call.split(".")[0], reads, commit))

    def read_list(self, thing: str, account: str) -> list[Json]:
        """What a list shows now; every reading brings what is late nearer."""
        waiting, self._late = self._late, []
        for kind, reads, commit in waiting:
            if kind == thing and reads <= 0:
                commit()
            else:
                self._late.append((kind, reads - (kind == thing), commit))
        rows = self.files if thing == "file" else self.jobs
        shown = []
        for row in rows:
            if self._hidden[row["id"]] > 0:
                self._hidden[row["id"]] -= 1
            elif self._owner.get(row["id"], account) == account:
                shown.append(row)
        return shown if thing == "file" else shown[::-1]

    def find(self, thing: str, row_id: str, account: str) -> Json | None:
        rows = self.files if thing == "file" else self.jobs
        return next((row for row in rows if row["id"] == row_id and self._owner.get(row_id, account) == account), None)

    def advance(self) -> None:
        """One look at a job moves every job on."""
        for job in self.jobs:
            if job["status"] in ENDED:
                continue
            self._looks[job["id"]] += 1
            if self.status_by_time is not None:
                status = self.status_by_time(self.now() - job["created_at"])
            else:
                status = self.course[min(self._looks[job["id"]], len(self.course)) - 1]
            job["status"] = status
            if status not in ("validating_files", "queued"):
                self.started.add(job["id"])
            if status == "succeeded":
                # Named by what the job is made of, not by its id: the same training has the same name in every run.
                named = (job["metadata"] or {}).get("finetune_op", "x")[:8]
                job["fine_tuned_model"] = f"ft:{job['model']}:org:{named}"
                job["trained_tokens"] = 1000
                job["result_files"] = [f"file-result-{job['id']}"]
                if self.dress is not None:
                    self.dress.finish(job)

    def cancel(self, job: Json) -> bool:
        if job["status"] in ENDED:
            return False
        job["status"] = "cancelled"
        if job["id"] not in self.started:
            self.cancelled_unstarted.add(job["id"])
        return True


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: unbuffered headers cost 40 ms of delayed acknowledgement

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_DELETE(self) -> None:
        self._answer(b"")

    def do_PUT(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        call = call_of(self.command, url.path)
        if self.server.down():
            self._die()
            return
        with self.server.lock:
            self.server.requests[call] += 1
            key = self.headers.get("authorization", "").removeprefix("Bearer ")
            self.server.keys.setdefault(_api_of(url.path), set()).add(key)
            if self.command in ("POST", "PUT"):
                self.server.posts.append(call)
            fault = self.server.fault_for(call)
            try:
                answer = self._outcome(fault, call, url, body)
            except Refused as refused:
                fault, answer = Fault(call, refused.status, body=refused.body), {}
        if fault is not None and fault.kind not in ("duplicate", "drip"):
            self._go_wrong(fault, answer)
        elif call == "file.content":
            self._send(200, self.server.result, content_type="text/csv")
        elif call == "chat" and answer.get("stream"):
            self._stream(answer)
        elif call == "deploy.delete" and fault is None:
            self._send(202, b"", content_type="")
        else:
            self._send(200, json.dumps(answer).encode(), drip=fault is not None and fault.kind == "drip")

    def _outcome(self, fault: Fault | None, call: str, url: urllib.parse.SplitResult, body: bytes) -> Json:
        """Do what was asked, as often as the fault lets it happen; the answer is the first one's."""
        if fault is None or fault.commits or fault.kind in ("drip", "nulls", "wrong_id", "unknown_status", "duplicate"):
            answer = self._do(call, url, body)
            if fault is not None and fault.kind == "duplicate":
                self._do(call, url, body)
            return answer
        if fault.kind == "late":
            self.server.be_late(call, fault.reads, lambda: self._do(call, url, body))
        return {}

    def _go_wrong(self, fault: Fault, answer: Json) -> None:
        whole = json.dumps(answer).encode()
        if fault.kind in ("reset", "late"):
            self._die()
        elif fault.kind == "timeout":
            self.connection.settimeout(10)
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client hangs up
            self._die()
        elif fault.kind == "cut":
            self._send(200, whole, cut=True)
        elif fault.kind == "garbage":
            self._send(200, b"<html>Bad Gateway</html>", content_type="text/html")
        elif fault.kind == "no_id":
            self._send(200, b'{"object": "error"}')
        elif fault.raw is not None:
            self._say(fault, fault.raw)
        elif isinstance(fault.kind, str):
            self._send(200, json.dumps(_misshapen(fault.kind, answer)).encode())
        else:
            page = fault.kind == 502 and fault.body is None
            error = json.dumps({"error": fault.body or {"message": "no", "type": "x"}}).encode()
            self._send(
                fault.kind,
                b"<html>Bad Gateway</html>" if page else error,
                content_type="text/html" if page else "application/json",
                headers=dict(fault.headers),
            )

    def _say(self, fault: Fault, raw: bytes) -> None:
        raw = raw.replace(b"$AUTHORIZATION", self.headers.get("authorization", "").encode())
        status = fault.kind if isinstance(fault.kind, int) else 200
        if fault.kind != "endless":
            self._send(status, raw, content_type=fault.content_type, headers=dict(fault.headers))
            return
        self.send_response(status)
        for name, value in (("content-type", fault.content_type), *fault.headers):
            self.send_header(name, value)
        self.end_headers()  # without a length: until the connection ends
        self.close_connection = True
        self.connection.settimeout(10)
        with contextlib.suppress(OSError):
            for _ in range(FOREVER):
                self.wfile.write(raw)
                self.wfile.flush()

    def _die(self) -> None:
        """End the connection by a reset, not by an orderly close."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _do(self, call: str, url: urllib.parse.SplitResult, body: bytes) -> Json:
        account = self._account()
        thing, verb = (*call.split("."), "")[:2]
        asked = dict(urllib.parse.parse_qsl(url.query))
        if call == "chat":
            return self._chat(json.loads(body))
        if call == "model.list":
            return {"object": "list", "data": self.server.models}
        if thing == "deploy":
            return self._deploy(verb, url, body)
        if call == "file.create":
            return self._store(body, account)
        if call == "job.create":
            request = json.loads(body)
            if self.server.checks_files and self.server.find("file", request["training_file"], account) is None:
                raise Refused(400, f"No such File object: {request['training_file']}")
            return self.server.commit_job(request, account)
        if verb == "list":
            return self._list(thing, asked, account)
        if call == "file.content":
            return {}
        row_id = urllib.parse.unquote(re.split(r"/(?:files|jobs)/", url.path)[1].split("/")[0])
        row = self.server.find(thing, row_id, account)
        if row is None:
            raise Refused(404, f"No such {thing}: {row_id}")
        return self._with(call, row)

    def _with(self, call: str, row: Json) -> Json:
        if call == "file.delete":
            self.server.files.remove(row)
            self.server.deleted.append(row["id"])
            return {"id": row["id"], "object": "file", "deleted": True}
        if call == "job.cancel" and not self.server.cancel(row):
            raise Refused(400, f"Job has already completed: {row['id']}")
        if call == "job.events":
            event: Json = {
                "object": "fine_tuning.job.event",
                "created_at": 1,
                "level": "info",
                "message": "Created the job",
            }
            if self.server.consumed:
                event |= {"type": "message", "data": self.server.consumed}
            data = [*self.server.events, {"id": f"ftevent-{row['id']}", **event}]
            return {"object": "list", "data": data, "has_more": False}
        if call == "job.checkpoints":
            return {"object": "list", "data": self.server.checkpoints, "has_more": False}
        if call == "job.get":
            self.server.advance()
        return row

    def _deploy(self, verb: str, url: urllib.parse.SplitResult, body: bytes) -> Json:
        dress = self.server.dress
        if dress is None:
            raise Refused(404, "There is no such route.")
        dress.admit(self.headers.get("authorization", ""), url)
        if verb == "create":
            return dress.deploy(self.server, url, json.loads(body))
        if verb == "list":
            return {"data": list(self.server.deployments.values())}
        name = dress.deployment_at(url)
        row = self.server.deployments.get(name)
        if row is None:
            raise Refused(404, f"The deployment {name} was not found.", "DeploymentNotFound")
        if verb == "delete":
            del self.server.deployments[name]
            return {}
        dress.look_at(row, self.server.deployment_course)
        return row

    def _account(self) -> str:
        accounts = self.server.accounts
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        if accounts is None:
            return ""
        if key not in accounts:
            raise Refused(401, "Incorrect API key provided.", "invalid_api_key")
        return accounts[key]

    def _store(self, body: bytes, account: str) -> Json:
        name = re.search(rb'filename="([^"]+)"', body)
        part = next(p for p in body.split(b"\r\n--") if b'filename="' in p)
        content = part.split(b"\r\n\r\n", 1)[1]
        file = self.server.commit_file(name.group(1).decode() if name else "", len(content), account)
        self.server.contents[file["id"]] = content
        if self.server.dress is not None:
            self.server.dress.store(file, content)
        return file

    def _list(self, thing: str, asked: Mapping[str, str], account: str) -> Json:
        if not self.server.lists:
            raise Refused(501, "There is no list.")
        if "after" in asked:
            rows = self.server.files if thing == "file" else self.server.jobs[::-1]
            at = [row["id"] for row in rows].index(asked["after"]) + 1
            rows = rows[at:]
        else:
            rows = self.server.read_list(thing, account)
        wanted = {key[9:-1]: value for key, value in asked.items() if key.startswith("metadata[")}
        if wanted and self.server.filters:
            rows = [row for row in rows if wanted.items() <= (row["metadata"] or {}).items()]
        page = rows[: min(self.server.page, int(asked.get("limit", FOREVER)))]
        return {"object": "list", "data": page, "has_more": len(page) < len(rows)}

    def _chat(self, request: Json) -> Json:
        model = request["model"]
        if self.server.dress is not None:
            if not self.server.dress.serves(self.server, model):
                raise Refused(404, "The API deployment for this resource does not exist.", "DeploymentNotFound")
        elif model.startswith("ft:") and model not in [job["fine_tuned_model"] for job in self.server.jobs]:
            raise Refused(404, f"The model `{model}` does not exist", "model_not_found")
        if not request.get("stream"):
            said = {"role": "assistant", "content": self.server.says}
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            return {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        return {"stream": True, "model": model, "text": self.server.says}

    def _stream(self, answer: Json) -> None:
        words = answer["text"].split(" ")
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": answer["model"]}
        parts = [{"content": word if n == 0 else f" {word}"} for n, word in enumerate(words)]
        lines = [{**chunk, "choices": [{"index": 0, "delta": part, "finish_reason": None}]} for part in parts]
        lines += [{**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        usage = {"prompt_tokens": 1, "completion_tokens": len(words), "total_tokens": len(words) + 1}
        lines += [{**chunk, "choices": [], "usage": usage}]
        body = b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines) + b"data: [DONE]\n\n"
        self._send(200, body, content_type="text/event-stream")

    def _send(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        cut: bool = False,
        drip: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if drip:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
            return
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


def call_of(method: str, path: str) -> str:
    """What a request is called here."""
    if path.endswith("/chat/completions"):
        return "chat"
    if "/deployments/" in path or "/v0/models" in path:
        at_list = path.endswith("/v0/models")
        verbs = {"PUT": "create", "POST": "create", "DELETE": "delete"}
        return f"deploy.{verbs.get(method, 'list' if at_list else 'get')}"
    if path.endswith("/models"):
        return "model.list"
    thing, _, last = ("file" if "/files" in path else "job", *path.rpartition("/")[1:])
    if method == "DELETE":
        return f"{thing}.delete"
    if last in ("files", "jobs"):
        return f"{thing}.create" if method == "POST" else f"{thing}.list"
    return f"{thing}.{last}" if last in ("cancel", "events", "content", "checkpoints") else f"{thing}.get"


def _api_of(path: str) -> str:
    """Which API a request is for: that which trains, or one beside it."""
    return "management" if path.startswith("/subscriptions/") else "training"


def _misshapen(kind: str, answer: Json) -> Json:
    """The right answer with the wrong shape: wrong_id, nulls or unknown_status, in a list in each of its rows."""
    if "data" in answer:
        return {**answer, "data": [_misshapen(kind, row) for row in answer["data"]]}
    if kind == "wrong_id":
        return {**answer, "id": 42}
    if kind == "unknown_status":
        return {**answer, "status": "waiting_for_the_moon"}
    return {key: value if key in ("id", "object", "status") else None for key, value in answer.items()}


def http_date(seconds: float) -> str:
    """As Retry-After may say it (RFC 9110)."""
    return email.utils.formatdate(seconds, usegmt=True)


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
