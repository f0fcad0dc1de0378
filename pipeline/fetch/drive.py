"""Google Drive as it really behaves.

A share link leads to a viewer; the file itself is at drive.usercontent.google.com. In front of a file too big to scan
for viruses there is a page with a form to confirm. Other pages, mostly with status 200, say that too many people have
fetched the file, or that one has to sign in. Seen in gdown's source and in the pages that its users report.
"""

import re
from typing import NamedTuple

import httpx

from pipeline.errors import InputError, TryLater
from pipeline.fetch.web_page import WebPage

_DRIVE = "Google Drive"
_SERVES_DRIVE = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_ID_IN_PATH = re.compile(r"/file/d/([\w-]+)")
_BY_HAND = "or download it in a browser and give its path."


class DriveHosts(NamedTuple):
    """Where Google Drive is: base URLs without a slash at the end."""

    download: str = "https://drive.usercontent.google.com"
    sign_in: str = "https://accounts.google.com"


GOOGLE = DriveHosts()


def is_drive_link(url: str) -> bool:
    """Whether `url` is a link to Google Drive."""
    return httpx.URL(url).host in _SERVES_DRIVE


def direct_url(link: str, hosts: DriveHosts) -> str:
    """Turn a share link (/file/d/ID/view, open?id=ID, uc?id=ID and the like) into the address of the file's bytes.

    Raises:
        InputError: the link is not one of a file.
    """
    url = httpx.URL(link)
    match = _ID_IN_PATH.search(url.path)
    file_id = match[1] if match else url.params.get("id")
    if not file_id:
        kind = "a folder" if "/folders/" in url.path else "something other than a file"
        raise InputError(
            _DRIVE, f"the link is that of {kind}", fix="Share the archive itself as one file and give that link."
        )
    wanted = {"id": file_id, "export": "download"}
    if "resourcekey" in url.params:  # files shared before 2021 need it
        wanted["resourcekey"] = url.params["resourcekey"]
    return str(httpx.URL(f"{hosts.download}/download", params=wanted))


def answer_page(response: httpx.Response, hosts: DriveHosts) -> str | None:
    """Return where to go on if Drive answered with a page to confirm; None if this is the file, or a failing server.

    Raises:
        InputError: the file is not shared with everybody, is gone, or Drive says something unknown.
        TryLater: the file's download quota is used up.
    """
    is_page = response.headers.get("content-type", "").startswith("text/html")
    if response.status_code >= 500 or not is_page or "content-disposition" in response.headers:
        return None
    html = response.read().decode("utf-8", "replace")
    page = WebPage(html)
    title = page.title.lower()
    if "quota exceeded" in title or "too many users have viewed or downloaded this file" in html.lower():
        raise TryLater(
            _DRIVE,
            "too many people have downloaded this file today",
            fix="Try again tomorrow, or copy the file to a Drive of your own and give the copy's link.",
        )
    if str(response.url).startswith(hosts.sign_in) or "sign in" in title or "sign-in" in title or "access" in title:
        raise InputError(
            _DRIVE,
            "the file is not shared with everybody: Google asks to sign in",
            fix=f"In Drive, set `General access` to `Anyone with the link`, {_BY_HAND}",
        )
    if page.action is not None:
        return str(response.url.join(page.action).copy_merge_params(page.inputs))
    if response.status_code == httpx.codes.NOT_FOUND:
        raise InputError(_DRIVE, "there is no file at this link", fix=f"Copy the link from Drive again, {_BY_HAND}")
    shown = f" titled “{page.title}”" if page.title else ""
    raise InputError(
        _DRIVE, f"answered with a web page{shown} instead of the file", fix=f"Open the link in a browser, {_BY_HAND}"
    )
