"""Every model that the keys see is a row, whatever is wrong with its files, and looking spends nothing."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.rescue.conftest import Rescue, called
from tests.rescue.dressed import BASE, DressedServer


def only_reads(server: DressedServer) -> bool:
    return bool(server.log) and all(line.startswith("GET ") for line in server.log)


def test_thirty_jobs_over_pages_are_thirty_rows_and_only_read(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.most_rows = 7
    for number in range(30):
        dressed.add(number)
    dressed.files["file-train-03"] = 404
    dressed.files["file-train-04"] = 403
    dressed.files["file-train-05"] = 400
    dressed.checkpoints["ftjob-06"] = [
        {"id": f"ftckpt_{n}", "object": "fine_tuning.job.checkpoint", "created_at": 1, "fine_tuning_job_id": "ftjob-06",
         "fine_tuned_model_checkpoint": f"ft:{BASE}:org:tortoise:m06:ckpt-step-{n}", "step_number": n, "metrics": {}}
        for n in (10, 20)
    ]  # fmt: skip
    done = rescue("inventory", "--json")
    assert (done.code, done.err) == (0, "")
    rows = {row["model"]: row for row in map(json.loads, done.out.splitlines())}
    assert len(rows) == 30
    states = [rows[f"ft:{BASE}:org:tortoise:m{n:02}"]["files"][0]["state"] for n in (2, 3, 4, 5)]
    assert states == ["there", "gone", "forbidden", "refused (400)"]
    assert [each["step"] for each in rows[f"ft:{BASE}:org:tortoise:m06"]["checkpoints"]] == [20, 10]
    assert only_reads(dressed)


def test_the_table_says_how_long_what_and_how_much(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.dates[dressed.add(1)] = "2126-12-31"
    dressed.dark.add(dressed.add(2, validation_file="file-valid"))
    dressed.files["file-valid"] = 404
    dressed.add(3, status="failed", fine_tuned_model=None, result_files=[])
    done = rescue("inventory")
    lines = done.out.splitlines()
    assert lines[0] == "KEY_ONE: 3 jobs, 1 of them without a model"
    assert lines[1] == "days left  last day    answers  training   valid.       size    to ask"
    assert lines[2] == f"ft:{BASE}:org:tortoise:m02"
    assert lines[3].split()[1:] == ["2027-01-14", "no", "there", "gone", "2", "kB", "under", "$0.001"]
    assert lines[5].split()[1:5] == ["2126-12-31", "yes", "there", "none"]
    assert lines[6].startswith("Written down: rescue/inventory.html. Next: ")
    page = Path("rescue/inventory.html").read_text(encoding="utf-8")
    assert f"<code>ft:{BASE}:org:tortoise:m01</code>" in page
    assert "<script" not in page


def test_several_keys_are_several_projects_and_a_refused_one_is_a_row(
    dressed: DressedServer, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    dressed.projects["sk-two-0123456789"] = "two"
    dressed.add(1)
    dressed.add(2, project="two")
    monkeypatch.setenv("KEY_TWO", "sk-two-0123456789")
    monkeypatch.setenv("KEY_SAME", "sk-two-0123456789")
    monkeypatch.setenv("KEY_BAD", "sk-bad-0123456789")
    done = rescue("inventory", keys=("KEY_ONE", "KEY_TWO", "KEY_SAME", "KEY_BAD"))
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "KEY_ONE: 1 job, 0 of them without a model",
        "KEY_TWO: 1 job, 0 of them without a model",
        f"KEY_BAD: {dressed.base_url.split('/')[2]} refuses the key (Incorrect API key provided)",
    ]
    everything = done.out + done.err + "".join(path.read_text() for path in Path("rescue").glob("*.*"))
    assert "sk-" not in everything
    refused = rescue("inventory", keys=("KEY_BAD",))
    assert refused.code == 2
    assert refused.err.splitlines()[-1] == (
        f"error: rescue: {dressed.base_url.split('/')[2]} refuses the key (Incorrect API key provided). "
        "Set KEY_BAD to a valid key."
    )


def test_a_model_that_is_listed_without_its_job_is_a_row(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.add(1)
    dressed.more_models = ["ft:gpt-4.1:org::zz"]
    rows = [json.loads(line) for line in rescue("inventory", "--json").out.splitlines()]
    assert (rows[0]["model"], rows[0]["job"]) == ("ft:gpt-4.1:org::zz", None)


def test_what_is_written_is_for_its_owner_alone(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.add(1)
    rescue("inventory")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (Path("rescue"), *Path("rescue").iterdir())}
    assert modes == {"rescue": 0o700, "inventory.json": 0o600, "inventory.html": 0o600, "state.lock": 0o600}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--base-url: OPENAI_API_KEY goes to OpenAI alone. "
             "Name the variable that holds the key for that host with --key-env NAME."),
        ({"--key-env": "OPENAI_API_KEY_B"}, "--key-env OPENAI_API_KEY_B: OpenAI's key does not go to 127.0.0.1. "
             "Put the key for that host into a variable of another name, and give that."),
        ({"--key-env": "NEBIUS_API_KEY"}, "--key-env NEBIUS_API_KEY: the key of Nebius Token Factory does not go to "
             "127.0.0.1. Give the address of its API with --base-url, or another variable."),
        ({"--base-url": None, "--key-env": "AZURE_OPENAI_API_KEY"}, "--key-env AZURE_OPENAI_API_KEY: the key of Azure "
             "OpenAI does not go to api.openai.com. Give the address of its API with --base-url, or another variable."),
        ({"--base-url": "http://example.com/v1", "--key-env": "KEY_ONE"}, "--base-url: a key goes over https only, got "
             "http://example.com/v1. Write https://…."),
    ],
)  # fmt: skip
def test_a_key_of_one_provider_never_goes_to_another_host(
    given: dict[str, str | None], said: str, dressed: DressedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_B", "NEBIUS_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-one-0123456789")
    monkeypatch.chdir(tmp_path)
    options = {"--base-url": dressed.base_url, **given}
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    monkeypatch.setattr(sys, "argv", ["finetune", "rescue", "inventory", *words])
    done = called(capfd)
    assert (done.code, done.err) == (2, f"error: {said}\n")
    assert dressed.log == []
    assert os.listdir(tmp_path) == []  # noqa: PTH208
