"""The little that has to be known of a web page: is it one, its title, and the form it wants filled in.

Python's own html.parser takes time in the square of tags or comments that do not end, and fails at some declarations;
this looks at each character once and takes anything.
"""

import re
import string
from collections.abc import Iterator
from html import unescape

_LOOKED_AT = 64 * 1024  # characters; titles and the forms of Google Drive stand at the beginning
_TITLE_LENGTH = 80
_LONGEST_TITLE = 1000  # as it is written, before blanks are joined and entities are read
_LONGEST_TAG = 4000
_NAME = re.compile(r"[a-z][a-z0-9]{0,20}")
_ATTRIBUTE = re.compile(r"""\s([a-z-]{1,30})\s{0,9}=\s{0,9}("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # str.lower makes two characters of some
_HOLDS_TEXT = ("title", "script", "style")  # in which a tag is none


def looks_like_html(head: bytes) -> bool:
    """Whether a file that begins with `head` (some hundred bytes) is a web page."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<title", b"<!--"))


class WebPage:
    """What the beginning of a page says; of what is no HTML, nothing.

    Attributes:
        title: in one line, shortened; "" if there is none.
        action: where the form goes that has a hidden input `confirm`; None if there is no such form.
        inputs: that form's hidden inputs.
    """

    def __init__(self, html: str) -> None:
        self.title = ""
        self.action: str | None = None
        self.inputs: dict[str, str] = {}
        form_action, form_inputs = "", dict[str, str]()
        for name, tag, text in _tags(html[:_LOOKED_AT]):
            if name == "title" and not self.title:
                title = " ".join(unescape(text[:_LONGEST_TITLE]).split())
                self.title = title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
            elif name == "form":
                form_action, form_inputs = _attributes(tag).get("action", ""), {}
            elif name == "input":
                attributes = _attributes(tag)
                if attributes.get("type") == "hidden":
                    form_inputs[attributes.get("name", "")] = attributes.get("value", "")
                if "confirm" in form_inputs and self.action in (None, form_action):
                    self.action, self.inputs = form_action, form_inputs


def _tags(html: str) -> Iterator[tuple[str, str, str]]:
    """The tags that begin something: name, what stands in the tag, and for those in _HOLDS_TEXT what stands in it."""
    lower = html.translate(_LOWER)
    at = 0
    while (begin := html.find("<", at)) >= 0:
        is_comment = html.startswith("<!--", begin)
        end = html.find("-->" if is_comment else ">", begin)
        if end < 0:
            return
        at = end + 1
        name = _NAME.match(lower, begin + 1)
        if name is None:
            continue
        text = ""
        if name[0] in _HOLDS_TEXT:
            close = lower.find(f"</{name[0]}", at)
            if close < 0:
                close = len(html)
            text, at = html[end + 1 : close], close
        yield name[0], html[name.end() : end], text


def _attributes(tag: str) -> dict[str, str]:
    found = _ATTRIBUTE.findall(tag[:_LONGEST_TAG])
    return {name.lower(): unescape(value[1:-1] if value[0] in "\"'" else value) for name, value in found}
