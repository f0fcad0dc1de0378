"""The studio's pages, asked without a browser: what they keep, what they show, what they refuse."""

import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipeline.commands.init.interview import Given, write_config
from pipeline.commands.init.questions import Questions
from pipeline.commands.studio import dropped, live
from pipeline.commands.studio.app import create_app
from pipeline.commands.studio.children import ERRORS, EVENTS, Runs
from pipeline.commands.studio.desk import Desk
from pipeline.commands.studio.security import Session
from pipeline.errors import InputError, Locked
from tests.command import CI_CONFIG, Workshop

PORT = 4322
HERE = f"http://127.0.0.1:{PORT}"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A browser that has come in, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    session = Session(PORT)
    headers = {"Origin": HERE, "Accept": "application/json"}
    app = create_app(session, Desk())
    with TestClient(app, base_url=HERE, follow_redirects=False, headers=headers) as client:
        client.get("/", params={"token": session.token})
        yield client


def chat(path: Path, name: str = "Robin") -> Path:
    lines = [
        f"[{1 + n // 20:02}.03.24, 18:{n % 20:02}:00] {who}: {said} {n}"
        for n in range(40)
        for who, said in [(name, "on my way!!") if n % 2 else ("Kim", "are you up?")]
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_dropped_file_is_kept_for_its_owner_alone_under_its_own_name(page: TestClient, tmp_path: Path) -> None:
    sent = b"chat" * 100_000
    for number in ("", " (2)"):
        kept = page.post("/upload", params={"name": "WhatsApp Chat with Kim.txt"}, content=sent)
        assert kept.json() == {"path": f"archives/WhatsApp Chat with Kim{number}.txt", "size": len(sent)}
    path = tmp_path / "archives" / "WhatsApp Chat with Kim (2).txt"
    assert path.read_bytes() == sent
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "etc passwd"),
        ("..", "archive"),
        ("", "archive"),
        ("a/b\\c\x00d\n.zip", "a b c d.zip"),
        (".bashrc", "bashrc"),
        ("ü" * 300 + ".zip", "ü" * 60 + ".zip"),
    ],
)
def test_no_name_of_a_file_leads_out_of_the_folder(page: TestClient, name: str, kept: str) -> None:
    assert page.post("/upload", params={"name": name}, content=b"x").json()["path"] == f"archives/{kept}"


def test_a_file_that_is_empty_or_larger_than_the_disk_is_refused_and_leaves_nothing(
    page: TestClient, tmp_path: Path
) -> None:
    empty = page.post("/upload", params={"name": "a.txt"}, content=b"")
    assert (empty.status_code, empty.json()) == (
        400,
        {"error": "a.txt: is empty. Export it again, and drop the new file."},
    )
    assert list((tmp_path / "archives").iterdir()) == []
    with pytest.raises(InputError, match=r"^a\.zip: is larger \(1,000,000 GB\) than what the disk has room for "):
        dropped.place_for("a.zip", 10**15)


def looked(page: TestClient, source: str) -> str:
    answer = page.post("/look", data={"source": source})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_an_archive_becomes_the_config_that_init_writes(page: TestClient, tmp_path: Path) -> None:
    export = chat(tmp_path / "WhatsApp Chat with Kim.txt")
    new = looked(page, str(export))
    shown = page.get(new).text
    assert "A chat exported by WhatsApp: 40 messages by 2 people" in shown
    assert re.search(r'value="Robin" required checked', shown), "whom the file's name does not name"
    fields = {"me": "Robin", "model": "smollm2-135m-instruct", "redact": "on", "measured": "on", "epochs": "auto"}
    written = page.post(f"{new}/write", data={**fields, "file": "talk-1.yaml"})
    assert written.headers["location"] == "/run?config=talk-1.yaml"
    write_config(
        Given(str(export), "Robin", "embedded", None, "smollm2-135m-instruct", Path("talk-2.yaml")),
        Questions(None, lambda _: None),
    )
    one, two = ((tmp_path / f"{name}.yaml").read_text() for name in ("talk-1", "talk-2"))
    assert one.replace("talk-1", "talk-2") == two
    again = page.post(f"{new}/write", data={**fields, "file": "talk-1.yaml"})
    assert again.json() == {"error": "talk-1.yaml: is there already, and is not overwritten. Give another name."}


