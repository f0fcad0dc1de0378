"""Jobs: what is refused at once, what fails after the answer, and what succeeds leaves."""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.fine_tuning import DpoHyperparametersParam, FineTuningJob

from pipeline.testing import MockServer
from tests.server.harness import BASE, examples, finish, messages, preferences, saw, start_job, until, upload


def test_a_job_goes_from_file_to_model(client: openai.OpenAI, shared: MockServer) -> None:
    file = upload(client)

    created = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        suffix="Slow & Steady",
        seed=7,
        metadata={"run": "one"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )

    assert re.fullmatch(r"ftjob-[0-9a-f]{24}", created.id)
    assert (created.status, created.error, created.fine_tuned_model) == ("validating_files", None, None)
    assert created.hyperparameters.model_dump() == {
        "n_epochs": 2,
        "batch_size": "auto",
        "learning_rate_multiplier": "auto",
    }
    job = finish(client, created.id)
    assert (job.status, job.error, job.seed, job.metadata) == ("succeeded", None, 7, {"run": "one"})
    assert job.hyperparameters.model_dump() == {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0}
    assert job.method is not None
    assert job.method.supervised is not None
    assert job.method.supervised.hyperparameters is not None
    assert job.method.supervised.hyperparameters.model_dump() == job.hyperparameters.model_dump()
    assert job.fine_tuned_model is not None
    assert re.fullmatch(rf"ft:{BASE}:personal:slow-steady:[0-9a-f]{{8}}", job.fine_tuned_model)
    assert job.finished_at is not None
    assert job.finished_at >= job.created_at
    assert job.trained_tokens == 2 * 10 * len(["Question", "n?", "Slow."])
    assert client.models.retrieve(job.fine_tuned_model).owned_by == job.organization_id
    assert job.fine_tuned_model in [model.id for model in client.models.list()]
    until(lambda: not (shared.data_dir / "jobs" / job.id).exists(), "the working files to be removed")


def test_events_tell_the_story_of_a_job(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client).id)
    name = job.fine_tuned_model

    story = [re.sub(r"loss=\d+\.\d\d", "loss=N", message) for message in messages(client, job.id)]

    assert story == [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Training on 10 examples with 10 targets",
        "Step 1/3: training loss=N",
        f"Checkpoint created at step 1 with Snapshot ID: {name}:ckpt-step-1",
        "Step 2/3: training loss=N",
        f"Checkpoint created at step 2 with Snapshot ID: {name}:ckpt-step-2",
        "Step 3/3: training loss=N",
        f"Checkpoint created at step 3 with Snapshot ID: {name}:ckpt-step-3",
        f"New fine-tuned model created: {name}",
        "The job has successfully completed",
    ]


def test_metrics_are_the_same_in_events_checkpoints_and_the_result_file(client: openai.OpenAI) -> None:
    files = [upload(client).id, upload(client).id]
    created = client.fine_tuning.jobs.create(model=BASE, training_file=files[0], validation_file=files[1])
    job = finish(client, created.id)

    events = [event for event in client.fine_tuning.jobs.list_events(job.id) if event.type == "metrics"]
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    result = client.files.retrieve(job.result_files[0])

    measured = [checkpoint.metrics.model_dump(exclude_unset=True) for checkpoint in checkpoints]
    said = [{**event.data} if isinstance(event.data, dict) else {} for event in events]
    beside = [[data.pop(name) for name in ("total_steps", "trained_tokens", "learning_rate")] for data in said]
    assert said == measured
    assert [(total, tokens) for total, tokens, _ in beside] == [(3, 90), (3, 60), (3, 30)]
    assert beside[0][2] < beside[1][2] < beside[2][2]
    assert sorted(measured[0]) == [
        "step",
        "train_loss",
        "train_mean_token_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
    ]
    assert (result.purpose, result.filename) == ("fine-tune-results", "step_metrics.csv")
    rows = list(csv.DictReader(client.files.content(result.id).text.splitlines()))
    assert list(rows[0]) == ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    for row, metrics in zip(rows, reversed(measured), strict=True):
        assert [float(cell) for cell in row.values()] == [
            pytest.approx(metrics[name], abs=1e-5)
            for name in ("step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")
        ]


