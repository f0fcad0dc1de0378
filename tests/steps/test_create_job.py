"""Step 8: a job is what it is made of, not what its files are called."""

import json
from typing import Any

import msgspec
import pytest

from pipeline.config.settings import Backend
from pipeline.dataset import expectations
from pipeline.errors import InputError
from pipeline.models.machine import Machine, Measured
from pipeline.steps import create_job
from pipeline.steps.create_job import made_of
from pipeline.steps.outputs import Convert, CreateJob, PollFile
from tests.fault_server import FaultServer
from tests.steps.bench import Bench, made_by_convert

FILES = PollFile("file-1", "file-2")


def created(bench: Bench, convert: Convert, files: PollFile = FILES, **keys: Any) -> CreateJob:
    return create_job.run(bench.config(create_job=keys), convert, files, bench.work)


def test_the_job_is_what_the_config_says(bench: Bench, server: FaultServer) -> None:
    convert = made_by_convert(bench)
    made = created(bench, convert, seed=7, suffix="tortoise", metadata={"team": "hare"})
    (job,) = server.jobs
    assert (made.job, made.train_file, made.valid_file) == (job["id"], "file-1", "file-2")
    assert (job["model"], job["training_file"], job["validation_file"]) == ("m", "file-1", "file-2")
    assert job["metadata"] == {
        "team": "hare",
        "finetune_op": bench.ledger.op("job", made.identity),
        "finetune_run": bench.state.body.lineage,
    }
    config = bench.config(create_job={"seed": 7, "suffix": "tortoise", "metadata": {"team": "hare"}})
    assert made.identity == f"{made_of(config, convert)}:0"


@pytest.mark.parametrize(
    "keys",
    [{"seed": 8}, {"suffix": "b"}, {"hyperparameters": {"n_epochs": 2}}, {"model": "n"}, {"metadata": {"a": "b"}}],
)
def test_another_training_is_another_job(bench: Bench, keys: dict[str, Any]) -> None:
    convert = made_by_convert(bench)
    assert created(bench, convert).job != created(bench, convert, **keys).job


@pytest.mark.parametrize("keys", [{"max_tokens": 10**9}, {"max_cost_usd": 1e6}, {"twins": "report"}])
def test_a_limit_or_how_twins_are_met_makes_no_other_job(bench: Bench, keys: dict[str, Any]) -> None:
    convert = made_by_convert(bench)
    assert created(bench, convert) == created(bench, convert, **keys)


def test_the_same_content_under_other_ids_is_the_same_job(bench: Bench, server: FaultServer) -> None:
    convert = made_by_convert(bench)
    first = created(bench, convert)
    assert created(bench, convert, PollFile("file-8", "file-9")).job == first.job
    assert server.posts == ["job.create"]


def test_other_content_is_another_job(bench: Bench) -> None:
    convert = made_by_convert(bench)
    other = msgspec.structs.replace(convert, train=bench.put("05_train.jsonl", b"other\n"))
    with_valid = msgspec.structs.replace(convert, valid=bench.put("05_valid.jsonl", b"valid\n"))
    assert len({created(bench, each).job for each in (convert, other, with_valid)}) == 3


def test_what_to_expect_is_said_before_the_job_is_created(bench: Bench, server: FaultServer) -> None:
    said = "Na klar, ich komme heute Abend gerne noch bei dir vorbei, und was machst du gerade so?"
    line = json.dumps({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": said}]})
    convert = msgspec.structs.replace(made_by_convert(bench), train=bench.put("05_train.jsonl", line.encode() + b"\n"))
    create_job.run(bench.config(download={"source": "chat.txt"}), convert, FILES, bench.work)
    assert bench.notes == [
        "10 replies to learn, in German: it will recite them: fewer than 100 are learnt by heart. What helps most: "
        "more of their messages (500 replies are worth while, about 1,500 plenty)."
    ]


def test_a_training_that_this_machine_cannot_hold_is_not_created(
    bench: Bench, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Machine(2, Measured("cpu", "", "float32", 73e9, 9.7e9), 2 * 10**9, 10**9)
    monkeypatch.setattr(expectations, "this_machine", lambda _: small)
    monkeypatch.setattr(bench.connection, "check_model", lambda: None)
    model = {"model": "smollm2-135m-instruct"}
    config = bench.config(create_job=model).model_copy(update={"backend": Backend()})
    convert = msgspec.structs.replace(made_by_convert(bench), tokens_most=2000)
    with pytest.raises(InputError) as refused:
        create_job.run(config, convert, FILES, bench.work)
    assert str(refused.value) == (
        "create_job.model: training it takes about 3.2 GB of memory for 2,000 tokens at once, and this machine has "
        "2.0 GB in all, got smollm2-135m-instruct. Train on another machine; `finetune models CONFIG` shows what each "
        "model takes."
    )
    assert server.jobs == []
