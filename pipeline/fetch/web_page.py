"""The little that has to be known of a web page: is it one, its title, and the form it wants filled in."""

from html.parser import HTMLParser

_TITLE_LENGTH = 80


def looks_like_html(head: bytes) -> bool:
    """Whether a file that begins with `head` (some hundred bytes) is a web page."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<title", b"<!--"))


class WebPage(HTMLParser):
    """A parsed page.

    Attributes:
        title: in one line, shortened; "" if there is none.
        action: where the form goes that has a hidden input `confirm`; None if there is no such form.
        inputs: that form's hidden inputs.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.title = ""
        self.action: str | None = None
        self.inputs: dict[str, str] = {}
        self._in_title = False
        self._form_action = ""
        self._form_inputs: dict[str, str] = {}
        self.feed(html)
        self.close()
        title = " ".join(self.title.split())
        self.title = title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by HTMLParser."""
        attributes = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title" and not self.title
        if tag == "form":
            self._form_action, self._form_inputs = attributes.get("action", ""), {}
        elif tag == "input" and attributes.get("type") == "hidden":
            self._form_inputs[attributes.get("name", "")] = attributes.get("value", "")
            if "confirm" in self._form_inputs and self.action in (None, self._form_action):
                self.action, self.inputs = self._form_action, self._form_inputs

    def handle_endtag(self, tag: str) -> None:
        """Called by HTMLParser."""
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        """Called by HTMLParser."""
        if self._in_title:
            self.title += data