def test_what_was_not_measured_is_left_out(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client).id)

    metrics = client.fine_tuning.jobs.checkpoints.list(job.id).data[0].metrics.model_dump(exclude_unset=True)

    assert sorted(metrics) == ["step", "train_loss", "train_mean_token_accuracy"]
    assert client.files.content(job.result_files[0]).text.splitlines()[1].endswith(",,")


@pytest.mark.parametrize(
    ("changes", "status", "message", "param", "code"),
    [
        (
            {"model": "gpt-9"},
            400,
            "Model gpt-9 is not available for fine-tuning or does not exist.",
            None,
            "model_not_available",
        ),
        (
            {"training_file": "file-none"},
            400,
            "The file `file-none` does not exist.",
            "training_file",
            "file_not_found",
        ),
        (
            {"validation_file": "file-none"},
            400,
            "The file `file-none` does not exist.",
            "validation_file",
            "file_not_found",
        ),
        (
            {"method": {"type": "reinforcement", "reinforcement": {"grader": {"type": "string_check"}}}},
            400,
            "The method `reinforcement` is not supported by this server; use `supervised` or `dpo`.",
            "method.type",
            "unsupported_value",
        ),
        (
            {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
            400,
            "Integrations are not supported by this server.",
            "integrations",
            "unsupported_value",
        ),
        (
            {"hyperparameters": {"n_epochs": 51}},
            400,
            "hyperparameters.n_epochs: Input should be less than or equal to 50, or Input should be 'auto'.",
            "hyperparameters.n_epochs",
            "integer_above_max_value",
        ),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"batch_size": "big"}}}},
            400,
            "method.supervised.hyperparameters.batch_size: Input should be a valid integer, or Input should be 'auto'.",
            "method.supervised.hyperparameters.batch_size",
            "invalid_type",
        ),
        (
            {"suffix": "x" * 65},
            400,
            "suffix: String should have at most 64 characters.",
            "suffix",
            "string_above_max_length",
        ),
        ({"seed": -1}, 400, "seed: Input should be greater than or equal to 0.", "seed", "integer_below_min_value"),
        (
            {"metadata": {"k": "v" * 513}},
            400,
            "metadata.k: String should have at most 512 characters.",
            "metadata.k",
            "string_above_max_length",
        ),
        (
            {"metadata": {str(number): "" for number in range(17)}},
            400,
            "metadata: Dictionary should have at most 16 items after validation, not more.",
            "metadata",
            "object_above_max_properties",
        ),
        (
            {"hyperparameters": {"learning_rate_multiplier": 0}},
            400,
            "hyperparameters.learning_rate_multiplier: Input should be greater than 0, or Input should be 'auto'.",
            "hyperparameters.learning_rate_multiplier",
            "decimal_below_min_value",
        ),
        (
            {"extra_body": {"colour": "red"}},
            400,
            "Unrecognized request argument supplied: colour",
            "colour",
            "unknown_parameter",
        ),
    ],
)
def test_a_bad_create_is_refused_at_once(
    client: openai.OpenAI, changes: dict[str, object], status: int, message: str, param: str, code: str | None
) -> None:
    before = client.fine_tuning.jobs.list(limit=1).data
    good: dict[str, object] = {"model": BASE, "training_file": upload(client).id}

    with pytest.raises(openai.APIStatusError) as refused:
        client.fine_tuning.jobs.create(**{**good, **changes})  # type: ignore[arg-type]  # wrong on purpose

    assert refused.value.status_code == status
    assert refused.value.body == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }
    assert client.fine_tuning.jobs.list(limit=1).data == before


def test_a_file_of_another_purpose_is_refused(client: openai.OpenAI) -> None:
    file = client.files.create(file=("a.jsonl", examples()), purpose="batch")

    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=BASE, training_file=file.id)

    assert refused.value.message.endswith(f"The file `{file.id}` has purpose `batch`, but must have `fine-tune`.")
    assert refused.value.param == "training_file"


def test_null_is_the_same_as_nothing(client: openai.OpenAI) -> None:
    file = upload(client)
    nothing = dict.fromkeys(
        ["suffix", "validation_file", "seed", "metadata", "integrations", "hyperparameters", "method"]
    )

    job = client.fine_tuning.jobs.create(model=BASE, training_file=file.id, extra_body=nothing)

    assert (job.validation_file, job.metadata, job.hyperparameters.n_epochs) == (None, None, "auto")
    assert 0 <= job.seed < 2**31
    assert finish(client, job.id).status == "succeeded"


