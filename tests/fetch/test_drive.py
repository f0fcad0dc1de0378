import pytest

from pipeline.errors import FinetuneError, InputError, TryLater
from tests.fetch.site import BODY, ETAG, HTML, Answer, Fetch, Site, page, reply, says, serve

FORM = """<form id="download-form" action="/download" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="FILE"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="u&amp;1"></form>"""
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
