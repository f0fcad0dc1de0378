"""Mistakes at the command line: one clear message each, and nothing done."""

import os
import signal
from pathlib import Path

import pytest

from tests.command import Workshop, stop_when
from tests.fault_server import Fault, fault_server
from tests.test_command import GO_ON, message


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A finished run, which no test changes."""
    shop = Workshop(tmp_path_factory.mktemp("done"))
    assert shop.run().code == 0
    return shop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def hosted(base_url: str) -> list[str]:
    return ["--set", "backend.kind=compatible", "--set", f"backend.base_url={base_url}"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["run", "--only", "convert", "--set", "map.assistant=Hare"],
            '--only convert: map comes first and has to run (map.assistant changed from "Tortoise" to "Hare"). '
            "Run `--from map`, or without --only.",
        ),
        (
            ["chat", "--message", " "],
            "--message: says nothing. Say something, or leave it out to talk in turns.",
        ),
        (
            ["chat", "--set", "backend.kind=openai"],
            "chat: poll_job was done with the embedded server of this run, and the config now means api.openai.com. "
            "Use the config of then, or `python -m pipeline run run.yaml --set backend.kind=openai` "
            "to train with this one.",
        ),
        (
            ["cancel"],
            "cancel: ftjob-ID has succeeded already, so there is nothing to cancel. "
            "`python -m pipeline status run.yaml` shows what came of it.",
        ),
        (
            ["cancel", "--set", "name=other"],
            "cancel: there is no job yet. "
            "`python -m pipeline status run.yaml --set name=other` shows how far the run is.",
        ),
    ],
)
def test_a_mistake_gets_one_clear_line(done: Workshop, arguments: list[str], error: str) -> None:
    command, *options = arguments
    refused = done.finetune(command, "run.yaml", *options)
    assert refused.code == 2
    message(refused.err, error)


def test_a_home_that_nobody_has(shop: Workshop) -> None:
    refused = shop.run("--set", "download.source=~nobody-of-that-name/chat.db")
    assert refused.code == 2
    message(
        refused.err,
        "download.source: this machine knows no such home directory, got ~nobody-of-that-name/chat.db. "
        "Write the whole path.",
    )


def test_a_proxy_that_makes_no_sense_concerns_hosted_backends_only(done: Workshop, shop: Workshop) -> None:
    for folder in (done, shop):
        folder.env = {**folder.env, "HTTPS_PROXY": "http://me:sec:ret@x:y", "ALL_PROXY": "", "OPENAI_API_KEY": "sk-x"}
        folder.env = {name: value for name, value in folder.env.items() if name.lower() != "all_proxy"}
    assert done.run("--only", "smoke_test").code == 0
    assert shop.run("--until", "convert").code == 0
    refused = shop.run("--set", "backend.kind=openai")
    assert refused.code == 2
    message(
        refused.err,
        "environment HTTPS_PROXY: not the address of a proxy. Write it as http://HOST:PORT, or unset it.",
    )


def test_a_job_that_is_cancelled_already_is_no_mistake(shop: Workshop) -> None:
    script = shop.script(hang_at_step=2)
    stop_when(shop.start("run", "run.yaml", script), "is running", signal.SIGTERM)
    assert shop.finetune("cancel", "run.yaml", script).out.endswith(" is cancelled.\n")
    again = shop.finetune("cancel", "run.yaml", script)
    assert again.code == 0
    assert again.out.endswith(" is cancelled already.\n")


def test_a_key_that_may_not_upload_is_told_so_plainly(shop: Workshop) -> None:
    shop.env["OPENAI_API_KEY"] = "sk-canary"
    with fault_server() as server:
        server.faults.append(Fault("file.list", 403, body={"message": "You have insufficient permissions."}))
        refused = shop.run(*hosted(server.base_url))
    assert refused.code == 2
    message(
        refused.err,
        "upload: the server at base_url does not permit this (You have insufficient permissions). "
        "Check what the key in OPENAI_API_KEY may do there.",
    )


def test_ctrl_c_speaks_of_a_job_only_where_there_is_one(shop: Workshop) -> None:
    shop.env["OPENAI_API_KEY"] = "sk-canary"
    with fault_server() as server:
        server.faults.append(Fault("file.list", "timeout"))
        options = hosted(server.base_url)
        given = " ".join(options)
        stopped = stop_when(shop.start("run", "run.yaml", *options), "5/10 convert", signal.SIGINT)
        assert stopped.code == 130
        assert stopped.err == f"stopped by Ctrl-C. {GO_ON} {given}\n"
        server.faults.clear()
        server.course = ("running",)
        stopped = stop_when(shop.start("run", "run.yaml", *options), "is running", signal.SIGINT)
        assert stopped.code == 130
        assert stopped.err == f"stopped by Ctrl-C; the job keeps running. {GO_ON} {given}\n"


def test_a_lost_answer_is_said_before_the_long_look(shop: Workshop) -> None:
    shop.env["OPENAI_API_KEY"] = "sk-canary"
    with fault_server() as server:
        server.faults.append(Fault("file.create", "reset"))
        stopped = stop_when(shop.start("run", "run.yaml", *hosted(server.base_url)), "the answer was", signal.SIGINT)
    assert "      the answer was lost; looking whether it arrived, for up to 2 min\n" in stopped.out
    assert stopped.code == 130


def test_what_is_no_command_or_option_is_shown_so_that_it_can_be_seen(shop: Workshop) -> None:
    for arguments, said in [
        (["run", "--x\u202eevil"], "No such option: --x\\u202eevil"),
        (["x\u202eevil"], "No such command 'x\\u202eevil'."),
        (["serve", "--port", "\u202ex"], "Invalid value for '--port'"),
    ]:
        ended = shop.finetune(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert "\u202e" not in ended.err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"]])
def test_help_that_nobody_reads_or_that_cannot_be_written(shop: Workshop, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = shop.start(*arguments, stdout=full.fileno())
        _, said = process.communicate()
    full_disk = "standard output: cannot be used (No space left on device). Free some space, then run again."
    assert (process.returncode, said) == (5, f"error: {full_disk}\n")
    reads, writes = os.pipe()
    os.close(reads)
    process = shop.start(*arguments, stdout=writes)
    os.close(writes)
    _, said = process.communicate()
    assert (process.returncode, said) == (0, "")


def test_a_failpoint_that_is_no_number(shop: Workshop) -> None:
    shop.env["FINETUNE_FAILPOINT"] = "x"
    ended = shop.finetune("status", "run.yaml")
    assert (ended.code, ended.err) == (
        2,
        "error: environment FINETUNE_FAILPOINT: expected a number, got x. Unset it.\n",
    )
