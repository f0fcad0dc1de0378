"""The command as a user meets it: ten steps, run again, stop and go on, mistakes. The trainer is scripted."""

import json
import os
import re
import signal
import sqlite3
import stat
from pathlib import Path

import openai
import pytest

from pipeline.steps import STEPS
from tests.command import Workshop, stop_when
from tests.fault_server import Fault, fault_server

NAMES = [step.name for step in STEPS if step.section is None]
GO_ON = "Go on with: python -m pipeline run run.yaml"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def message(text: str, error: str) -> None:
    """Compare a whole message; ids are random."""
    assert re.sub(r"(file|ftjob)-[0-9a-f]+", r"\1-ID", text) == f"error: {error}\n"


def test_ten_steps_run_then_all_are_skipped_without_touching_a_byte(shop: Workshop) -> None:
    first = shop.run()
    assert (first.code, first.err, first.ran) == (0, "", NAMES)
    assert "Prepared 10 dialogues for training" in first.out
    assert "tuned  Slow and steady, that's my motto." in first.out
    assert "base   I am a language model" in first.out
    artifacts = {path.name for path in shop.run_dir.iterdir() if path.name[0] in "01"}
    assert artifacts == {
        "01_archive.db",
        "02_sessions.jsonl",
        "03_merged.jsonl",
        "04_mapped.jsonl",
        "05_train.jsonl",
        "09_events.jsonl",
        "09_metrics.csv",
        "10_smoke_test.json",
    }
    before = (shop.run_dir / "state.json").read_bytes(), (shop.run_dir / "server/server.log").stat().st_mtime_ns
    again = shop.run()
    assert (again.code, again.err, again.skipped) == (0, "", NAMES)
    assert (
        (shop.run_dir / "state.json").read_bytes(),
        (shop.run_dir / "server/server.log").stat().st_mtime_ns,
    ) == before

    _everything_is_private(shop)
    _the_transcript_and_metrics_are_complete(shop)
    _status_tells_each_step(shop)
    _a_deleted_artifact_is_made_again_and_the_rest_stays_done(shop)
    _a_changed_config_reruns_from_there_and_says_why(shop)