_GOOD = examples(9)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            examples(3),
            "invalid_n_examples",
            "Training file has 3 example(s), but must have at least 10 examples",
        ),
        (
            _GOOD + b"not json\n",
            "invalid_training_file",
            "The job failed due to an invalid training file. Invalid file format. Example 10: not a line of JSON",
        ),
        (
            _GOOD + b'\n{"prompt": "a", "completion": "b"}\n',
            "invalid_training_file",
            "The job failed due to an invalid training file. Invalid file format. Example 10: unknown key `completion`",
        ),
        (
            _GOOD + b'{"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}\n',
            "invalid_training_file",
            "The job failed due to an invalid training file. Invalid file format. Example 10, message 2: `role` is not"
            " one of system, developer, user, assistant, tool, function",
        ),
    ],
)
def test_a_bad_training_file_fails_the_job(client: openai.OpenAI, content: bytes, code: str, message: str) -> None:
    job = finish(client, start_job(client, content).id)

    assert (job.status, job.fine_tuned_model, job.result_files) == ("failed", None, [])
    assert job.error is not None
    assert job.error.model_dump() == {"code": code, "message": message, "param": "training_file"}
    assert messages(client, job.id)[-1] == f"The job failed: {message}"
    assert "Fine-tuning job started" not in messages(client, job.id)


def test_a_bad_validation_file_is_named_as_such(client: openai.OpenAI) -> None:
    bad = upload(client, b'{"messages": []}\n')

    job = client.fine_tuning.jobs.create(model=BASE, training_file=upload(client).id, validation_file=bad.id)

    error = finish(client, job.id).error
    assert error is not None
    assert (error.code, error.param) == ("invalid_validation_file", "validation_file")


def test_a_byte_order_mark_and_blank_lines_are_no_examples(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client, b"\xef\xbb\xbf" + examples(9) + b"\n \n").id)

    assert job.error is not None
    assert job.error.message == "Training file has 9 example(s), but must have at least 10 examples"


def test_jobs_are_found_by_metadata(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=1)
    file = upload(client).id
    sets: list[dict[str, str] | None] = [{"a": "1", "b": "x"}, {"a": "1", "b": ""}, {"a": "2"}, None]
    ids = [client.fine_tuning.jobs.create(model=BASE, training_file=file, metadata=metadata).id for metadata in sets]

    def found(metadata: dict[str, str]) -> list[int]:
        return [ids.index(job.id) for job in client.fine_tuning.jobs.list(limit=1, metadata=metadata)]

    assert found({"a": "1"}) == [1, 0]
    assert found({"a": "1", "b": "x"}) == [0]
    assert found({"a": "1", "b": ""}) == [1]
    assert found({"a": "3"}) == []
    assert found({}) == [3, 2, 1, 0]
    without = client.fine_tuning.jobs.list(extra_query={"metadata": "null"})
    assert [job.id for job in without] == [ids[3]]


def test_events_come_in_pages(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client).id)

    whole = client.fine_tuning.jobs.list_events(job.id, limit=100)

    assert not whole.has_more
    assert [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=3)] == [e.id for e in whole.data]
    assert client.fine_tuning.jobs.list_events(job.id, limit=0).data == []
    assert [c.step_number for c in client.fine_tuning.jobs.checkpoints.list(job.id, limit=1)] == [3, 2, 1]


def test_one_idempotency_key_makes_one_job(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=1)
    file = upload(client).id
    key = {"Idempotency-Key": hashlib.sha256(b"intent").hexdigest()}

    first = client.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)
    second = client.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)

    assert first.id == second.id
    assert len(client.fine_tuning.jobs.list().data) == 1
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix="other", extra_headers=key)
    assert refused.value.code == "idempotency_key_reused"


@pytest.mark.parametrize("verb", ["retrieve", "cancel", "pause", "resume", "list_events"])
def test_an_unknown_job_is_not_found(client: openai.OpenAI, verb: str) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        getattr(client.fine_tuning.jobs, verb)("ftjob-none")

    assert refused.value.body == {
        "message": "Could not find fine tune: ftjob-none",
        "type": "invalid_request_error",
        "param": "fine_tune_id",
        "code": "fine_tune_not_found",
    }


def test_a_finished_job_cannot_be_stopped(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client).id)

    for verb in ("cancel", "pause", "resume"):
        with pytest.raises(openai.BadRequestError) as refused:
            getattr(client.fine_tuning.jobs, verb)(job.id)
        assert refused.value.message.endswith(f"Cannot {verb} a job whose status is `succeeded`.")
        assert refused.value.code == "invalid_job_status"


