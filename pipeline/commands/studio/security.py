"""Who may use the studio: the browser that was opened with the address this process printed, and nobody else.

What is kept out, and how:

- Other programs and users of this machine: a token in the address, good for one use, is exchanged for a cookie.
- A page of another site whose name was made to mean 127.0.0.1 (DNS rebinding): the Host header names ourselves alone.
- A page of another site, or of another port here, that sends a form or a request (CSRF): the cookie is SameSite=Strict,
  and what changes anything must come from our own origin, as Origin and Sec-Fetch-Site say (Fetch Metadata, W3C).
- Text of chats that holds markup: it is escaped everywhere, and the policy allows no script and no style but our files.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send our own forms with Origin: null (Fetch)
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OPEN = "/static/"
"""Our own style and scripts, which hold nothing of anybody's."""

_SAFE = ("GET", "HEAD")
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>finetune studio</title><link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/studio.css"></head>
<body><main class="alone"><h1>{title}</h1><p>{text}</p></main></body></html>
"""


class Session:
    """The one browser that may come in.

    Args:
        port: cookies do not tell ports apart, so the cookie's name does.
        known: the digest of an earlier session's cookie, which goes on being good; "" for none.
        keep: is told the digest of a new one.
    """

    def __init__(self, port: int, known: str = "", keep: Callable[[str], None] = lambda _: None) -> None:
        self._keep = keep
        self.token = secrets.token_urlsafe(32)
        self.cookie = f"finetune-studio-{port}"
        self.digest = known
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    def enter(self, token: str) -> str | None:
        """What the cookie is to hold, for the right token the first time; nothing for any other."""
        if not self.token or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = ""
        value = secrets.token_urlsafe(32)
        self.digest = _digest(value)
        self._keep(self.digest)
        return value

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header holds ours."""
        try:
            found = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return found is not None and bool(self.digest) and hmac.compare_digest(_digest(found.value), self.digest)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class Guard:
    """Lets through what may come in; everything that goes out carries the policy."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(scope) or self._entering(scope) or self._stranger(scope)
        await (answer or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """For what comes by another name, or from another page."""
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or host[0] not in self._session.hosts:
            return _page(403, "Not here", "The studio answers to its own address alone, the one that it printed.")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if scope["method"] in _SAFE:
            is_ours = site in (None, "same-origin", "none") or headers.get("sec-fetch-mode") == "navigate"
        else:
            is_ours = (origin, site) != (None, None)
            is_ours = is_ours and origin in (None, f"http://{host[0]}") and site in (None, "same-origin")
        if is_ours:
            return None
        return _page(403, "Not from there", "Another page asked for this. Open the studio itself and try again.")

    def _entering(self, scope: Scope) -> Response | None:
        """For the address that was printed."""
        token = QueryParams(scope["query_string"]).get("token")
        if token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        headers = Headers(scope=scope)
        if "prefetch" in headers.get("sec-purpose", "") + headers.get("purpose", ""):
            return Response(status_code=503)  # a browser that guesses must not use the token up
        value = self._session.enter(token)
        if value is None:
            return RedirectResponse("/", 303) if self._is_known(scope) else None
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._session.cookie, value, httponly=True, samesite="strict", path="/")
        return answer

    def _stranger(self, scope: Scope) -> Response | None:
        if scope["path"].startswith(OPEN) or self._is_known(scope):
            return None
        return _page(
            401,
            "This address is used up",
            "It opens the studio once, in one browser. End the studio in its terminal with Ctrl-C, start it again with "
            "<code>finetune studio</code>, and open the address that it prints then. Nothing is lost.",
        )

    def _is_known(self, scope: Scope) -> bool:
        return self._session.knows(Headers(scope=scope).get("cookie", ""))


def _page(status: int, title: str, text: str) -> Response:
    return HTMLResponse(_PAGE.format(title=title, text=text), status)
