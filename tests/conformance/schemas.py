"""The types that raw answers must have: the SDK's own, validated strictly, though the SDK itself never does."""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from openai.types import Completion, FileDeleted, FileObject, Model, ModelDeleted, Upload
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from openai.types.uploads import UploadPart
from pydantic import BaseModel, ConfigDict, TypeAdapter

T = TypeVar("T")
BINARY = {"GET /v1/files/{file_id}/content"}


class Job(FineTuningJob):
    """`paused` is what pausing answers in OpenAI's own examples, though its types have no such status."""

    status: Literal[  # type: ignore[assignment]  # wider on purpose
        "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
    ]


class Models(BaseModel, Generic[T]):
    """A listing in one piece."""

    model_config = ConfigDict(extra="forbid")
    object: Literal["list"]
    data: list[T]


class Page(Models[T], Generic[T]):
    """A page of jobs or events."""

    has_more: bool


class PageWithEnds(Page[T], Generic[T]):
    """A page of files or checkpoints."""

    first_id: str | None
    last_id: str | None


class Error(BaseModel):
    """All four keys, always (OpenAPI specification, Error)."""

    model_config = ConfigDict(extra="forbid")
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """The envelope."""

    model_config = ConfigDict(extra="forbid")
    error: Error


def _adapters(types: dict[str, Any]) -> dict[str, TypeAdapter[object]]:  # Any: what TypeAdapter takes has no name
    return {route: TypeAdapter(kind) for route, kind in types.items()}


ANSWERS = _adapters(
    {
        "POST /v1/files": FileObject,
        "GET /v1/files": PageWithEnds[FileObject],
        "GET /v1/files/{file_id}": FileObject,
        "DELETE /v1/files/{file_id}": FileDeleted,
        "POST /v1/uploads": Upload,
        "POST /v1/uploads/{upload_id}/parts": UploadPart,
        "POST /v1/uploads/{upload_id}/complete": Upload,
        "POST /v1/uploads/{upload_id}/cancel": Upload,
        "POST /v1/fine_tuning/jobs": Job,
        "GET /v1/fine_tuning/jobs": Page[Job],
        "GET /v1/fine_tuning/jobs/{job_id}": Job,
        "POST /v1/fine_tuning/jobs/{job_id}/cancel": Job,
        "POST /v1/fine_tuning/jobs/{job_id}/pause": Job,
        "POST /v1/fine_tuning/jobs/{job_id}/resume": Job,
        "GET /v1/fine_tuning/jobs/{job_id}/events": Page[FineTuningJobEvent],
        "GET /v1/fine_tuning/jobs/{job_id}/checkpoints": PageWithEnds[FineTuningJobCheckpoint],
        "GET /v1/models": Models[Model],
        "GET /v1/models/{model}": Model,
        "DELETE /v1/models/{model}": ModelDeleted,
        "POST /v1/chat/completions": ChatCompletion,
        "POST /v1/completions": Completion,
    }
)
_CHUNK: TypeAdapter[object] = TypeAdapter(ChatCompletionChunk)
_ERROR: TypeAdapter[object] = TypeAdapter(ErrorResponse)


def check_answer(route: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Hold one raw answer to its type; raises what pydantic says, or AssertionError."""
    assert headers["x-request-id"].startswith("req_")
    if status != 200:
        assert headers["content-type"] == "application/json"
        _ERROR.validate_json(body, strict=True)
    elif headers["content-type"].startswith("text/event-stream"):
        *events, done, rest = body.split(b"\n\n")
        assert (done, rest) == (b"data: [DONE]", b"")
        for event in events:
            _CHUNK.validate_json(event.removeprefix(b"data: "), strict=True)
    elif route not in BINARY:
        assert headers["content-type"] == "application/json"
        ANSWERS[route].validate_json(body, strict=True)
