"""Downloads that survive a shaky line: retried, and resumed by Range where the server allows it."""

import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import httpx
import msgspec
import tenacity

from pipeline.durable import rename, write_atomically
from pipeline.errors import InputError, TryLater
from pipeline.fetch.drive import DriveHosts, answer_page, direct_url, is_drive_link
from pipeline.network import Transient, blaming_the_environment, retry_after
from pipeline.wording import about

_MOST_PAGES = 3
_LONGEST_WAIT_S = 120.0
_PASSING = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
_SIZE = "[0-9]{1,18}"
"""Bytes, in digits; Python turns no more than 4,300 into a number."""

_CONTENT_RANGE = re.compile(f"bytes (?P<first>{_SIZE})-{_SIZE}/(?P<total>{_SIZE}|[*])")
_CONTENT_LENGTH = re.compile(_SIZE)
_STRONG_ETAG = re.compile('"[!#-~]{0,1000}"')
_DATE = re.compile("[ -~]{1,100}")
_CHECK_SOURCE = "Check `download.source`; if the link needs a sign-in, download in a browser and give the file's path."


class _Validator(msgspec.Struct):
    """What a partial file is part of; beside it on disk, so that another process can go on.

    Attributes:
        source: SHA-256 of the URL, which may itself be a secret.
        value: a strong ETag or the Last-Modified date, as `If-Range` wants it (RFC 9110, 13.1.5).
    """

    source: str
    value: str


