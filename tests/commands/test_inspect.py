"""`finetune inspect` and the funnel that a run prints, on a real command line."""

import json
import re
from pathlib import Path

import pytest

from tests.archives.phone import Phone
from tests.command import Workshop

TEXTING = ("--set", "convert.preset=texting", "--set", "convert.min_examples=1")


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A phone on which Ann and the owner talk twelve times; a tapback, and a word too many."""
    shop = Workshop(tmp_path)
    phone = Phone(tmp_path / "chat.db")
    ann = phone.handle("ann@example.test")
    chat = phone.chat("iMessage;-;ann@example.test", members=(ann,))
    for number in range(12):
        when = (700_000_000 + 7200 * number) * 10**9
        phone.message(chat, {"text": f"Are you there, number {number}?", "handle_id": ann, "date": when})
        phone.message(chat, {"text": f"Always, number {number}", "is_from_me": 1, "date": when + 10**9})
    later = {"handle_id": ann, "date": when + 2 * 10**9}
    phone.message(chat, {"text": "Loved it", "associated_message_type": 2000, **later})
    phone.message(chat, {"text": "So long!\nGoodbye", **later})
    phone.save()
    phone.db.close()
    config = "name: ci\nbackend: {trainer: scripted}\ndownload: {source: chat.db}\nmap: {assistant: me}\n"
    shop.config.write_text(config)
    return shop


def test_inspect_shows_the_funnel_and_examples_and_trains_nothing(shop: Workshop) -> None:
    done = shop.finetune("inspect", "run.yaml", *TEXTING)
    assert done.code == 0, done.err
    table = """\
26  messages in the archive
12  targets: each begins a reply that is learnt
12  context: each begins what is read, not learnt
 1  left out: never answered
 1  left out: tapback, sticker or vote

example 3 of 12
system    You are texting """
    assert done.out.startswith(table)
    assert "user      Are you there, number 2?\nassistant Always, number 2\n" in done.out
    assert "convert" in done.err
    assert "upload" not in done.err
    again = shop.finetune("inspect", "run.yaml", *TEXTING)
    assert (again.out, again.err) == (done.out, ""), "what was done before is not said again"


def test_what_was_left_out_is_shown_by_reason(shop: Workshop) -> None:
    assert shop.finetune("inspect", "run.yaml", *TEXTING).code == 0
    done = shop.finetune("inspect", "run.yaml", *TEXTING, "--dropped", "never answered")
    assert done.out.splitlines()[-2:] == ["So long!", "      Goodbye"]
    for words in ("tapback, sticker or vote", "Sticker"):
        done = shop.finetune("inspect", "run.yaml", *TEXTING, "--dropped", words)
        assert done.code == 0
        assert done.out.splitlines()[-1] == "2023-03-09T18:26:42Z ann@example.test: Loved it"
    done = shop.finetune("inspect", "run.yaml", *TEXTING, "--dropped", "er")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "error: --dropped: more than one reason has these words in it, got er. "
        "The reasons are: `never answered` (1), `tapback, sticker or vote` (1).",
    )
    done = shop.finetune("inspect", "run.yaml", *TEXTING, "--dropped", "boring")
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: --dropped: no message was left out for that reason, got boring. "
        "The reasons are: `never answered` (1), `tapback, sticker or vote` (1)."
    )


def test_a_run_prints_the_funnel_and_reconciles_it_with_the_trainer(shop: Workshop) -> None:
    done = shop.run(*TEXTING)
    assert done.code == 0, done.err
    assert "      26  messages in the archive\n" in done.out
    assert "      the trainer took all 12 examples with their 12 targets\n" in done.out
    output = shop.state()["steps"]["poll_job"]["output"]
    assert output["consumed"] == {"examples": 12, "targets": 12, "truncated": 0, "skipped": 0}
    train = [json.loads(line) for line in (shop.run_dir / "05_train.jsonl").read_text().splitlines()]
    (asked,) = {each["messages"][0]["content"] for each in train}
    transcript = json.loads((shop.run_dir / "10_smoke_test.json").read_text())
    assert transcript[0]["system_prompt"] == asked, "the tuned model is asked as it was trained"
    assert re.match(r"You are texting .+ on .+\.$", asked)


def test_the_notebooks_messages_are_accounted_for_too(shop: Workshop) -> None:
    done = shop.finetune("inspect", "run.yaml", "--set", "convert.min_examples=1", "--examples", "0")
    assert done.out == (
        "26  messages in the archive\n12  targets: each begins a reply that is learnt\n"
        "13  context: each begins what is read, not learnt\n 1  left out: tapback, sticker or vote\n"
        "WARNING: only 1 example with 12 replies to learn; OpenAI and the embedded server refuse fewer than 10 "
        "examples. Load more conversations.\n"
        "\nGo on with: python -m pipeline run run.yaml --set convert.min_examples=1\n"
    )