def _everything_is_private(shop: Workshop) -> None:
    for path in [shop.run_dir, *shop.run_dir.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    outside = [path for path in shop.folder.rglob("*") if not path.is_relative_to(shop.run_dir) and path.is_file()]
    assert outside == [shop.config]


def _the_transcript_and_metrics_are_complete(shop: Workshop) -> None:
    (exchange,) = json.loads((shop.run_dir / "10_smoke_test.json").read_bytes())
    assert exchange["prompt"] == "What's the golden thread?"
    assert exchange["tuned"]["text"] == "Slow and steady, that's my motto."
    assert exchange["tuned"]["tokens"] > 0
    assert exchange["unmet"] == []
    header, *rows = (shop.run_dir / "09_metrics.csv").read_text().splitlines()
    assert header == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [row.split(",")[0] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]


def _status_tells_each_step(shop: Workshop) -> None:
    rows = [json.loads(line) for line in shop.finetune("status", "run.yaml", "--json").out.splitlines()]
    assert [row["step"] for row in rows] == NAMES
    assert {(row["state"], row["would_run"]) for row in rows} == {("done", None)}
    text = shop.finetune("status", "run.yaml", "--set", "merge.delimiter=;").out
    assert 'would run again: merge.delimiter changed from its default to ";"' in text


def _a_deleted_artifact_is_made_again_and_the_rest_stays_done(shop: Workshop) -> None:
    (shop.run_dir / "05_train.jsonl").unlink()
    again = shop.run()
    assert (again.code, again.ran) == (0, ["convert"])
    assert "convert runs again: 05_train.jsonl is missing" in again.out


def _a_changed_config_reruns_from_there_and_says_why(shop: Workshop) -> None:
    again = shop.run("--set", "map.assistant=Hare")
    assert (again.code, again.ran) == (0, NAMES[3:])
    assert 'map runs again: map.assistant changed from "Tortoise" to "Hare"' in again.out
    assert 'convert runs again: map.assistant changed from "Tortoise" to "Hare"' in again.out
    assert "upload runs again: convert made something else" in again.out
    assert (shop.stored("files") - shop.stored("jobs"), shop.stored("jobs")) == (2, 2)


def test_a_damaged_artifact_is_noticed(shop: Workshop) -> None:
    shop.run("--until", "convert")
    path = shop.run_dir / "03_merged.jsonl"
    path.write_bytes(path.read_bytes().replace(b"steady", b"hasty!"))
    again = shop.run("--until", "convert")
    assert again.ran == ["merge"]
    assert "merge runs again: 03_merged.jsonl is not what was written" in again.out


def test_ranges_run_what_they_name(shop: Workshop) -> None:
    assert shop.run("--until", "merge").ran == ["download", "load", "merge"]
    assert shop.run("--only", "load").ran == ["load"]
    assert shop.run("--from", "load", "--until", "map").ran == ["load", "map"]
    early = shop.run("--from", "convert", "--set", "merge.delimiter=;")
    assert early.code == 2
    message(
        early.err,
        '--from convert: merge comes first and has to run (merge.delimiter changed from its default to ";"). '
        "Run `--from merge`, or without --from.",
    )
    message(shop.run("--from", "map", "--until", "load").err, "--until: load comes before map. Swap them.")


def test_forget_makes_a_step_and_all_after_it_run_again(shop: Workshop) -> None:
    shop.run("--until", "map")
    assert shop.finetune("forget", "run.yaml", "merge").out == "Forgot merge, map.\n"
    assert shop.run("--until", "map").ran == ["merge", "map"]


def test_a_failed_job_ends_the_run_and_running_again_starts_another(shop: Workshop) -> None:
    script = shop.script(fail={"code": "server_error", "message": "The trainer ran out of luck."})
    failed = shop.run(script)
    assert failed.code == 6
    message(
        failed.err,
        "poll_job: ftjob-ID failed (server_error: The trainer ran out of luck.). "
        "A job costs nothing here: run again to start another.",
    )
    shop.script()
    again = shop.run(script)
    assert (again.code, again.ran) == (0, ["create_job", "poll_job", "smoke_test"])
    assert "create_job runs again: poll_job failed" in again.out
    assert shop.stored("jobs") == 2


def test_a_file_in_error_ends_the_step_with_the_servers_reason(shop: Workshop) -> None:
    failed = shop.run(shop.script(files={"status": "error", "status_details": "Line 3 is not JSON"}))
    assert failed.code == 6
    message(
        failed.err,
        "poll_file: file-ID ended as error (Line 3 is not JSON). Change the data, then run again.",
    )


def test_an_expectation_that_is_not_met_has_its_own_exit_code_and_keeps_the_transcript(shop: Workshop) -> None:
    failed = shop.run("--set", "smoke_test.prompts=[{prompt: hi, expect: {regex: hurry, max_tokens: 1}}]")
    assert failed.code == 7
    assert re.fullmatch(
        r"error: smoke_test: ft:\S+ did not answer as expected \(prompt 1: no match for 'hurry'; prompt 1: \d+ tokens, "
        r"expected at most 1\)\. Read runs/ci/10_smoke_test\.json; "
        r"change the data, the training or smoke_test\.prompts\.\n",
        failed.err,
    )
    assert (shop.run_dir / "10_smoke_test.json").exists()


def test_two_runs_on_one_directory_the_second_is_locked_out(shop: Workshop) -> None:
    script = shop.script(hang_at_step=2)
    with shop.start("run", "run.yaml", script) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "is running" in line:
                break
        second = shop.run()
        assert second.code == 4
        message(
            second.err,
            f"runs/ci: another run is at work here: process {first.pid} on {os.uname().nodename}. "
            "Wait for it or stop it, then try again.",
        )
        first.kill()


def test_ctrl_c_pauses_the_job_and_running_again_goes_on(shop: Workshop) -> None:
    script = shop.script(steps=6, hang_at_step=3)
    stopped = stop_when(shop.start("run", "run.yaml", script), "step 2/6", signal.SIGINT)
    assert stopped.code == 130
    given = script.replace("=", " ", 1)
    assert stopped.err == f"stopped by Ctrl-C; the job pauses at its checkpoint. {GO_ON} {given}\n"
    shop.script(steps=6)
    again = shop.run(script)
    assert (again.code, again.ran) == (0, ["poll_job", "smoke_test"])
    assert "poll_job runs again: it was interrupted" in again.out
    assert shop.stored("jobs") == 1


def test_a_changed_config_does_not_wait_for_the_job_of_the_config_before(shop: Workshop) -> None:
    script, changed = shop.script(steps=6, hang_at_step=3), "--set=create_job.hyperparameters.n_epochs=2"
    stopped = stop_when(shop.start("run", "run.yaml", script), "step 2/6", signal.SIGINT)
    first = job_of(shop)
    assert stopped.code == 130
    shop.script(steps=6, hang_at_step=3)  # the first would never end
    stopped = stop_when(shop.start("run", "run.yaml", script, changed), "step 2/6", signal.SIGINT)
    assert f"      {first}, which was asked for before, is cancelled: it would go first\n" in stopped.out
    shop.script(steps=6)
    back = shop.run(script)
    assert (back.code, back.ran) == (0, ["create_job", "poll_job", "smoke_test"])
    assert (shop.stored("jobs"), job_of(shop) == first) == (3, False)


def job_of(shop: Workshop) -> str:
    return str(shop.state()["steps"]["create_job"]["output"]["job"])


def test_a_run_killed_while_training_goes_on_with_one_file_and_one_job(shop: Workshop) -> None:
    script = shop.script(steps=6, hang_at_step=3)
    killed = stop_when(shop.start("run", "run.yaml", script), "step 2/6", signal.SIGKILL)
    assert killed.code == -signal.SIGKILL
    shop.script(steps=6)
    assert shop.run(script).code == 0
    rows = (shop.run_dir / "09_metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3", "4", "5", "6"]
    assert (shop.stored("jobs"), shop.state()["steps"]["upload"]["attempts"]) == (1, 1)


def test_a_reader_that_goes_away_does_not_stop_the_run(shop: Workshop) -> None:
    with shop.start("run", "run.yaml") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
    assert {record["status"] for record in shop.state()["steps"].values()} == {"done"}


def test_json_is_one_object_a_line(shop: Workshop) -> None:
    events = [json.loads(line) for line in shop.run("--json", "--until", "merge").out.splitlines()]
    assert [(e["event"], e.get("step")) for e in events if e["event"] != "progress"] == [
        ("begin", None),
        ("started", "download"),
        ("finished", "download"),
        ("started", "load"),
        ("note", None),
        ("finished", "load"),
        ("started", "merge"),
        ("finished", "merge"),
    ]


def test_cancel_cancels_the_job(shop: Workshop) -> None:
    script = shop.script(hang_at_step=2)
    stop_when(shop.start("run", "run.yaml", script), "is running", signal.SIGTERM)
    cancelled = shop.finetune("cancel", "run.yaml", script)
    assert re.fullmatch(r"ftjob-\w+ is cancelled\.\n", cancelled.out), cancelled
    after = shop.run(script, "--until", "poll_job")
    assert after.code == 6
    message(
        after.err,
        "poll_job: ftjob-ID was cancelled (by the user). A job costs nothing here: run again to start another.",
    )


def test_repair_brings_back_a_damaged_state(shop: Workshop) -> None:
    shop.run("--until", "merge")
    (shop.run_dir / "state.json").write_bytes(b"")
    broken = shop.run()
    assert broken.code == 5
    message(
        broken.err,
        "runs/ci/state.json: is empty, so nothing is known of what was done. "
        "Run `python -m pipeline repair run.yaml` to go back to the last good state.",
    )
    assert shop.finetune("repair", "run.yaml").out.splitlines() == [
        "state.json is empty, so nothing is known of what was done. It is kept as state.json.damaged.",
        "state.json.prev is good: serial 5, 3 steps recorded.",
        "download: done",
        "load: done",
        "merge: running",
        "state.json is written anew. Files and jobs on the backend are found by the next run.",
    ]
    assert shop.run("--until", "merge").ran == ["merge"]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (
            ["--set", "map.assistant=Snail"],
            2,
            "map.assistant: no such sender, got Snail. "
            "Choose one of the senders found: Tortoise (60), Hare (58), me (2).",
        ),
        (
            ["--set", "convert.min_examples=11"],
            2,
            "convert.min_examples: needs at least 11 examples to train on, got 10. "
            "Load more conversations, or lower convert.min_examples "
            "(OpenAI and the embedded server refuse fewer than 10).",
        ),
        (
            ["--set", "create_job.model=gpt-7"],
            2,
            "create_job: the embedded server has no such model (Model gpt-7 is not available for fine-tuning or does "
            "not exist). Change create_job.model.",
        ),
        (
            ["--set", "backend.kind=openai"],
            2,
            "environment OPENAI_API_KEY: not set, and OpenAI needs a key. "
            "export OPENAI_API_KEY=…, or train on this machine with --set backend.kind=embedded.",
        ),
        (["--set", "merge.delimeter=x"], 2, "--set merge.delimeter: unknown key. Did you mean `delimiter`?"),
    ],
    ids=["no such sender", "too few examples", "unknown model", "missing key", "unknown config key"],
)
def test_bad_input_gets_one_clear_line(shop: Workshop, arguments: list[str], code: int, error: str) -> None:
    done = shop.run(*arguments)
    assert done.code == code
    message(done.err, error)
    assert shop.run("--until", "convert").code == 0, "nothing is lost: without the mistake it goes on"