def test_what_is_wished_for_stands_in_the_config(page: TestClient, tmp_path: Path) -> None:
    new = looked(page, "sample:tortoise-hare")
    fields = {"me": "me", "model": "smollm2-135m-instruct", "epochs": "3", "called": "Alex: # no", "file": "a.yaml"}
    assert page.post(f"{new}/write", data=fields).status_code == 303
    from pipeline.config.file import load_config

    config = load_config(tmp_path / "a.yaml")
    assert (config.convert.redact, config.convert.me) == ([], "Alex: # no")
    assert (config.create_job.hyperparameters.n_epochs, config.evaluate) == (3, None)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"me": "Nobody"}, "person: nobody was chosen. Choose whom the model shall text like."),
        (
            {"me": "me", "file": "../a.yaml"},
            "file: expected a name in this folder, got ../a.yaml. Leave the slashes out.",
        ),
        ({"me": "me", "epochs": "0"}, "epochs: expected a number from 1 to 50, got 0. Choose another."),
    ],
)
def test_a_form_that_was_made_up_is_refused(page: TestClient, fields: dict[str, str], error: str) -> None:
    answer = page.post(f"{looked(page, 'sample:tortoise-hare')}/write", data=fields)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("/remove/plan", {"part": "--everything"}, "delete: what is to be deleted? Choose one."),
        ("/remove/do", {}, "delete: what is to be deleted? Choose one."),
        ("/export", {"to": "--into=/tmp"}, "export: as what? Choose one."),
        ("/vote/cast", {"item": "x", "chosen": "0"}, "vote: the models were not asked yet. Open the page again."),
        ("/learnt/dropped", {}, "reason: none was given. Choose one in the table."),
        ("/run/pause", {}, "run.yaml: nothing is at work on it. Look at the page again."),
    ],
)
def test_what_no_page_of_ours_would_ask_is_refused(
    page: TestClient, tmp_path: Path, path: str, fields: dict[str, str], error: str
) -> None:
    (tmp_path / "run.yaml").write_bytes(CI_CONFIG.read_bytes())
    answer = page.post(path, params={"config": "run.yaml"}, data=fields)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_a_report_can_run_nothing_and_is_kept_under_the_name_of_its_run(shop: Workshop, page: TestClient) -> None:
    assert shop.run("--until", "load").code == 0
    shown = page.get("/report", params={"config": "run.yaml", "keep": "1"})
    assert shown.headers["content-disposition"] == 'attachment; filename="ci-report.html"'
    assert shown.headers["content-security-policy"].endswith("frame-ancestors 'none'; sandbox")
    assert "script-src" not in shown.headers["content-security-policy"]


def test_what_is_no_archive_is_refused_in_the_words_of_init(page: TestClient, tmp_path: Path) -> None:
    answer = page.post("/look", data={"source": str(tmp_path / "none.zip")}, headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "no such file or folder" in answer.text
    assert page.get("/new/unknown").json() == {
        "error": "this archive: is no longer remembered. Begin again with the file or its path."
    }


def test_names_and_texts_of_others_are_never_markup(page: TestClient, tmp_path: Path) -> None:
    shown = page.get(looked(page, str(chat(tmp_path / "chat.txt", HOSTILE)))).text
    assert HOSTILE not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    (tmp_path / f"{HOSTILE.replace('/', '')}.yaml").write_text("name: '<b>'\nbackend: {trainer: scripted}\n")
    listing = page.get("/").text
    assert HOSTILE not in listing
    assert "<b>" not in listing


@pytest.mark.parametrize("said", ["../secret.yaml", "/etc/passwd", "runs/ci/state.json", "", "none.yaml"])
def test_only_configs_of_the_folder_can_be_named(page: TestClient, said: str) -> None:
    for path in ("/run", "/settings", "/learnt", "/result", "/talk", "/remove", "/report", "/run/events"):
        assert page.get(path, params={"config": said}).status_code == 404, path


def test_examples_that_came_along_are_listed_apart_and_a_broken_config_says_so(
    page: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "ci.yaml").write_bytes(CI_CONFIG.read_bytes())
    (tmp_path / "mine.yaml").write_text("name: mine\nmapp: {}\n")
    shown = page.get("/").text
    assert "cannot be read" in shown
    assert "mine.yaml:2 mapp: unknown key. Did you mean `map`?" in shown.replace("&#39;", "'")
    assert "1 example that came along and never ran" in shown


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(CI_CONFIG.parent.parent))
    return Workshop(tmp_path)


