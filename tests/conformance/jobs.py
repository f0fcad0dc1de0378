"""Walks through /v1/fine_tuning/jobs."""

import asyncio
from collections.abc import Awaitable, Callable

from openai.types.fine_tuning import FineTuningJob

from tests.conformance.api import Api, Case
from tests.server.harness import BASE, FINISHED, WAIT_S, examples, preferences

JOBS = "/v1/fine_tuning/jobs"


async def upload(api: Api, content: bytes | None = None) -> str:
    """Upload a training file; returns its id."""
    content = examples() if content is None else content
    file = await api.ask(lambda c: c.files.create(file=("train.jsonl", content), purpose="fine-tune"))
    return file.id


async def until(api: Api, job_id: str, good: Callable[[FineTuningJob], bool]) -> FineTuningJob:
    """Poll a job until it is `good`; fails after WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while not good(job := await api.ask(lambda c: c.fine_tuning.jobs.retrieve(job_id))):
            await asyncio.sleep(0.01)
    return job


async def finished_job(api: Api, content: bytes | None = None) -> FineTuningJob:
    """Train, and wait for the end."""
    file = await upload(api, content)
    job = await api.ask(lambda c: c.fine_tuning.jobs.create(model=BASE, training_file=file))
    return await until(api, job.id, lambda job: job.status in FINISHED)


async def _life(api: Api) -> None:
    training, validation = await upload(api), await upload(api)
    created = await api.ask(
        lambda c: c.fine_tuning.jobs.create(
            model=BASE,
            training_file=training,
            validation_file=validation,
            suffix="slow",
            seed=7,
            metadata={"walk": "life"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}},
        )
    )
    job = await until(api, created.id, lambda job: job.status in FINISHED)

    assert (job.status, job.seed, job.metadata, job.error) == ("succeeded", 7, {"walk": "life"}, None)
    assert (job.training_file, job.validation_file) == (training, validation)
    assert job.hyperparameters.n_epochs == 2
    assert isinstance(job.hyperparameters.batch_size, int)
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith(f"ft:{BASE}:")
    result = await api.ask(lambda c: c.files.retrieve(job.result_files[0]))
    assert (result.purpose, result.filename) == ("fine-tune-results", "step_metrics.csv")
    csv = (await api.ask(lambda c: c.files.content(result.id))).read()
    assert csv.startswith(b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,")
    checkpoints = await api.all(lambda c: c.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    assert len(checkpoints) == 2
    chat = await api.ask(
        lambda c: c.chat.completions.create(
            model=checkpoints[-1].fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "Hello"}]
        )
    )
    assert chat.choices[0].message.content == "Slow and steady, that's my motto."


async def _lists(api: Api) -> None:
    file = await upload(api)
    ids = []
    for name in ("one", "two"):
        job = await api.ask(
            lambda c: c.fine_tuning.jobs.create(model=BASE, training_file=file, metadata={"list": name})  # noqa: B023
        )
        ids.append(job.id)
        await until(api, job.id, lambda job: job.status in FINISHED)

    everything = [job.id for job in await api.all(lambda c: c.fine_tuning.jobs.list(limit=1))]
    assert [name for name in everything if name in ids] == ids[::-1]
    found = [job.id for job in await api.all(lambda c: c.fine_tuning.jobs.list(metadata={"list": "one"}))]
    assert ids[0] in found
    assert ids[1] not in found
    events = await api.all(lambda c: c.fine_tuning.jobs.list_events(ids[0], limit=2))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {ids[0]}"


async def _dpo(api: Api) -> None:
    file = await upload(api, preferences())
    created = await api.ask(
        lambda c: c.fine_tuning.jobs.create(
            model=BASE, training_file=file, method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}
        )
    )
    job = await until(api, created.id, lambda job: job.status in FINISHED)

    assert (job.status, job.hyperparameters.n_epochs) == ("succeeded", 3)
    assert job.method is not None
    assert job.method.dpo is not None
    assert job.method.dpo.hyperparameters is not None
    assert job.method.dpo.hyperparameters.beta == 0.2


async def _pause(api: Api) -> None:
    file = await upload(api)
    job = await api.ask(lambda c: c.fine_tuning.jobs.create(model=BASE, training_file=file))
    running = await until(api, job.id, lambda job: job.estimated_finish is not None)
    assert running.status == "running"

    paused = await api.ask(lambda c: c.fine_tuning.jobs.pause(job.id))
    assert str(paused.status) == "paused"
    resumed = await api.ask(lambda c: c.fine_tuning.jobs.resume(job.id))
    assert resumed.status == "queued"
    cancelled = await api.ask(lambda c: c.fine_tuning.jobs.cancel(job.id))
    assert (cancelled.status, cancelled.fine_tuned_model) == ("cancelled", None)


async def _refusals(api: Api) -> None:
    file = await upload(api)
    unknown = await api.refused(lambda c: c.fine_tuning.jobs.retrieve("ftjob-none"))
    assert unknown == {
        "status": 404,
        "message": "Could not find fine tune: ftjob-none",
        "type": "invalid_request_error",
        "param": "fine_tune_id",
        "code": "fine_tune_not_found",
    }
    calls: dict[str, Callable[[], Awaitable[dict[str, object]]]] = {
        "training_file": lambda: api.refused(
            lambda c: c.fine_tuning.jobs.create(model=BASE, training_file="file-none")
        ),
        "seed": lambda: api.refused(lambda c: c.fine_tuning.jobs.create(model=BASE, training_file=file, seed=-1)),
        "suffix": lambda: api.refused(
            lambda c: c.fine_tuning.jobs.create(model=BASE, training_file=file, suffix="x" * 65)
        ),
        "integrations": lambda: api.refused(
            lambda c: c.fine_tuning.jobs.create(
                model=BASE, training_file=file, integrations=[{"type": "wandb", "wandb": {"project": "p"}}]
            )
        ),
    }
    for param, call in calls.items():
        refused = await call()
        assert (refused["status"], refused["param"]) == (400, param)


async def _failures(api: Api) -> None:
    few = await finished_job(api, examples(3))
    assert few.error is not None
    assert (few.status, few.error.code, few.error.param) == ("failed", "invalid_n_examples", "training_file")
    broken = await finished_job(api, b'{"prompt": "Who?"}\n' * 10)
    assert broken.error is not None
    assert (broken.status, broken.error.code, broken.error.param) == (
        "failed",
        "invalid_training_file",
        "training_file",
    )


CASES = [
    Case(
        "a job goes from files to a model, its results and its checkpoints",
        (f"POST {JOBS}", f"GET {JOBS}/{{job_id}}", f"GET {JOBS}/{{job_id}}/checkpoints"),
        _life,
    ),
    Case(
        "jobs and events are listed, by metadata and in pages", (f"GET {JOBS}", f"GET {JOBS}/{{job_id}}/events"), _lists
    ),
    Case(
        "a job is paused, resumed and cancelled",
        (f"POST {JOBS}/{{job_id}}/pause", f"POST {JOBS}/{{job_id}}/resume", f"POST {JOBS}/{{job_id}}/cancel"),
        _pause,
        {"steps": 4, "hang_at_step": 3},
    ),
    Case("a model learns from pairs of answers", (), _dpo),
    Case("a job that cannot be is refused at once", (), _refusals),
    Case("a job whose files are no good fails after the answer", (), _failures),
]