def test_what_is_not_a_database_is_refused_and_a_good_archive_stays(shop: Workshop) -> None:
    assert shop.run("--until", "load").code == 0
    page = shop.folder / "page.db"
    page.write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    good = (shop.run_dir / "01_archive.db").read_bytes()
    refused = shop.run("--set", f"download.source={page}")
    assert refused.code == 2
    assert "web page" in refused.err
    assert (shop.run_dir / "01_archive.db").read_bytes() == good


def test_an_empty_database_is_refused(shop: Workshop) -> None:
    sqlite3.connect(shop.folder / "empty.db").close()
    assert shop.run("--set", f"download.source={shop.folder}/empty.db").code == 2


def test_a_wrong_key_and_an_unreachable_host_are_told_apart(shop: Workshop) -> None:
    shop.env["OPENAI_API_KEY"] = "sk-canary-wrong"
    with fault_server() as server:
        hosted = ["--set", "backend.kind=compatible", "--set", f"backend.base_url={server.base_url}"]
        server.faults.append(Fault("file.list", 401, body={"message": "Incorrect API key provided."}))
        wrong = shop.run(*hosted)
    assert wrong.code == 2
    message(
        wrong.err,
        "upload: the server at base_url refuses the key (Incorrect API key provided). "
        "Set OPENAI_API_KEY to a valid key.",
    )
    unreachable = shop.run(*hosted)
    assert unreachable.code == 75
    message(
        unreachable.err,
        f"upload: the server at base_url cannot be reached at {server.base_url} ([Errno 111] Connection refused). "
        "Check backend.base_url and the network, then run again.",
    )
    for path in shop.folder.rglob("*"):
        if path.is_file():
            assert b"sk-canary" not in path.read_bytes(), path


