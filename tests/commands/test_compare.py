"""`finetune compare`: votes in a terminal, counted for scripts. The trainer is scripted."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.evaluation import votes
from tests.command import BOUND_S, Workshop

CONFIG = """
name: ci
backend: {trainer: scripted}
download: {source: chat.txt}
load: {source: whatsapp}
map: {assistant: Theo}
convert: {preset: texting, validation_fraction: 0.3}
create_job: {seed: 7}
"""


def workshop(folder: Path) -> Workshop:
    """With a chat of forty days, an exchange on each."""
    made = Workshop(folder)
    days = [f"{day:02}/{month:02}/2024" for month in (3, 4) for day in range(1, 21)]
    lines = [
        f"{day}, 10:0{minute} - {who}: {what} {number}\n"
        for number, day in enumerate(days)
        for minute, who, what in ((0, "Anna", "how was day"), (1, "Theo", "day went well, number"))
    ]
    (folder / "chat.txt").write_text("".join(lines))
    made.config.write_text(CONFIG)
    return made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A folder in which a model has been trained and a few talks are held out."""
    made = workshop(tmp_path_factory.mktemp("trained"))
    ended = made.run("--until", "poll_job")
    assert ended.code == 0, ended.err
    return made


def in_a_terminal(shop: Workshop, keys: str, *arguments: str) -> tuple[int, str]:
    """The exit code and all that was shown; the keys are typed ahead."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "compare", "run.yaml", *arguments]
    env = {**shop.env, "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(command, cwd=shop.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, keys.encode())
    shown = b""
    while select.select([ours], [], [], BOUND_S)[0]:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says EIO once the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(BOUND_S), shown.decode(errors="replace").replace("\r\n", "\n")


def test_votes_are_kept_where_it_was_left_and_counted(shop: Workshop) -> None:
    code, shown = in_a_terminal(shop, "a\nx\nq\n", "--count", "2")
    assert code == 0, shown
    assert "One of the answers to each is what Theo really wrote. Which? (2 to go)" in shown
    assert shown.count("a, b, c: this one is theirs; 0: I cannot tell; q: stop, votes are kept; ?: these keys") == 2
    assert re.search(r"(Right|No): a .+, b .+, c .+\.", shown)
    assert "1 vote; taken for Theo's (by chance each 33 %):" in shown
    assert "The same command goes on with the rest." in shown
    assert "answers of tuned, 1 of 2" in shown
    code, shown = in_a_terminal(shop, "0\n", "--count", "2")
    assert code == 0, shown
    assert "(1 to go)" in shown
    assert "Not counted: " in shown
    assert "All of these are voted on; more with --count." in shown
    counted = [json.loads(line) for line in shop.finetune("compare", "run.yaml", "--json").out.splitlines()]
    assert {each["label"] for each in counted} == {"true reply", "base", "tuned"}
    assert [each["votes"] for each in counted] == [1, 1, 1]
    assert sum(each["chosen"] for each in counted) == 1


def test_an_epochs_model_is_one_to_compare_with_and_one_that_is_not_there_is_said(shop: Workshop) -> None:
    code, shown = in_a_terminal(shop, "q\n", "--with", "epoch:9")
    assert code == 2
    assert re.search(
        r"error: --with: epochs 1 to \d are kept, got epoch:9\. It takes base, epoch:N, or the name", shown
    )


def test_without_a_terminal_nothing_is_asked(shop: Workshop) -> None:
    told = shop.finetune("compare", "run.yaml")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: compare: votes are given in a terminal, and this is none. Call it in one; `")
    assert told.err.endswith(" --json` prints what was counted so far.\n")


def test_a_run_that_holds_nothing_out_says_how_to(shop: Workshop, tmp_path: Path) -> None:
    other = workshop(tmp_path)
    other.config.write_text(CONFIG.replace("0.3", "0"))
    assert other.run("--until", "convert").code == 0
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "compare", "run.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=other.env, stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: compare: no reply is held out of training. Set `convert.validation_fraction: auto` and call `"
    )
    assert not (other.run_dir / votes.VOTES).exists()
