"""/v1/fine_tuning/jobs: create, watch and control training."""

import hashlib
import re
import secrets
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from pipeline.models.hub_cache import short_name
from pipeline.server import requests, responses
from pipeline.server.context import After, Context, ContextDep, list_response
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.json_bodies import json_body
from pipeline.server.http.openapi import Json, answers, lists, takes
from pipeline.server.records import JobRecord, NewJob, Page

router = APIRouter(prefix="/v1/fine_tuning/jobs")

_METADATA = re.compile(r"metadata\[([^][]+)\]")
Limit = Annotated[int, Query(ge=0, le=10_000)]
# OpenAI sends no such header by itself; a client that does gets one job for one key, however often it asks.
IdempotencyKey = Annotated[str | None, Header(max_length=255)]
_JobBody = Annotated[requests.JobCreate, Depends(json_body(requests.JobCreate))]


def _job(job_id: str, context: ContextDep) -> JobRecord:
    """The job that a path names; what else a request says is looked at only if there is one."""
    job = context.store.job(job_id)
    if job is None:
        message = f"Could not find fine tune: {job_id}"
        raise ApiError(404, message, param="fine_tune_id", code="fine_tune_not_found")
    return job


_Job = Annotated[JobRecord, Depends(_job)]


def _asked(body: _JobBody, context: ContextDep, idempotency_key: IdempotencyKey = None) -> NewJob | JobRecord:
    """What is to be created, after all checks that take no time; or the job that this key created before."""
    # Looked for first: a job that was created once is answered again, though its file may be deleted by now.
    known = None if idempotency_key is None else context.store.job_of_key(idempotency_key)
    return known or _new_job(body, context)


_Asked = Annotated[NewJob | JobRecord, Depends(_asked)]


def _remembered(asked: _Asked, context: ContextDep) -> bool:
    """Whether its base model needs no check; refuses one that failed a check before."""
    if isinstance(asked, JobRecord) or context.settings.trainer != "lora":
        return True
    return context.model_checks.recall(asked.model)


async def _checked(
    asked: _Asked, context: ContextDep, remembered: Annotated[bool, Depends(_remembered)]
) -> NewJob | JobRecord:
    """The same, once its base model is known to be one that can be trained. To wait for that takes no thread."""
    if not remembered:
        await context.model_checks.check(asked.model)
    return asked