def test_a_paid_job_is_never_bought_again_without_being_asked(shop: Workshop) -> None:
    shop.env["OPENAI_API_KEY"] = "sk-canary"
    with fault_server() as server:
        hosted = ["--set", "backend.kind=compatible", "--set", f"backend.base_url={server.base_url}"]
        assert shop.run(*hosted, "--until", "create_job").code == 0
        changed = [*hosted, "--set", "create_job.seed=8", "--until", "create_job"]
        refused = shop.run(*changed)
        assert (refused.code, len(server.jobs)) == (3, 1)
        message(
            refused.err,
            "create_job: ftjob-ID was bought already; another one would cost a price that is not known here for about "
            "9,672 tokens (4 epochs assumed), because create_job.seed changed from 7 to 8. "
            "Give --new-job to buy it, or undo the change to keep what you have.",
        )
        assert shop.run(*changed, "--new-job").code == 0
        assert len(server.jobs) == 2


def test_help_names_every_command(shop: Workshop) -> None:
    text = shop.finetune("--help").out
    for command in ("run", "status", "senders", "forget", "cancel", "chat", "serve", "resolve", "repair"):
        assert f" {command} " in text


HEAVY = {
    "asyncio", "fastapi", "httpx", "httpx2", "jinja2", "langchain_community", "langchain_core", "multiprocessing",
    "openai", "pipeline.archives.reading", "pipeline.dataset.texting", "pipeline.server.storage.store", "platformdirs",
    "pydantic_settings", "rich", "ssl", "statistics", "tenacity", "tiktoken", "torch", "transformers",
}  # fmt: skip


