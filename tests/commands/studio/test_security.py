"""Who may use the studio."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from pipeline.commands.studio.app import create_app
from pipeline.commands.studio.desk import Desk
from pipeline.commands.studio.security import POLICY, Session

PORT = 4321
HERE = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def session() -> Session:
    return Session(PORT)


@pytest.fixture
def stranger(session: Session, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.chdir(str(tmp_path))
    with TestClient(create_app(session, Desk()), base_url=HERE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def browser(stranger: TestClient, session: Session) -> TestClient:
    """One that has come in."""
    assert stranger.get("/", params={"token": session.token}).status_code == 303
    return stranger


def test_without_the_cookie_nothing_is_shown_but_style_and_scripts(stranger: TestClient) -> None:
    for path in ("/", "/run?config=x.yaml", "/run/events?config=x.yaml", "/nowhere"):
        assert stranger.get(path).status_code == 401, path
    assert stranger.post("/look", headers={"Origin": HERE}).status_code == 401
    assert stranger.get("/static/studio.css").status_code == 200
    assert "Ctrl-C" in stranger.get("/").text


def test_the_token_is_good_for_one_browser_once(stranger: TestClient, session: Session) -> None:
    token = session.token
    assert stranger.get("/", params={"token": "wrong"}).status_code == 401
    entered = stranger.get("/", params={"token": token})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(f"finetune-studio-{PORT}=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert stranger.get("/").status_code == 200
    stranger.cookies.clear()
    assert stranger.get("/", params={"token": token}).status_code == 401


def test_a_browser_that_only_guesses_does_not_use_the_token_up(stranger: TestClient, session: Session) -> None:
    guess = stranger.get("/", params={"token": session.token}, headers={"Sec-Purpose": "prefetch;prerender"})
    assert guess.status_code == 503
    assert stranger.get("/", params={"token": session.token}).status_code == 303


def test_the_cookie_of_the_studio_before_goes_on_being_good() -> None:
    kept: list[str] = []
    value = (first := Session(PORT, keep=kept.append)).enter(first.token)
    assert Session(PORT, kept[0]).knows(f"other=1; {first.cookie}={value}")
    assert not Session(PORT, kept[0]).knows(f"{first.cookie}=x")
    assert not Session(PORT).knows(f"{first.cookie}=")
    assert value not in kept


@pytest.mark.parametrize("host", ["evil.example:4321", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:4321", ""])
def test_another_name_for_this_machine_is_refused(browser: TestClient, host: str) -> None:
    assert browser.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": HERE, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_another_page_sends_changes_nothing(browser: TestClient, headers: dict[str, str]) -> None:
    for path in ("/look", "/upload?name=x.txt", "/run/start?config=x.yaml", "/nowhere"):
        assert browser.post(path, headers=headers, content=b"source=sample:tortoise-hare").status_code == 403


def test_our_own_forms_are_taken(browser: TestClient) -> None:
    for headers in ({"Origin": HERE}, {"Sec-Fetch-Site": "same-origin"}):
        answer = browser.post("/look", headers={**headers, "Accept": "application/json"}, content=b"source=")
        assert answer.status_code == 400
        assert answer.json() == {"error": "path: nothing was given. Drop a file, or give the path of one."}


def test_another_page_cannot_even_ask_in_the_background(browser: TestClient) -> None:
    asked = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    assert browser.get("/", headers=asked).status_code == 403
    assert browser.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_every_answer_carries_the_policy(browser: TestClient) -> None:
    answers = [
        browser.get("/"),
        browser.get("/static/page.js"),
        browser.get("/nowhere"),
        browser.get("/", headers={"Host": "evil.example"}),
        browser.post("/look"),
    ]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_no_page_holds_script_or_style_of_its_own() -> None:
    from pathlib import Path

    import pipeline.commands.studio

    templates = list((Path(pipeline.commands.studio.__file__).parent / "templates").glob("*.j2"))
    assert len(templates) > 5
    for template in templates:
        text = template.read_text(encoding="utf-8")
        assert " style=" not in text
        assert "<style" not in text
        assert " on" not in [word[:3] for word in text.split("<") if "=" in word.partition(" on")[2][:12]]
        assert "|safe" not in text.replace(" ", "")
        assert text.count("<script") == text.count('<script type="module" src="/static/')
