"""A Hugging Face Hub on this machine, as far as models are fetched from it, that can go wrong as the real one does.

The real Hub's answers, as huggingface_hub 2.4 asks for them: a model at a revision, its files with sizes, and each file
by HEAD and GET. Large files (LFS) are elsewhere, on another host, named by their SHA-256.
"""

import contextlib
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"
NEWER = "89abcdef0123456789abcdef0123456789abcdef"
LFS = (".safetensors", ".bin", ".gguf")


class Hub(http.server.ThreadingHTTPServer):
    """Models in memory.

    Attributes:
        models: the files of each model, by its name and commit; the commit that `main` is of each is in `heads`.
        gated: models that want a token.
        renamed: what a model is called now, by its old name.
        sizes: what is told of a file's size instead of the truth.
        cuts: how many bytes of a file are sent before the connection dies, one number for each time.
        knows_ranges: whether a file can be had from its middle.
        status: an HTTP status that all answers have, while it says so.
        asked: every request: method, path, whether a token came along, the range.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, dict[str, dict[str, bytes]]] = {}
        self.heads: dict[str, str] = {}
        self.gated: set[str] = set()
        self.renamed: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.cuts: dict[str, list[int]] = {}
        self.knows_ranges = True
        self.status: int | None = None
        self.asked: list[tuple[str, str, bool, str | None]] = []
        self.sent: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, name: str, files: dict[str, bytes] | Path, sha: str = SHA) -> None:
        """Publish a commit, which becomes `main`."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        self.models.setdefault(name, {})[sha] = files
        self.heads[name] = sha

    def environment(self, home: Path) -> dict[str, str]:
        """What a process is told that is to use this Hub, with the cache of a user whose home that is."""
        return {
            "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1,localhost",
        }  # fmt: skip


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        hub.asked.append((self.command, path, "Authorization" in self.headers, self.headers.get("Range")))
        if hub.status is not None:
            self._answer(hub.status, b"{}")
        elif path.startswith("/lfs/"):
            self._lfs(path.removeprefix("/lfs/"))
        else:
            parts = path.removeprefix("/api/models").strip("/").split("/")
            self._model("/".join(parts[:2]), parts[2:], path)

    def _model(self, name: str, what: list[str], path: str) -> None:
        hub = self.server
        if name in hub.renamed:
            self._answer(307, b"", Location=path.replace(name, hub.renamed[name]))
        elif name not in hub.models or len(what) < 2:
            self._refuse(404 if self.headers.get("Authorization") else 401, "RepoNotFound")
        elif (sha := self._commit(name, what[0], what[1:])) is None:
            self._refuse(404, "RevisionNotFound")
        elif what[0] == "revision":
            self._answer(200, {"id": name, "modelId": name, "sha": sha, "siblings": [], "private": False})
        elif what[0] == "tree":
            self._answer(200, [self._entry(file, data) for file, data in hub.models[name][sha].items()])
        elif name in hub.gated and "Authorization" not in self.headers:
            self._refuse(401, "GatedRepo")
        elif (data := hub.models[name][sha].get("/".join(what[2:]))) is None:
            self._refuse(404, "EntryNotFound")
        else:
            self._file(what[-1], data, sha)

    def _commit(self, name: str, kind: str, rest: list[str]) -> str | None:
        revision = "/".join(rest) if kind == "revision" else rest[0]
        sha = self.server.heads[name] if revision == "main" else revision
        return sha if sha in self.server.models[name] else None

    def _entry(self, file: str, data: bytes) -> dict[str, Any]:
        size = self.server.sizes.get(file, len(data))
        entry: dict[str, Any] = {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": size, "path": file}
        if file.endswith(LFS):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
        return entry

    def _file(self, file: str, data: bytes, sha: str) -> None:
        if not file.endswith(LFS):
            self._answer(200, data, **{"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": sha})
            return
        digest = hashlib.sha256(data).hexdigest()
        self._answer(
            302,
            b"",
            **{
                "Location": f"http://localhost:{self.server.server_address[1]}/lfs/{digest}/{file}",
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(data)),
                "X-Repo-Commit": sha,
            },
        )

    def _lfs(self, wanted: str) -> None:
        """From the other host: with ranges, and cut short where that is asked for."""
        digest, _, file = wanted.partition("/")
        commits = (files for commits in self.server.models.values() for files in commits.values())
        data = next(f[file] for f in commits if file in f and hashlib.sha256(f[file]).hexdigest() == digest)
        start, headers = 0, {}
        asked = self.headers.get("Range")
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest, cuts = data[start:], self.server.cuts.get(file, [])
        self._head(206 if headers else 200, len(rest), **headers)
        sent = rest[: cuts.pop(0)] if cuts else rest
        self.wfile.write(sent)
        self.server.sent[file] += len(sent)
        self.close_connection = len(sent) < len(rest)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"error": code}, **{"X-Error-Code": code, "X-Error-Message": code})

    def _answer(self, status: int, body: bytes | object, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._head(status, len(data), **headers)
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