def test_a_finished_run_and_its_status_need_no_heavy_import(shop: Workshop) -> None:
    shop.run()
    shop.env["PYTHONPROFILEIMPORTTIME"] = "1"
    for command in ("run", "status"):
        again = shop.finetune(command, "run.yaml")
        assert "10/10 smoke_test" in again.out
        imported = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
        assert "pipeline.run.progress" in imported
        assert not imported & HEAVY


def test_a_serving_server_prints_its_key_once_and_stops_on_sigterm(shop: Workshop) -> None:
    key = (
        r"export OPENAI_API_KEY=\S{40,}\n"
        r"# That key is not shown again\. For another one, remove data/keys\.json and start anew\.\n"
    )
    for shown in (key, ""):
        with shop.start("serve", "--port", "0", "--mock", "--data-dir", "data") as server:
            assert server.stdout is not None
            said = "".join(server.stdout.readline() for _ in range(1 + shown.count(r"\n")))
            assert re.fullmatch(shown + r"export OPENAI_BASE_URL=http://127\.0\.0\.1:\d+/v1\n", said)
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=30) == 0


def test_a_mocked_api_follows_its_script_and_leaves_nothing(shop: Workshop) -> None:
    (shop.folder / "script.json").write_text(
        '{"replies": {"base": "Scripted."}, "requests": [{"path": "/v1/files", "status": 503}]}'
    )
    shop.env["FINETUNE_SERVER_KEY"] = "sk-ci"
    shop.env["TMPDIR"] = str(shop.folder)
    with shop.start("serve", "--port", "0", "--mock", "--script", "script.json") as server:
        assert server.stdout is not None
        url = server.stdout.readline().partition("=")[2].strip()
        assert server.stdout.readline() == "export OPENAI_API_KEY=$FINETUNE_SERVER_KEY\n"
        with openai.OpenAI(base_url=url, api_key="sk-ci", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                client.files.list()
            said = client.chat.completions.create(
                model="smollm2-135m-instruct", messages=[{"role": "user", "content": "?"}]
            )
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert said.choices[0].message.content == "Scripted."
    assert list(shop.folder.glob("mock-openai-*")) == []
    assert not (shop.folder / "server").exists()


def test_a_script_is_for_a_mocked_api(shop: Workshop) -> None:
    refused = shop.finetune("serve", "--script", "script.json")

    assert (refused.code, refused.err) == (2, "error: --script: only a mocked API follows a script. Add --mock.\n")


def test_a_local_model_directory_can_be_the_base(shop: Workshop) -> None:
    model = shop.folder / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (model / name).write_text("{}")
    assert shop.run("--set", "create_job.model=./model", "--until", "poll_job").code == 0
    refused = shop.run("--set", "create_job.model=./nothing", "--until", "create_job")
    assert refused.code == 2
    assert "no such model" in refused.err


def test_the_version_is_told_and_every_command_has_a_short_help(shop: Workshop) -> None:
    from pipeline import __version__
    from pipeline.cli import app

    assert shop.finetune("--version").out == f"finetune {__version__}\n"
    assert shop.finetune("-h").out == shop.finetune("--help").out
    asked = shop.finetune("run", "-h")
    assert (asked.code, asked.err) == (0, "")
    assert "Run the steps; what is done and intact is skipped." in asked.out
    assert app.info.context_settings == {"help_option_names": ["-h", "--help"]}  # for all of them
