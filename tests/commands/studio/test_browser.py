"""The studio as a person meets it: a browser, an empty folder, and an exported chat."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.state.lock import holder
from tests.command import Workshop

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BOUND_MS = 60_000
HOSTILE = "<img src=x onerror=alert(1)>"
KIM = ("are you up?", "did you eat yet", "see you at 8 then", "the film was so good", "what about sunday")
ROBIN = ("yesss", "on my way!!", "hmm not sure", "sounds good :)", "no idea, ask Ben")


def whatsapp_export(path: Path) -> Path:
    """200 messages of two people, one of whom has a name that a careless page would run."""
    pairs = [said for pair in zip(KIM, ROBIN, strict=True) for said in ((HOSTILE, pair[0]), ("Robin", pair[1]))]
    lines = [
        f"[{1 + day:02}.03.24, 18:{minute:02}:00] {who}: {said} {day}"
        for day in range(20)
        for minute, (who, said) in enumerate(pairs)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Studio:
    """A studio of an empty folder, whose trainer is scripted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.shop = Workshop(folder)
        self.shop.config.unlink()
        self.folder = folder
        script = folder.parent / "script.json"
        replies = {"tuned": "on my way!! so hyped", "base": "As an assistant I have no plans."}
        script.write_text(json.dumps({"steps": 60, "seconds_per_step": 0.1, "replies": replies}))
        self.shop.env |= {"FINETUNE_BACKEND__TRAINER": "scripted", "FINETUNE_BACKEND__SCRIPT": str(script)}
        self.shop.env["FINETUNE_CONVERT__TOKENS"] = "estimate"  # exact ones take the base model, converted once
        self.shop.env["FINETUNE_CONVERT__VALIDATION_FRACTION"] = "0.3"  # enough to vote on
        self.process: subprocess.Popen[str] | None = None

    def start(self, port: int = 0) -> str:
        """Returns the address that it prints."""
        self.process = self.shop.start("studio", "--no-open", "--port", str(port))
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", self.process.stdout.readline())
        assert found is not None
        return found[0]

    def end(self, signum: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signum)
            self.process.communicate(timeout=60)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    there = Studio(tmp_path / "empty")
    yield there
    there.end(signal.SIGTERM)


@pytest.fixture
def page() -> Iterator["Page"]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    with (
        playwright.sync_playwright() as driver,
        contextlib.closing(driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])) as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(BOUND_MS)
        yield page


def go(page: "Page", name: str) -> None:
    """To another page, and wait for its script, which a person is slower than."""
    page.click(f"nav >> text={name}")
    page.wait_for_load_state()


def test_from_a_dropped_chat_to_a_model_that_talks_and_to_nothing_left(
    studio: Studio, page: "Page", tmp_path: Path
) -> None:
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    address = studio.start()
    page.goto(address)
    origin = address.partition("/?")[0]
    assert page.url == f"{origin}/"

    # An exported chat becomes a config.
    page.set_input_files("#file", whatsapp_export(tmp_path / "WhatsApp Chat with Kim.txt"))
    page.wait_for_url("**/new/*")
    assert "200 messages by 2 people" in page.inner_text(".lead")
    page.check("input[name=me][value=Robin]")
    page.wait_for_selector("#expect dd")
    page.check("input[name=model][value=smollm2-135m-instruct]")
    page.uncheck("input[name=measured]")
    page.click("text=Write the settings")
    page.wait_for_url("**/run?*")
    kept = studio.folder / "archives" / "WhatsApp Chat with Kim.txt"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    # The run is killed in the middle of the training: the page says so, and it goes on.
    page.click("#start button")
    page.wait_for_selector("#chart svg")
    run_dir = studio.folder / "runs" / "my-whatsapp"
    os.kill(int((holder(run_dir) or "").split()[1]), signal.SIGKILL)
    page.wait_for_selector("#badge.stopped")
    page.click("#start button")
    page.wait_for_selector("#pause:not([hidden])")

    # The studio is killed, too: the training does not mind, and the page that is open finds the next studio.
    studio.end(signal.SIGKILL)
    page.wait_for_selector("#lost:not([hidden])")
    studio.start(int(origin.rpartition(":")[2]))
    page.wait_for_selector("#lost", state="hidden")
    page.wait_for_selector("#badge.done")
    jobs = studio.shop.finetune("status", "my-whatsapp.yaml", "--json").out
    assert all(json.loads(row)["state"] == "done" for row in jobs.splitlines())
    studio.shop.run_dir = run_dir
    assert (studio.shop.stored("jobs"), studio.shop.stored("files")) == (1, 3)  # examples, held out ones, metrics

    # What was learnt, and talking.
    go(page, "What it learns")
    page.fill("#q", "HYPED")
    page.press("#q", "Enter")
    page.wait_for_selector("text=None holds these words.")
    page.fill("#q", "ask ben")
    page.press("#q", "Enter")
    page.wait_for_selector("article .learnt >> text=no idea, ask Ben")
    go(page, "Result")
    page.wait_for_selector("#chart svg")
    go(page, "Talk")
    page.wait_for_selector("#talking:not([hidden])")
    page.fill("#words", "What are you up to?")
    page.press("#words", "Enter")
    page.wait_for_selector("#stop", state="hidden")
    assert page.locator(".column:visible .learnt .words").all_inner_texts() == [
        "on my way!! so hyped",
        "As an assistant I have no plans.",
    ]

    # Which one is theirs: a blind vote, kept with the run.
    go(page, "Guess")
    page.wait_for_selector("#item:not([hidden])")
    assert page.locator(".answer .role").all_inner_texts() == ["A", "B", "C"]
    page.click(".answer >> nth=0")
    page.wait_for_selector(".answer.true")
    told = {each.partition(": ")[2] for each in page.locator(".answer .role").all_inner_texts()}
    assert told == {"true reply", "tuned", "base"}
    assert len((run_dir / "11_votes.jsonl").read_text().splitlines()) == 1
    page.click("#next")
    page.wait_for_selector("#standings tr")

    # Everything goes, the dropped file, too.
    go(page, "Keep or remove")
    page.click("text=Everything")
    page.wait_for_selector("#ask-yes:enabled")
    assert page.locator("#plan li").all_inner_texts()[0].startswith("here: runs/my-whatsapp (")
    page.click("#ask-yes")
    page.wait_for_selector("#removed:not([hidden])")
    assert not run_dir.exists()
    assert not kept.exists()
    assert wrong == []
    assert {
        url.partition(
            "/",
        )[0]
        + "//"
        + url.split("/")[2]
        for url in asked
    } == {origin}