def download(
    source: str,
    target: Path,
    *,
    part: Path,
    drive: DriveHosts,
    timeout_s: float,
    attempts: int,
    progress: Callable[[int, int | None], None],
    sleep: Callable[[float], None],
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Download `source` to `target` by way of `part`, which is what stays behind if it does not come to its end.

    Args:
        note: told of each attempt that failed, and how long it is until the next.

    Raises:
        InputError: the server says no for good, or the URL is unusable.
        TryLater: after `attempts` attempts there is no whole file.
    """
    host = httpx.URL(source).host
    on_drive = is_drive_link(source)
    url = direct_url(source, drive) if on_drive else source
    transfer = _Transfer(source, url, host, drive if on_drive else None, part, progress)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=_wait,
        retry=tenacity.retry_if_exception_type(Transient),
        sleep=sleep,
        before_sleep=lambda retry: note(_said(host, retry)),
        reraise=True,
    )
    try:
        with blaming_the_environment():
            client = httpx.Client(timeout=timeout_s, follow_redirects=True)
        with client:
            retrying(transfer.attempt, client)
        rename(part, target)
    except Transient as trouble:
        raise TryLater(
            host,
            f"the download did not succeed in {attempts} attempt{'s' if attempts > 1 else ''} ({trouble})",
            fix="Check the network and run the same command again.",
        ) from None
    finally:
        transfer.keep_only_what_can_be_continued()


def _wait(retry: tenacity.RetryCallState) -> float:
    """As long as the server asks, within reason; else 1, 2, 4 … seconds and a little more."""
    trouble = retry.outcome.exception() if retry.outcome else None
    if isinstance(trouble, Transient) and trouble.retry_after_s is not None:
        return min(trouble.retry_after_s, _LONGEST_WAIT_S)
    return tenacity.wait_exponential_jitter(initial=1, max=_LONGEST_WAIT_S)(retry)


def _said(host: str, retry: tenacity.RetryCallState) -> str:
    """Why the download waits, and for how long."""
    trouble = retry.outcome.exception() if retry.outcome else None
    return f"{host}: {trouble}; trying again in {about(round(retry.upcoming_sleep))}"


class _Transfer:
    """One download, over as many attempts as it takes."""

    def __init__(
        self,
        source: str,
        url: str,
        host: str,
        drive: DriveHosts | None,
        part: Path,
        progress: Callable[[int, int | None], None],
    ) -> None:
        self._source = hashlib.sha256(source.encode()).hexdigest()
        self._url = url
        self._host = host
        self._drive = drive
        self._part = part
        self._notes = part.with_name(part.name + ".json")
        self._progress = progress

    def attempt(self, client: httpx.Client) -> None:
        """Try once; whatever may pass becomes Transient."""
        try:
            self._request(client)
        except httpx.TimeoutException as error:
            raise Transient(f"no answer in time, {type(error).__name__}") from None
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise InputError(self._host, f"the address cannot be used ({error})", fix=_CHECK_SOURCE) from None
        except httpx.RequestError as error:
            raise Transient(str(error) or type(error).__name__) from None

    def keep_only_what_can_be_continued(self) -> None:
        """Remove a partial file that a later run would have to begin again."""
        if self._resumable() is None:
            self._part.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    def _request(self, client: httpx.Client) -> None:
        url = self._url
        for _ in range(_MOST_PAGES):
            validator = self._resumable()
            headers = {"Accept-Encoding": "identity"}
            if validator is not None:
                headers |= {"Range": f"bytes={self._part.stat().st_size}-", "If-Range": validator}
            with client.stream("GET", url, headers=headers) as response:
                following = answer_page(response, self._drive) if self._drive else None
                if following is None:
                    self._receive(response, validator)
                    return
            url = following
        raise InputError(self._host, "asks for confirmation again and again", fix=_CHECK_SOURCE)

    def _resumable(self) -> str | None:
        """The validator of what lies in the partial file, if the file can be continued."""
        try:
            notes = msgspec.json.decode(self._notes.read_bytes(), type=_Validator)
        except (OSError, msgspec.DecodeError):
            return None
        is_ours = notes.source == self._source and _is_validator(notes.value)
        return notes.value if is_ours and self._part.exists() else None

    def _receive(self, response: httpx.Response, validator: str | None) -> None:
        status = response.status_code
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and validator is not None:
            if response.headers.get("content-range") == f"bytes */{self._part.stat().st_size}":
                return  # it had all arrived before
            raise self._start_over("the partial file does not fit")
        if status in _PASSING or status >= 500:
            wait_s = retry_after(response.headers, time.time())
            raise Transient(f"answered {status} {response.reason_phrase}", retry_after_s=wait_s)
        if status not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise InputError(self._host, f"answered {status} {response.reason_phrase}", fix=_CHECK_SOURCE)
        if status == httpx.codes.PARTIAL_CONTENT:
            total = self._total_of_rest(response, validator)
            file = self._open("ab")
        else:
            total = self._total_of_whole(response)
            self._note(response)
            file = self._open("wb")
        with file:
            done = file.tell()
            self._progress(done, total)
            for chunk in response.iter_bytes():
                file.write(chunk)
                done += len(chunk)
                self._progress(done, total)
        if total is not None and done != total:
            raise Transient(f"the transfer ended after {done:,} of {total:,} bytes")

    def _total_of_rest(self, response: httpx.Response, validator: str | None) -> int | None:
        """The size in all of what a 206 answer continues; starts over if it continues something else."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        ours = self._part.stat().st_size if validator is not None else -1
        theirs = _validator(response)
        if match is None or int(match["first"]) != ours or theirs not in (None, validator):
            raise self._start_over("the server continues another file")
        return None if match["total"] == "*" else int(match["total"])

    def _total_of_whole(self, response: httpx.Response) -> int | None:
        length = response.headers.get("content-length", "")
        is_known = _CONTENT_LENGTH.fullmatch(length) and "content-encoding" not in response.headers
        return int(length) if is_known else None

    def _note(self, response: httpx.Response) -> None:
        """Write down how to continue what begins now, before it begins; or that it cannot be continued."""
        self._notes.unlink(missing_ok=True)
        value = _validator(response)
        if value is not None and "content-encoding" not in response.headers:
            self._open("wb").close()  # or an older part would be taken for this one's
            write_atomically(self._notes, msgspec.json.encode(_Validator(self._source, value)))

    def _start_over(self, why: str) -> Transient:
        self._notes.unlink(missing_ok=True)
        return Transient(why, retry_after_s=0)

    def _open(self, mode: str) -> BinaryIO:
        return cast(BinaryIO, open(self._part, mode, opener=lambda path, flags: os.open(path, flags, 0o600)))


def _validator(response: httpx.Response) -> str | None:
    """What a server says its file goes by, if that can be sent back: some send bytes that no header may hold."""
    etag, modified = (response.headers.get(name, "") for name in ("etag", "last-modified"))
    if _STRONG_ETAG.fullmatch(etag):
        return str(etag)
    return str(modified) if _DATE.fullmatch(modified) else None


def _is_validator(value: str) -> bool:
    return bool(_STRONG_ETAG.fullmatch(value) or _DATE.fullmatch(value))