def test_a_running_job_says_when_it_will_be_done(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=4, hang_at_step=3)
    job = start_job(client)
    until(saw(client, job.id, "Step 2/4"), "the second step")

    running = client.fine_tuning.jobs.retrieve(job.id)

    assert running.status == "running"
    assert running.estimated_finish is not None
    assert running.estimated_finish >= running.created_at
    assert client.fine_tuning.jobs.cancel(job.id).estimated_finish is None


def test_deleting_a_model_frees_its_adapters_and_keeps_the_job(client: openai.OpenAI, shared: MockServer) -> None:
    job = finish(client, start_job(client).id)
    name = job.fine_tuned_model
    assert name is not None
    checkpoint = f"{name}:ckpt-step-2"
    assert client.models.retrieve(checkpoint).id == checkpoint
    assert checkpoint not in [model.id for model in client.models.list()]
    before = len(list((shared.data_dir / "models").iterdir()))

    deleted = client.models.delete(name)

    assert (deleted.id, deleted.object, deleted.deleted) == (name, "model", True)
    assert len(list((shared.data_dir / "models").iterdir())) == before - 4
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == name
    for gone in (name, checkpoint):
        for again in (client.models.retrieve, client.models.delete):
            with pytest.raises(openai.NotFoundError) as refused:
                again(gone)
            assert refused.value.code == "model_not_found"


def test_a_base_model_cannot_be_deleted(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.models.delete(BASE)

    assert refused.value.message.endswith(f"The model `{BASE}` is a base model: it cannot be deleted.")
    assert client.models.retrieve(BASE).owned_by == "system"


def test_the_last_three_checkpoints_are_kept(serve: Callable[..., openai.OpenAI], tmp_path: Path) -> None:
    client = serve(steps=5)
    job = client.fine_tuning.jobs.create(model=BASE, training_file=upload(client).id, hyperparameters={"n_epochs": 5})
    finish(client, job.id)

    kept = [checkpoint.step_number for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id)]

    assert kept == [5, 4, 3]
    assert len(list((tmp_path / "store/models").iterdir())) == 3 + 1


def test_raw_answers_say_null_where_openai_does(client: openai.OpenAI) -> None:
    job = start_job(client)

    raw = json.loads(client.fine_tuning.jobs.with_raw_response.retrieve(job.id).http_response.content)

    assert finish(client, job.id).status == "succeeded"
    for name in ("error", "finished_at", "fine_tuned_model", "trained_tokens", "validation_file"):
        assert name in raw
    assert raw["error"] is None
    assert isinstance(raw["created_at"], int)


def _dpo(client: openai.OpenAI, content: bytes, hyperparameters: DpoHyperparametersParam) -> FineTuningJob:
    return client.fine_tuning.jobs.create(
        model=BASE,
        training_file=upload(client, content).id,
        method={"type": "dpo", "dpo": {"hyperparameters": hyperparameters}},
    )


def test_a_dpo_job_learns_from_pairs_and_answers_its_beta(client: openai.OpenAI) -> None:
    created = _dpo(client, preferences(), {"n_epochs": 2, "beta": 0.3})

    job = finish(client, created.id)

    assert created.method is not None
    assert created.method.to_dict() == {
        "type": "dpo",
        "dpo": {
            "hyperparameters": {
                "n_epochs": 2,
                "batch_size": "auto",
                "learning_rate_multiplier": "auto",
                "beta": 0.3,
            }
        },
    }
    used = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0}
    assert (job.status, job.error) == ("succeeded", None)
    assert job.hyperparameters.to_dict() == used
    assert job.method is not None
    assert job.method.to_dict() == {"type": "dpo", "dpo": {"hyperparameters": {**used, "beta": 0.3}}}


