import email.utils
import errno
import hashlib
import http
import signal
import stat
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import pipeline
from pipeline.errors import InputError, TryLater
from pipeline.fetch import check_sqlite
from pipeline.samples import sample_path
from tests.fetch.site import BODY, ETAG, HTML, Fetch, Site, page, reply, says, serve


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


@pytest.mark.parametrize("etag", ['"\xff\xfe"', '"\x1b"', '"a', '"a b"', "plain", f'"{"x" * 2000}"'])
def test_what_cannot_be_sent_back_is_not_kept_to_go_on_from(site: Site, fetch: Fetch, etag: str) -> None:
    site.answers = [reply(200, BODY, {"ETag": etag}, sent=300_000), reply(200, BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert site.requests == [("/", None, None)] * 2


def test_a_note_that_cannot_be_sent_back_is_not_gone_on_from(site: Site, fetch: Fetch) -> None:
    source = hashlib.sha256(site.url.encode()).hexdigest()
    fetch.target.with_name(".01_archive.db.part").write_bytes(b"begun")
    fetch.target.with_name(".01_archive.db.part.json").write_text(f'{{"source": "{source}", "value": "\\"ÿ\\""}}')
    site.answers = [reply(200, BODY)]
    assert fetch(site.url).read_bytes() == BODY
    assert site.requests == [("/", None, None)]


@pytest.mark.parametrize("field", ["first", "total"])
def test_a_range_of_endless_digits_is_not_glued_on(site: Site, fetch: Fetch, field: str) -> None:
    digits = {"first": "300000", "total": str(len(BODY))} | {field: "9" * 5000}
    odd = {"Content-Range": f"bytes {digits['first']}-{len(BODY) - 1}/{digits['total']}"} | ETAG
    site.answers = [reply(200, BODY, ETAG, sent=300_000), reply(206, BODY, odd), reply(200, BODY)]
    assert fetch(site.url).read_bytes() == BODY


@pytest.mark.parametrize("host", ["a..b", "xn--a", "a" * 64])
def test_a_redirect_to_what_is_no_host_is_a_bad_address(site: Site, fetch: Fetch, host: str) -> None:
    site.answers = [reply(302, headers={"Location": f"http://{host}/"})]
    with pytest.raises(
        InputError, match=r"^127\.0\.0\.1: the address cannot be used \(.+\)\. Check `download.source`;"
    ):
        fetch(site.url)
    assert len(site.requests) == 1


@pytest.mark.parametrize("host", ["a..b", "xn--a", "a" * 64, "ü" * 70, ""])
def test_what_is_no_host_is_no_url(fetch: Fetch, host: str) -> None:
    message = (
        "download.source: expected an http or https URL, a path or `sample:NAME`, got http://…. If this is the right "
        "address, download the archive by other means and give its path."
    )
    with says(InputError, message):
        fetch(f"http://{host}/chat.db")


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
    assert [note.rpartition(" in ")[0] for note in fetch.notes] == [
        f"127.0.0.1: answered {status} {http.HTTPStatus(status).phrase}; trying again"
    ] * 2


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("100000", 120, 120),
        ("a date in a minute", 30, 60),
        ("soon", 1, 2),
    ],
)
def test_retry_after_is_obeyed_within_reason(site: Site, fetch: Fetch, asked: str, least: float, most: float) -> None:
    if asked == "a date in a minute":
        asked = email.utils.formatdate(time.time() + 60, usegmt=True)
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
