import email.utils
import errno
import hashlib
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import pipeline
from pipeline.errors import FinetuneError, InputError, TryLater
from pipeline.fetch import DriveHosts, check_any, check_sqlite, fetch_archive
from pipeline.samples import sample_path

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


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    site.released.set()
    site.server.shutdown()
    thread.join()
    site.server.server_close()


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
FORM = """<form id="download-form" action="/download" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="FILE"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="u&amp;1"></form>"""


class Fetch:
    """fetch_archive with a target, and notes of the sleeps and the progress."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.target = folder / "01_archive.db"
        self.sleeps: list[float] = []
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
            sleep=self.sleeps.append,
            drive=self.drive,
        )

    def left(self) -> set[str]:
        return {path.name for path in self.target.parent.iterdir()}


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetch:
    return Fetch(site, tmp_path)


def says(error: type[FinetuneError], message: str) -> "pytest.RaisesExc[FinetuneError]":
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_a_url_is_downloaded_with_progress_and_for_its_owner_only(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(302, headers={"Location": "/moved"}), reply(200, BODY, ETAG)]
    assert fetch(site.url + "/chat.db").read_bytes() == BODY
    assert fetch.progress[0] == (0, len(BODY))
    assert fetch.progress[-1] == (len(BODY), len(BODY))
    assert stat.S_IMODE(fetch.target.stat().st_mode) == 0o600
    assert fetch.left() == {"01_archive.db"}


@pytest.mark.parametrize(
    "headers",
    [ETAG, {"Last-Modified": "Mon, 28 Aug 2023 00:32:03 GMT"}, {"ETag": 'W/"x"', "Last-Modified": "Mon, 1 May 2023"}],
)
def test_a_cut_transfer_resumes_by_range(site: Site, fetch: Fetch, headers: dict[str, str]) -> None:
    site.answers = [reply(200, BODY, headers, sent=300_000), serve(BODY, headers)]
    assert fetch(site.url).read_bytes() == BODY
    value = headers.get("Last-Modified", '"v1"')
    assert site.requests == [("/", None, None), ("/", "bytes=300000-", value)]
    assert (300_000, len(BODY)) in fetch.progress
    assert fetch.left() == {"01_archive.db"}


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(site: Site, fetch: Fetch) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        reply(200, BODY, ETAG, sent=300_000)(request)
        site.released.wait(30)

    site.answers = [drip, serve(BODY, ETAG)]
    code = (
        "import sys; from pathlib import Path; from pipeline.fetch import check_any, fetch_archive\n"
        "def progress(done, total): print(done, flush=True)\n"
        "fetch_archive(sys.argv[1], Path(sys.argv[2]), check=check_any, sha256=None, timeout_s=30, attempts=1, "
        "progress=progress)"
    )
    root = Path(pipeline.__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", code, site.url, str(fetch.target)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            if int(line) == 300_000:
                break
        child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert fetch.left() == {".01_archive.db.part", ".01_archive.db.part.json"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in fetch.target.parent.iterdir()}
    assert modes == {0o600}
    assert fetch(site.url).read_bytes() == BODY
    assert site.requests[1] == ("/", "bytes=300000-", '"v1"')


def test_a_file_that_changed_meanwhile_begins_anew(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(200, BODY, ETAG, sent=300_000), serve(BODY[::-1], {"ETag": '"v2"'})]
    assert fetch(site.url).read_bytes() == BODY[::-1]


def test_a_server_that_ignores_range_sends_it_all_again(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(200, BODY, ETAG, sent=300_000), reply(200, BODY)]
    assert fetch(site.url).read_bytes() == BODY


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes 300000-{len(BODY) - 1}/{len(BODY)}", "ETag": '"v2"'},
        {"Content-Range": f"bytes 299999-{len(BODY) - 1}/{len(BODY)}"},
        {},
    ],
    ids=["another file", "another place", "nobody knows"],
)
def test_a_range_that_does_not_fit_is_not_glued_on(site: Site, fetch: Fetch, headers: dict[str, str]) -> None:
    site.answers = [reply(200, BODY, ETAG, sent=300_000), reply(206, BODY[300_000:], headers), serve(BODY, ETAG)]
    assert fetch(site.url).read_bytes() == BODY
    assert site.requests[2] == ("/", None, None)


def test_a_part_that_was_whole_already_is_taken_as_it_is(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(200, BODY, ETAG | {"Content-Length": str(len(BODY) + 1)}), serve(BODY, ETAG)]
    assert fetch(site.url).read_bytes() == BODY
    assert site.requests[1] == ("/", f"bytes={len(BODY)}-", '"v1"')


def test_a_part_longer_than_the_file_begins_anew(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(200, BODY, ETAG | {"Content-Length": str(len(BODY) + 1)}), serve(BODY[:-1], ETAG)]
    assert fetch(site.url).read_bytes() == BODY[:-1]


def test_a_part_of_another_source_is_not_continued(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(200, BODY, ETAG, sent=300_000)]
    fetch.attempts = 1
    with pytest.raises(TryLater):
        fetch(site.url + "/one")
    site.answers = [serve(BODY, ETAG)]
    fetch(site.url + "/other")
    assert site.requests[-1] == ("/other", None, None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_failing_server_is_asked_again(site: Site, fetch: Fetch, status: int) -> None:
    site.answers = [reply(status), reply(status), reply(200, BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert len(fetch.sleeps) == 2
    assert 1 <= fetch.sleeps[0] <= 2 <= fetch.sleeps[1] <= 3


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("100000", 120, 120),
        (email.utils.formatdate(time.time() + 60, usegmt=True), 30, 60),
        ("soon", 1, 2),
    ],
)
def test_retry_after_is_obeyed_within_reason(site: Site, fetch: Fetch, asked: str, least: float, most: float) -> None:
    site.answers = [reply(429, headers={"Retry-After": asked}), reply(200, BODY)]
    fetch(site.url)
    assert least <= fetch.sleeps[0] <= most


def test_giving_up_says_why_and_keeps_only_what_can_be_continued(site: Site, fetch: Fetch) -> None:
    message = (
        "127.0.0.1: the download did not succeed in 3 attempts (answered 503 Service Unavailable). "
        "Check the network and run the same command again."
    )
    site.answers = [reply(200, BODY, sent=300_000), reply(503)]
    with says(TryLater, message):
        fetch(site.url)
    assert fetch.left() == set()
    site.answers = [reply(200, BODY, ETAG, sent=300_000), reply(503)]
    with says(TryLater, message):
        fetch(site.url)
    assert fetch.left() == {".01_archive.db.part", ".01_archive.db.part.json"}


def test_a_silent_server_is_given_up_after_the_timeout(site: Site, fetch: Fetch) -> None:
    def silence(request: BaseHTTPRequestHandler) -> None:
        site.released.wait(30)

    site.answers = [silence]
    fetch.attempts, fetch.timeout_s = 1, 0.1
    message = (
        "127.0.0.1: the download did not succeed in 1 attempt (no answer in time, ReadTimeout). "
        "Check the network and run the same command again."
    )
    with says(TryLater, message):
        fetch(site.url)


def test_an_unreachable_host_is_tried_again_and_then_later(fetch: Fetch) -> None:
    message = (
        f"127.0.0.1: the download did not succeed in 3 attempts ([Errno {errno.ECONNREFUSED}] Connection refused). "
        "Check the network and run the same command again."
    )
    with says(TryLater, message):
        fetch("http://127.0.0.1:1/chat.db")
    assert len(fetch.sleeps) == 2


@pytest.mark.parametrize(
    ("status", "answered"),
    [(401, "401 Unauthorized"), (403, "403 Forbidden"), (404, "404 Not Found"), (410, "410 Gone")],
)
def test_a_definite_no_is_not_asked_twice(site: Site, fetch: Fetch, status: int, answered: str) -> None:
    site.answers = [reply(status)]
    message = (
        f"127.0.0.1: answered {answered}. Check `download.source`; if the link needs a sign-in, download in a browser "
        "and give the file's path."
    )
    with says(InputError, message):
        fetch(site.url)
    assert len(site.requests) == 1


def test_redirects_without_end_are_a_bad_address(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(302, headers={"Location": "/"})]
    message = (
        "127.0.0.1: the address cannot be used (Exceeded maximum allowed redirects.). Check `download.source`; if the "
        "link needs a sign-in, download in a browser and give the file's path."
    )
    with says(InputError, message):
        fetch(site.url)


def test_a_web_page_saved_as_chat_db_is_called_one_and_replaces_nothing(site: Site, fetch: Fetch) -> None:
    fetch.target.write_bytes(b"a good archive")
    fetch.check = check_sqlite
    site.answers = [reply(200, b"\n" + page("Log in to\n Example"), HTML | ETAG)]
    message = (
        "download.source: what arrived is a web page, titled “Log in to Example”, not an iMessage database. "
        "Open the link in a browser, download the file there and give its path."
    )
    with says(InputError, message):
        fetch(site.url)
    assert fetch.target.read_bytes() == b"a good archive"
    assert fetch.left() == {"01_archive.db"}


def test_another_sha256_than_expected_replaces_nothing(site: Site, fetch: Fetch) -> None:
    fetch.target.write_bytes(b"a good archive")
    fetch.sha256 = "0" * 64
    site.answers = [reply(200, BODY, ETAG)]
    message = (
        "download.sha256: the archive is another than expected, got "
        f"{hashlib.sha256(BODY).hexdigest()}. If it is the one you want, set `download.sha256` to this; else get the "
        "right one."
    )
    with says(InputError, message):
        fetch(site.url)
    assert fetch.target.read_bytes() == b"a good archive"
    assert fetch.left() == {"01_archive.db"}
    fetch.sha256 = hashlib.sha256(BODY).hexdigest().upper()
    assert fetch(site.url).read_bytes() == BODY


def test_a_database_is_checked_and_published(site: Site, fetch: Fetch) -> None:
    fetch.check = check_sqlite
    database = sample_path("tortoise-hare").read_bytes()
    site.answers = [reply(200, database)]
    assert fetch(site.url).read_bytes() == database


SHARE_LINKS = [
    "https://drive.google.com/file/d/FILE/view?usp=sharing",
    "https://drive.google.com/open?id=FILE",
    "https://drive.google.com/uc?export=download&id=FILE",
    "https://docs.google.com/uc?id=FILE",
    "https://drive.usercontent.google.com/download?id=FILE&export=download",
]


@pytest.mark.parametrize("link", SHARE_LINKS)
def test_a_drive_share_link_becomes_a_direct_download(site: Site, fetch: Fetch, link: str) -> None:
    site.answers = [reply(303, headers={"Location": "/elsewhere"}), reply(200, BODY)]
    assert fetch(link).read_bytes() == BODY
    assert [path for path, _, _ in site.requests] == ["/download?id=FILE&export=download", "/elsewhere"]


def test_drives_confirm_page_is_answered_with_its_hidden_inputs(site: Site, fetch: Fetch) -> None:
    confirm = reply(200, page("Google Drive - Virus scan warning", FORM), HTML)
    site.answers = [confirm, reply(200, BODY, ETAG, sent=300_000), confirm, serve(BODY, ETAG)]
    assert fetch("https://drive.google.com/file/d/FILE/view?resourcekey=0-KEY").read_bytes() == BODY
    direct = "/download?id=FILE&export=download&resourcekey=0-KEY"
    confirmed = "/download?id=FILE&export=download&confirm=t&uuid=u%261"
    assert site.requests == [
        (direct, None, None),
        (confirmed, None, None),
        (direct, "bytes=300000-", '"v1"'),
        (confirmed, "bytes=300000-", '"v1"'),
    ]


def test_a_web_page_that_is_the_shared_file_is_downloaded(site: Site, fetch: Fetch) -> None:
    fetch.target = fetch.target.with_suffix(".html")
    body = page("Exported chat")
    site.answers = [reply(200, body, HTML | {"Content-Disposition": 'attachment; filename="messages.html"'})]
    assert fetch("https://drive.google.com/file/d/FILE/view").read_bytes() == body


def test_drive_that_fails_with_a_page_is_asked_again(site: Site, fetch: Fetch) -> None:
    site.answers = [reply(502, page("Error 502"), HTML), reply(200, BODY)]
    assert fetch("https://drive.google.com/file/d/FILE/view").read_bytes() == BODY


QUOTA = (
    "Google Drive: too many people have downloaded this file today. Try again tomorrow, or copy the file to a Drive "
    "of your own and give the copy's link."
)
SIGN_IN = (
    "Google Drive: the file is not shared with everybody: Google asks to sign in. In Drive, set `General access` to "
    "`Anyone with the link`, or download it in a browser and give its path."
)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (reply(200, page("Google Drive - Quota exceeded"), HTML), TryLater, QUOTA),
        (
            reply(403, page("Error", "Too many users have viewed or downloaded this file recently."), HTML),
            TryLater,
            QUOTA,
        ),
        (reply(200, page("Google Drive: Sign-in"), HTML), InputError, SIGN_IN),
        (reply(401, page("You need access"), HTML), InputError, SIGN_IN),
        (
            reply(404, page("Error 404 (Not Found)!!1"), HTML),
            InputError,
            "Google Drive: there is no file at this link. Copy the link from Drive again, or download it in a browser "
            "and give its path.",
        ),
        (
            reply(200, page("A new kind of page " + "x" * 80), HTML),
            InputError,
            f"Google Drive: answered with a web page titled “A new kind of page {'x' * 60}…” instead of the file. "
            "Open the link in a browser, or download it in a browser and give its path.",
        ),
        (
            reply(200, page("Virus scan warning", FORM), HTML),
            InputError,
            "drive.google.com: asks for confirmation again and again. Check `download.source`; if the link needs a "
            "sign-in, download in a browser and give the file's path.",
        ),
    ],
    ids=["quota", "quota in the text", "sign-in", "no access", "gone", "unknown", "confirm for ever"],
)
def test_drives_other_pages_are_told_apart(
    site: Site, fetch: Fetch, answer: Answer, error: type[FinetuneError], message: str
) -> None:
    fetch.target.write_bytes(b"a good archive")
    site.answers = [answer]
    with says(error, message):
        fetch("https://drive.google.com/file/d/FILE/view")
    assert fetch.target.read_bytes() == b"a good archive"
    assert fetch.left() == {"01_archive.db"}


def test_a_redirect_to_the_sign_in_host_is_a_sign_in(site: Site, fetch: Fetch) -> None:
    site.answers = [
        reply(303, headers={"Location": "/accounts/ServiceLogin"}),
        reply(200, page("Google Accounts"), HTML),
    ]
    with says(InputError, SIGN_IN):
        fetch("https://drive.google.com/file/d/FILE/view")


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("https://drive.google.com/drive/folders/FOLDER", "a folder"),
        ("https://docs.google.com/document/d/DOC/edit", "something other than a file"),
    ],
)
def test_a_drive_link_to_no_file_is_refused_at_once(site: Site, fetch: Fetch, link: str, kind: str) -> None:
    with says(
        InputError,
        f"Google Drive: the link is that of {kind}. Share the archive itself as one file and give that link.",
    ):
        fetch(link)
    assert site.requests == []