def test_a_beta_that_is_not_given_is_auto_until_it_is_used(client: openai.OpenAI) -> None:
    created = _dpo(client, preferences(), {})

    job = finish(client, created.id)

    betas = []
    for told in (created, job):
        assert told.method is not None
        assert told.method.dpo is not None
        assert told.method.dpo.hyperparameters is not None
        betas.append(told.method.dpo.hyperparameters.beta)
    assert betas == ["auto", 0.1]


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            preferences(9),
            "invalid_n_examples",
            "Training file has 9 example(s), but must have at least 10 examples",
        ),
        (
            examples(),
            "invalid_training_file",
            "The job failed due to an invalid training file. Invalid file format. Example 1: no `input`",
        ),
        (
            preferences(9) + b'{"input": {"messages": [1]}, "preferred_output": [], "non_preferred_output": []}\n',
            "invalid_training_file",
            "The job failed due to an invalid training file. Invalid file format. Example 10, message 1 of `input`: "
            "not an object",
        ),
    ],
)
def test_a_file_without_pairs_fails_a_dpo_job(client: openai.OpenAI, content: bytes, code: str, message: str) -> None:
    job = finish(client, _dpo(client, content, {}).id)

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.model_dump() == {"code": code, "message": message, "param": "training_file"}


def test_pairs_are_no_chats(client: openai.OpenAI) -> None:
    error = finish(client, start_job(client, preferences()).id).error

    assert error is not None
    assert (error.code, error.param) == ("invalid_training_file", "training_file")


def test_settings_of_methods_that_the_type_does_not_name_are_not_looked_at(client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=upload(client).id,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2}},
            "dpo": {"hyperparameters": {"beta": 99.0}},
            "reinforcement": {
                "grader": {"name": "", "type": "string_check", "operation": "eq", "input": "", "reference": ""}
            },
        },
    )

    assert job.hyperparameters.n_epochs == 2


def test_a_key_finds_its_job_though_the_file_is_gone(client: openai.OpenAI) -> None:
    file = upload(client).id
    key = {"Idempotency-Key": hashlib.sha256(file.encode()).hexdigest()}
    first = client.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)
    finish(client, first.id)
    client.files.delete(file)

    again = client.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)

    assert again.id == first.id


def test_every_kept_checkpoint_can_be_chatted_with(client: openai.OpenAI) -> None:
    job = finish(client, start_job(client).id)
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data

    for checkpoint in checkpoints:
        said = client.chat.completions.create(
            model=checkpoint.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "Your motto?"}]
        )
        assert said.choices[0].message.content == "Slow and steady, that's my motto."
    assert len(checkpoints) == 3


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        *(
            (
                f"{name}=v",
                name,
                "Expected `metadata[key]=value`, with a key of at most 64 characters and no brackets and a value of at"
                " most 512, or `metadata=null`.",
            )
            for name in ("metadata", "metadata[", "metadata[]", "metadata[a", "metadata[a][b]", f"metadata[{'k' * 65}]")
        ),
        ("metadata[a]=1&metadata[a]=1", "metadata[a]", "`metadata[a]` is given twice."),
        (
            "&".join(f"metadata[{number}]=v" for number in range(17)),
            "metadata",
            "At most 16 pairs of metadata can be asked for.",
        ),
        (
            "metadata=null&metadata[a]=1",
            "metadata",
            "`metadata=null` asks for jobs without metadata: no pair goes with it.",
        ),
    ],
)
def test_an_odd_question_for_metadata_is_refused(shared: MockServer, query: str, param: str, message: str) -> None:
    headers = {"Authorization": f"Bearer {shared.api_key}"}

    answer = httpx.get(f"{shared.base_url}/fine_tuning/jobs?{query}", headers=headers)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["message"], error["param"]) == (message, param)


def test_a_thousand_pairs_of_metadata_are_no_server_error(shared: MockServer) -> None:
    query = "&".join(f"metadata[{number}]=" for number in range(800))

    answer = httpx.get(
        f"{shared.base_url}/fine_tuning/jobs?{query}", headers={"Authorization": f"Bearer {shared.api_key}"}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("listing", ["events", "checkpoints"])
def test_that_there_is_no_such_job_is_said_before_what_else_is_wrong(shared: MockServer, listing: str) -> None:
    headers = {"Authorization": f"Bearer {shared.api_key}"}

    answer = httpx.get(f"{shared.base_url}/fine_tuning/jobs/ftjob-none/{listing}?limit=-1", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "fine_tune_not_found")


def test_a_method_of_another_name_is_unknown(client: openai.OpenAI) -> None:
    method = {"type": "supervised", "supervized": {"hyperparameters": {"n_epochs": 1}}}

    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=BASE, training_file="f", extra_body={"method": method})

    assert (refused.value.param, refused.value.code) == ("method.supervized", "unknown_parameter")
