"""One large file of the Hub, continued where an earlier process was cut off.

huggingface_hub (2.4) begins a file anew in each process. So the bytes are taken here, by its own session and headers,
into a partial file beside the blobs of its cache; once it is whole it becomes the blob, which that library then finds.
"""

import fcntl
import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
from huggingface_hub import get_session, hf_raise_for_status

from pipeline.durable import rename
from pipeline.errors import TryLater
from pipeline.fetch.hub.refusals import AGAIN, may_pass, said

PART = ".finetune-part"
_ATTEMPTS = 5
"""Without a byte between them; a server that says something each time is asked for as long as it takes."""
_TIMEOUT_S = 30.0
_SHA256 = re.compile("[0-9a-f]{64}")


def partial(blob: Path) -> Path:
    """Where the bytes of a blob gather."""
    return blob.with_name(blob.name + PART)


def receive(
    url: str,
    blob: Path,
    size: int,
    *,
    where: str,
    headers: Mapping[str, str],
    progress: Callable[[int], None],
    note: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring all of `url` to `blob`, which is named by its SHA-256. Another process that does the same is waited for.

    Args:
        headers: with the user's token; the session leaves it out where it is led to another host.
        progress: told how many bytes are here.
        note: told of each time that the connection is lost.

    Raises:
        TryLater: it did not come to its end; what has come stays.
        HfHubHTTPError: the Hub refuses.
    """
    part, file_name = partial(blob), url.rpartition("/")[2]
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if blob.exists():  # the other process has brought it
            return
        left = _ATTEMPTS
        while (before := file.seek(0, os.SEEK_END)) < size:
            try:
                _go_on(url, file, headers, progress)
                done, why = file.tell(), ""
            except Exception as error:
                if not may_pass(error):
                    raise
                is_cut = isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError)
                done, why = file.seek(0, os.SEEK_END), "" if is_cut else f" ({said(error)})"
            if done >= size:
                break
            left = _ATTEMPTS if done > before else left - 1
            stopped = f"{done:,} of {size:,} bytes of {file_name}{why}"
            if left == 0:
                raise TryLater(where, f"the download stopped at {stopped}", fix=AGAIN)
            note(f"the connection to the Hub was lost at {stopped}; trying again")
            sleep(2.0 ** (_ATTEMPTS - left))
        _publish(file, part, blob, size, where, file_name)


def _go_on(url: str, file: io.BufferedRandom, headers: Mapping[str, str], progress: Callable[[int], None]) -> None:
    """Ask once for what is not here yet, and add what comes; a server that knows no ranges begins anew."""
    done = file.tell()
    asked = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with get_session().stream("GET", url, headers=asked, follow_redirects=True, timeout=_TIMEOUT_S) as response:
        hf_raise_for_status(response)
        if response.status_code != httpx2.codes.PARTIAL_CONTENT:
            file.truncate(0)
            done = file.seek(0)
        for chunk in response.iter_bytes():  # in pieces of a size of our own, the last one before a cut would be lost
            done += file.write(chunk)
            progress(done)


def _publish(file: io.BufferedRandom, part: Path, blob: Path, size: int, where: str, file_name: str) -> None:
    file.flush()
    is_right = file.seek(0, os.SEEK_END) == size
    if is_right and _SHA256.fullmatch(blob.name):
        file.seek(0)
        is_right = hashlib.file_digest(file, "sha256").hexdigest() == blob.name
    if not is_right:
        part.unlink()
        raise TryLater(where, f"{file_name} did not arrive as the Hub has it", fix="Run the same command again.")
    os.fsync(file.fileno())
    rename(part, blob)
