"""What an account still has comes home once, whole and private, and the account stays as it is."""

import json
import stat
from pathlib import Path

import pytest

from pipeline.backends import transport
from pipeline.process.clock import SystemClock
from pipeline.rescue.fetch import plain
from pipeline.rescue.folders import folder_of
from tests.rescue.conftest import Rescue
from tests.rescue.dressed import BASE, RESULT, DressedServer, example, jsonl
from tests.rescue.test_inventory import only_reads


def test_everything_of_a_model_comes_home(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.results_in_base64 = True
    model = dressed.add(1, validation_file="file-valid")
    dressed.files["file-valid"] = jsonl([example(99)])
    dressed.stored = [{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": []}]
    dressed.inputs["chatcmpl-1"] = [{"id": "m-0", "role": "user", "content": "Question 5?"}]
    done = rescue("fetch")
    folder = folder_of(Path("rescue"), model)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{model}: 7 files, ")
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints.json", "events.json", "fetched.json", "job.json", "result.csv", "stored.jsonl", "train.jsonl",
        "valid.jsonl",
    ]  # fmt: skip
    assert (folder / "train.jsonl").read_bytes() == dressed.files["file-train-01"]
    assert (folder / "result.csv").read_bytes() == RESULT
    assert json.loads((folder / "job.json").read_bytes())["hyperparameters"]["n_epochs"] == 3
    assert json.loads((folder / "stored.jsonl").read_bytes())["messages"][0]["content"] == "Question 5?"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert only_reads(dressed)


def test_what_is_refused_is_said_and_the_rest_goes_on(dressed: DressedServer, rescue: Rescue) -> None:
    for number in (1, 2, 3):
        dressed.add(number)
    dressed.files |= {"file-train-01": 404, "file-result-02": 403}
    done = rescue("fetch")
    assert done.code == 0
    assert sorted(done.err.splitlines()) == [
        f"ft:{BASE}:org:tortoise:m01: train.jsonl is gone (file-train-01)",
        f"ft:{BASE}:org:tortoise:m02: result.csv is forbidden (file-result-02)",
    ]
    assert len(done.out.splitlines()) == 3


def test_what_is_there_and_whole_is_not_fetched_again(dressed: DressedServer, rescue: Rescue) -> None:
    model = dressed.add(1)
    rescue("fetch")
    first = [line for line in dressed.log if "/content" in line]
    dressed.log.clear()
    rescue("fetch")
    assert len(first) == 2
    assert not [line for line in dressed.log if "/content" in line or line.endswith("/events")]
    (folder_of(Path("rescue"), model) / "train.jsonl").write_bytes(b"damaged")
    rescue("fetch", "m01")
    assert [line for line in dressed.log if "/content" in line] == ["GET /files/file-train-01/content"]
    assert (folder_of(Path("rescue"), model) / "train.jsonl").read_bytes() == dressed.files["file-train-01"]


def test_a_file_that_breaks_off_is_asked_for_again(
    dressed: DressedServer, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    model, dressed.cuts = dressed.add(1), 2
    done = rescue("fetch")
    assert (done.code, done.err) == (0, "")
    assert (folder_of(Path("rescue"), model) / "train.jsonl").read_bytes() == dressed.files["file-train-01"]
    dressed.cuts = 1000
    dressed.add(2)
    gone = rescue("fetch", "m02")
    assert gone.code == 75
    assert gone.err.startswith("error: rescue: 127.0.0.1:")
    assert not list(Path("rescue").rglob("*.tmp"))


def test_a_file_that_is_too_long_is_said_and_the_rest_goes_on(
    dressed: DressedServer, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_CONTENT", 500)
    model = dressed.add(1)
    done = rescue("fetch")
    assert done.code == 0
    assert done.err.startswith(f"{model}: train.jsonl cannot be read (")
    assert (folder_of(Path("rescue"), model) / "result.csv").read_bytes() == RESULT


def test_stored_completions_that_the_account_forgets_stay_here(dressed: DressedServer, rescue: Rescue) -> None:
    model = dressed.add(1)
    row = {"object": "chat.completion", "created": 1, "model": model, "choices": []}
    dressed.stored = [{"id": "chatcmpl-1", **row}]
    rescue("fetch")
    dressed.stored = [{"id": "chatcmpl-2", **row}]
    rescue("fetch")
    lines = (folder_of(Path("rescue"), model) / "stored.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["chatcmpl-1", "chatcmpl-2"]


def test_a_part_of_a_name_that_several_models_have_is_refused(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.add(1)
    dressed.add(2)
    done = rescue("fetch", "tortoise")
    assert done.code == 2
    assert done.err.startswith("error: rescue: 2 models have that in their names, got tortoise. ")


def test_a_result_that_only_looks_like_base64_stays_as_it_is() -> None:
    assert plain(b"abcd") == b"abcd"
    assert plain(RESULT) == RESULT
    assert plain(b"c3RlcCx0cmFp\r\nbl9sb3NzCg==\n") == b"step,train_loss\n"
