"""What requests may say. A field this server does not know is refused; null counts as left out where OpenAI says so."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

Auto = Literal["auto"]

MAX_MESSAGES = 2048  # as the live API refuses it: "Expected an array with maximum length 2048"
# As the live API refuses it: "Expected a string with maximum length 10485760" (FlowiseAI/Flowise, issue 5085).
MAX_TEXT = 10_485_760
METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512  # OpenAI API reference, metadata; lengths in characters
MAX_PROMPTS = 2048  # our own, of one request, each counted `n` times
MAX_PROMPT_TOKENS = 65_536  # our own, of one request: to tell the odds of each takes a kilobyte
MAX_NAME = 4096  # our own, of the name of a model or a file: no path is longer (Linux, PATH_MAX)
MAX_UPLOAD_PARTS = 10_000  # our own; Amazon S3 takes as many

Name = Annotated[str, Field(max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class Body(BaseModel):
    """Strict: a number in quotes is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ExpiresAfter(Body):
    """When a file shall be deleted."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class UploadCreate(Body):
    """POST /v1/uploads. `mime_type` is asked for and not used: a purpose takes one kind of file here."""

    filename: Annotated[str, Field(min_length=1, max_length=1024)]
    purpose: Name
    bytes: Annotated[int, Field(ge=1)]
    mime_type: Name
    expires_after: ExpiresAfter | None = None


class UploadComplete(Body):
    """POST /v1/uploads/{upload_id}/complete."""

    part_ids: Annotated[list[Name], Field(fail_fast=True, min_length=1, max_length=MAX_UPLOAD_PARTS)]
    md5: Name | None = None


class Hyperparameters(Body):
    """OpenAI's ranges for supervised fine-tuning."""

    n_epochs: Annotated[int, Field(ge=1, le=50)] | Auto | None = None
    batch_size: Annotated[int, Field(ge=1, le=256)] | Auto | None = None
    learning_rate_multiplier: Annotated[float, Field(gt=0)] | Auto | None = None


class Supervised(Body):
    """Settings of the supervised method."""

    hyperparameters: Hyperparameters | None = None


class DpoHyperparameters(Hyperparameters):
    """OpenAI's ranges for direct preference optimisation."""

    beta: Annotated[float, Field(gt=0, le=2)] | Auto | None = None


class Dpo(Body):
    """Settings of the DPO method."""

    hyperparameters: DpoHyperparameters | None = None


class Method(Body):
    """The method by its type; settings of the methods that `type` does not name are ignored, as OpenAI does."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: Any = None  # a method that is refused by name

    @model_validator(mode="before")
    @classmethod
    def _drop_unnamed(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        unnamed = {"supervised", "dpo", "reinforcement"} - {str(data.get("type"))}
        return {name: value for name, value in data.items() if name not in unnamed}


class JobCreate(Body):
    """POST /v1/fine_tuning/jobs."""

    model: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    training_file: Name
    validation_file: Name | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=METADATA_KEY)], Annotated[str, Field(max_length=METADATA_VALUE)]],
            Field(max_length=METADATA_PAIRS),
        ]
        | None
    ) = None
    integrations: list[Any] | None = None


class TextPart(Body):
    """The one kind of content part there is here."""

    type: Literal["text"]
    text: Text
    prompt_cache_breakpoint: Any = None  # changes nothing in the answer


class Message(Body):
    """One turn. `name` is accepted and not shown to the model: its chat template has no place for it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(fail_fast=True, min_length=1)]
    name: str | None = None
    refusal: None = None
    audio: None = None
    tool_calls: None = None
    function_call: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None  # in an answer of OpenAI's that is sent back


class StreamOptions(Body):
    """What a stream carries besides text."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class ChatCreate(BaseModel):
    """POST /v1/chat/completions. Fields not declared here land in `model_extra` and are judged one by one."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    messages: Annotated[list[Message], Field(fail_fast=True, min_length=1, max_length=MAX_MESSAGES)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: Name | Annotated[list[Name], Field(fail_fast=True, min_length=1, max_length=4)] | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # They change nothing in the answer: who asks, and where OpenAI would look for a cached prompt.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None


def _check_prompt(value: object) -> str | list[str] | list[list[int]]:
    """A prompt in any of its four forms; one of token ids becomes a list of one such prompt.

    Each form would complain by itself if it was left to a union.
    """
    if isinstance(value, str):
        return _check_text(value)
    if isinstance(value, list):
        if not value:
            raise PydanticKnownError("too_short", {"field_type": "List", "min_length": 1, "actual_length": 0})
        if all(type(each) is int for each in value):
            return [_check_ids(value)]
        if len(value) > MAX_PROMPTS:
            lengths = {"field_type": "List", "max_length": MAX_PROMPTS, "actual_length": len(value)}
            raise PydanticKnownError("too_long", lengths)
        if all(isinstance(each, str) for each in value):
            return [_check_text(each) for each in value]
        if all(isinstance(each, list) and all(type(token) is int for token in each) for each in value):
            return [_check_ids(each) for each in value]
    expected = "Expected a string, a list of strings, a list of token ids, or a list of such lists"
    raise PydanticCustomError("prompt", expected)


def _check_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_TEXT})
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        raise PydanticKnownError("string_unicode") from None
    return text


def _check_ids(ids: list[int]) -> list[int]:
    if any(token < 0 for token in ids):
        raise PydanticCustomError("token", "Token ids begin at 0")
    return ids


_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MAX_PROMPTS}
_PROMPT = {"anyOf": [{"type": "string", "minLength": 1}, _TEXTS, _IDS, {"type": "array", "items": _IDS, "minItems": 1}]}


class CompletionCreate(BaseModel):
    """POST /v1/completions. As in ChatCreate, other fields are judged one by one."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    prompt: Annotated[str | list[str] | list[list[int]], PlainValidator(_check_prompt), WithJsonSchema(_PROMPT)]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: Name | Annotated[list[Name], Field(fail_fast=True, min_length=1, max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None  # changes nothing in the answer