@router.post("", responses=answers(responses.Job, 503), openapi_extra=takes(requests.JobCreate))
def create_job(
    asked: Annotated[NewJob | JobRecord, Depends(_checked)],
    body: _JobBody,
    context: ContextDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a job; it is validated and trained after the answer."""
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    if isinstance(asked, JobRecord):
        job = asked
    else:
        keyed = None if idempotency_key is None else (idempotency_key, digest)
        job = context.store.create_job(asked, idempotency=keyed)
    if idempotency_key is not None and job.idempotency_digest != digest:
        raise ApiError(
            400,
            "This Idempotency-Key was used before, with other parameters.",
            param="Idempotency-Key",
            code="idempotency_key_reused",
        )
    context.queue.wake()
    context.chats.engine.warm_up(None)  # while the worker starts, which keeps one core busy only
    return _answer(job, context)


def _new_job(body: requests.JobCreate, context: Context) -> NewJob:
    if (tuned := context.store.model(body.model)) is not None:
        raise ApiError(
            400,
            f"The model `{body.model}` is a tuned one, and training on from a tuned model is not supported by this"
            f" server. Name a base model, such as the one that it was made from, `{tuned.base_model}`.",
            param="model",
            code="unsupported_value",
        )
    base = context.base_model(body.model)
    if base is None:
        # As the live API says it (reported in Denis2054/Transformers-for-NLP-and-Computer-Vision-3rd-Edition, issue 5).
        message = f"Model {body.model} is not available for fine-tuning or does not exist."
        raise ApiError(400, message, code="model_not_available")
    method = "supervised" if body.method is None else body.method.type
    if method == "reinforcement":
        raise ApiError(
            400,
            "The method `reinforcement` is not supported by this server; use `supervised` or `dpo`.",
            param="method.type",
            code="unsupported_value",
        )
    if body.integrations:
        raise ApiError(
            400, "Integrations are not supported by this server.", param="integrations", code="unsupported_value"
        )
    _check_file(body.training_file, "training_file", context)
    if body.validation_file is not None:
        _check_file(body.validation_file, "validation_file", context)
    return NewJob(
        model=base,
        model_name=_model_name(base, body.suffix),
        training_file=body.training_file,
        validation_file=body.validation_file,
        seed=secrets.randbelow(2**31) if body.seed is None else body.seed,
        suffix=body.suffix,
        metadata=body.metadata,
        hyperparameters=_hyperparameters(body, method),
        method=method,
    )


def _check_file(file_id: str, param: str, context: Context) -> None:
    file = context.store.files.get(file_id)
    if file is None:
        raise ApiError(400, f"The file `{file_id}` does not exist.", param=param, code="file_not_found")
    if file.purpose != "fine-tune":
        message = f"The file `{file_id}` has purpose `{file.purpose}`, but must have `fine-tune`."
        raise ApiError(400, message, param=param, code="invalid_file_purpose")
    if file.status != "processed":
        message = f"The file `{file_id}` cannot be used: its status is `{file.status}`."
        raise ApiError(400, message, param=param, code="file_not_processed")


def _hyperparameters(body: requests.JobCreate, method: responses.MethodName) -> responses.Hyperparameters:
    """Those of the method, or else the deprecated ones beside it; what is not given is `auto`."""
    given = body.hyperparameters
    if body.method is not None:
        settings = body.method.dpo if method == "dpo" else body.method.supervised
        given = (settings and settings.hyperparameters) or given
    values = {} if given is None else given.model_dump(exclude_none=True)
    if method == "dpo":
        values.setdefault("beta", "auto")
    return responses.Hyperparameters(**values)


def _model_name(base: str, suffix: str | None) -> str:
    """`ft:BASE:ORG:SUFFIX:ID`; of a model on disk only its last name, of a suffix only what fits between colons."""
    readable = re.sub(r"[^a-z0-9_-]+", "-", (suffix or "").lower())
    return f"ft:{short_name(base)}:personal:{readable}:{secrets.token_hex(4)}"


_BY_METADATA: Json = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": True},  # whatever stands in a query is text
    "description": "Keeps the jobs that have every pair: metadata[key]=value. `metadata=null`: those without any.",
}


@router.get("", responses=lists(responses.Job), openapi_extra={"parameters": [_BY_METADATA]})
def list_jobs(request: Request, context: ContextDep, after: After = None, limit: Limit = 20) -> Response:
    """A page of jobs, newest first; `metadata[key]=value` keeps those that have every given pair."""
    wanted, without = _wanted(request.query_params.multi_items())
    page = context.store.jobs(metadata=wanted, without_metadata=without, after=after, limit=limit)
    return list_response(Page([_wire(job, context) for job in page.items], page.has_more))


def _wanted(query: list[tuple[str, str]]) -> tuple[dict[str, str], bool]:
    """The pairs that a query asks for, and whether it asks for the jobs without any (SDK, JobListParams.metadata)."""
    wanted: dict[str, str] = {}
    without = False
    for name, value in query:
        if name == "metadata" and value == "null":
            without = True
        elif name == "metadata" or name.startswith("metadata["):
            match = _METADATA.fullmatch(name)
            if match is None or len(match[1]) > requests.METADATA_KEY or len(value) > requests.METADATA_VALUE:
                message = (
                    f"Expected `metadata[key]=value`, with a key of at most {requests.METADATA_KEY} characters and no"
                    f" brackets and a value of at most {requests.METADATA_VALUE}, or `metadata=null`."
                )
                raise ApiError(400, message, param=name, code="invalid_value")
            if match[1] in wanted:
                raise ApiError(400, f"`{name}` is given twice.", param=name, code="invalid_value")
            wanted[match[1]] = value
    if len(wanted) > requests.METADATA_PAIRS:
        message = f"At most {requests.METADATA_PAIRS} pairs of metadata can be asked for."
        raise ApiError(400, message, param="metadata", code="object_above_max_properties")
    if without and wanted:
        message = "`metadata=null` asks for jobs without metadata: no pair goes with it."
        raise ApiError(400, message, param="metadata", code="invalid_value")
    return wanted, without


@router.get("/{job_id}", responses=answers(responses.Job, 404))
def retrieve_job(job: _Job, context: ContextDep) -> Response:
    """One job."""
    return _answer(job, context)


@router.post("/{job_id}/cancel", responses=answers(responses.Job, 404))
def cancel_job(job_id: str, context: ContextDep) -> Response:
    """Stop a job for good."""
    return _control(job_id, context, "cancel", context.queue.cancel(job_id))


@router.post("/{job_id}/pause", responses=answers(responses.Job, 404))
def pause_job(job_id: str, context: ContextDep) -> Response:
    """Stop a job until it is resumed; what it has learned is kept."""
    return _control(job_id, context, "pause", context.queue.pause(job_id))


@router.post("/{job_id}/resume", responses=answers(responses.Job, 404))
def resume_job(job_id: str, context: ContextDep) -> Response:
    """Go on with a paused job."""
    return _control(job_id, context, "resume", context.queue.resume(job_id))


def _control(job_id: str, context: Context, verb: str, moved: JobRecord | None) -> Response:
    if moved is None:
        status = _job(job_id, context).status  # 400 and never 409, which the SDK sends again
        raise ApiError(400, f"Cannot {verb} a job whose status is `{status}`.", code="invalid_job_status")
    return _answer(moved, context)


@router.get("/{job_id}/events", responses=lists(responses.Event, 404))
def list_events(job: _Job, context: ContextDep, after: After = None, limit: Limit = 20) -> Response:
    """A page of what happened to a job, newest first."""
    return list_response(context.store.events(job.id, after=after, limit=limit))


@router.get("/{job_id}/checkpoints", responses=lists(responses.Checkpoint, 404, ends=True))
def list_checkpoints(job: _Job, context: ContextDep, after: After = None, limit: Limit = 10) -> Response:
    """A page of a job's checkpoints, newest first."""
    return list_response(context.store.checkpoints(job.id, after=after, limit=limit), ends=True)


def _answer(job: JobRecord, context: Context) -> Response:
    return json_response(_wire(job, context))


def _wire(job: JobRecord, context: Context) -> responses.Job:
    hyperparameters = job.used or job.asked
    settings = responses.MethodSettings(hyperparameters)
    named = {"dpo": settings} if job.method == "dpo" else {"supervised": settings}
    return responses.Job(
        id=job.id,
        created_at=job.created_at,
        model=job.model,
        organization_id=context.store.org_id,
        training_file=job.training_file,
        validation_file=job.validation_file,
        status=job.status,
        seed=job.seed,
        hyperparameters=msgspec.structs.replace(hyperparameters, beta=msgspec.UNSET),
        method=responses.Method(job.method, **named),
        error=job.error,
        finished_at=job.finished_at,
        fine_tuned_model=job.model_name if job.status == "succeeded" else None,
        trained_tokens=job.trained_tokens,
        estimated_finish=job.estimated_finish,
        result_files=[] if job.result_file is None else [job.result_file],
        metadata=job.metadata,
        integrations=[],
        user_provided_suffix=job.suffix,
    )