@pytest.fixture
def runs(shop: Workshop) -> Iterator[Runs]:
    there = Runs()
    yield there
    there.end()


def test_a_run_outlives_the_studio_is_paused_by_the_next_one_and_goes_on_once(shop: Workshop, runs: Runs) -> None:
    script = shop.folder / "script.json"
    shop.script(steps=4, hang_at_step=3)
    shop.config.write_text(
        shop.config.read_text().replace("trainer: scripted", f"trainer: scripted\n  script: {script}")
    )
    config, first = Path("run.yaml"), runs
    first.start(config)
    while not (now := live.snapshot(config, first))["curve"] or not now["progress"]["total"]:
        assert now["standing"] == "running", now
        time.sleep(0.1)
    assert (now["progress"]["total"], now["curve"]["steps"]) == (4, 2)
    with pytest.raises(Locked, match=r"^runs/ci: it is at work already\. Wait for it, or pause it first\.$"):
        first.start(config)
    second = Runs()  # that of a studio after one that was killed: it knows nothing of the first one's children
    now = live.snapshot(config, second)
    assert (now["standing"], now["training"], now["owner"][:8]) == ("running", True, "process ")
    second.halt(config)
    second.halt(config)  # a second Ctrl-C would end it at once
    assert first._started[config].wait(60) == 130
    now = live.snapshot(config, first)
    assert now["standing"] == "stopped"
    assert now["error"].startswith("stopped by Ctrl-C; the job pauses at its checkpoint. Go on with: ")
    shop.script(steps=4)
    second.start(config)
    assert second._started[config].wait(60) == 0
    now = live.snapshot(config, second)
    assert (now["standing"], now["error"], now["curve"]["steps"]) == ("done", None, 4)
    assert now["model"].startswith("ft:")
    assert (shop.stored("jobs"), {stat.S_IMODE((shop.run_dir / each).stat().st_mode) for each in (EVENTS, ERRORS)}) == (
        1,
        {0o600},
    )


def test_a_run_that_cannot_begin_says_why(shop: Workshop, runs: Runs) -> None:
    config = Path("run.yaml")
    shop.config.write_text(shop.config.read_text().replace("Tortoise", "Nobody"))
    with pytest.raises(InputError, match=r"^run\.yaml: nothing is at work on it\. Look at the page again\.$"):
        runs.halt(config)
    runs.start(config)
    assert runs._started[config].wait(60) == 2
    now = live.snapshot(config, runs)
    assert now["standing"] == "failed"
    assert "Nobody" in now["error"]
    assert not now["error"].startswith("error: ")


def test_what_a_run_of_the_studio_said_is_not_told_of_the_run_of_a_terminal(shop: Workshop, runs: Runs) -> None:
    runs.start(Path("run.yaml"), "run", "--until", "merge")
    assert runs._started[Path("run.yaml")].wait(60) == 0
    assert [each.event for each in live.events(shop.run_dir)][:2] == ["begin", "started"]
    assert shop.run("--until", "map").code == 0
    assert live.events(shop.run_dir) == []
