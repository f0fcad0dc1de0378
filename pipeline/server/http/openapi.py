"""The server's own OpenAPI page: what each route answers, taken from the objects that it answers with."""

import http
from typing import Any

import msgspec
from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pipeline.server import requests, responses

Json = dict[str, Any]  # Any: a piece of an OpenAPI document

# The answers' schemas have names of their own: some requests have a `Method` or `Hyperparameters`, too.
_REF = "#/components/schemas/{name}Object"
_OBJECTS = (
    responses.File,
    responses.Upload,
    responses.UploadPart,
    responses.Job,
    responses.Event,
    responses.Checkpoint,
    responses.Model,
    responses.Deleted,
    responses.ChatCompletion,
    responses.ChatChunk,
    responses.TextCompletion,
)
_BODIES: tuple[type[BaseModel], ...] = (
    requests.ChatCreate,
    requests.CompletionCreate,
    requests.JobCreate,
    requests.UploadCreate,
    requests.UploadComplete,
)
_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
# What any route may answer: a request that is wrong, without the key, too frequent, or for a full disk.
_ANYWHERE = (400, 401, 429, 507)
_LARGE = {"post": (413,)}
OPEN_PATHS = frozenset({"/healthz", "/readyz"})  # want no key


def answers(kind: type[msgspec.Struct], *errors: int) -> dict[int | str, Json]:
    """`responses` of a route that answers an object, and refuses with these statuses besides those of every route."""
    return _responses({"application/json": {"schema": _ref(kind)}}, errors)


def lists(kind: type[msgspec.Struct], *errors: int, pages: bool = True, ends: bool = False) -> dict[int | str, Json]:
    """`responses` of a listing; `pages` have `has_more`, and those with `ends` name their first and last item."""
    more: Json = {"has_more": {"type": "boolean"}} if pages else {}
    if ends:
        more |= {name: {"type": ["string", "null"]} for name in ("first_id", "last_id")}
    fields: Json = {"object": {"const": "list"}, "data": {"type": "array", "items": _ref(kind)}, **more}
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return _responses({"application/json": {"schema": schema}}, errors)


def streams(content: dict[str, type[msgspec.Struct] | None], *errors: int) -> dict[int | str, Json]:
    """`responses` of a route whose answer has one of several media types; None is bytes."""
    described = {
        media: {"schema": {"format": "binary"} if kind is None else _ref(kind)} for media, kind in content.items()
    }
    return _responses(described, errors)


def described(media: str, schema: Json, *errors: int) -> dict[int | str, Json]:
    """`responses` of a route that answers none of OpenAI's objects."""
    return _responses({media: {"schema": schema}}, errors)


def takes(body: type[BaseModel]) -> Json:
    """`openapi_extra` of a route that takes a JSON body, one of _BODIES."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def form(file_field: str, *required: str, **fields: Json) -> Json:
    """`openapi_extra` of a route that takes a form with one file in it."""
    properties = {file_field: {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "properties": properties, "required": [file_field, *required]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _responses(content: Json, errors: tuple[int, ...]) -> dict[int | str, Json]:
    good: Json = {"description": "Done.", "content": content}
    return {200: good, **{status: _refusal(status) for status in errors}}


def _refusal(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/ErrorResponse"}
    return {"description": http.HTTPStatus(status).phrase, "content": {"application/json": {"schema": schema}}}


def _ref(kind: type[msgspec.Struct]) -> Json:
    return {"$ref": _REF.format(name=kind.__name__)}


def describe(app: FastAPI) -> None:
    """Have the app's page say what its routes really answer, in place of what the framework supposes."""
    page = app.openapi()  # made once, and kept by the app
    schemas = page["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, components = msgspec.json.schema_components(_OBJECTS, ref_template=_REF)
    schemas |= {f"{name}Object": schema for name, schema in components.items()}
    _, asked = models_json_schema(
        [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
    )
    schemas |= asked["$defs"]
    schemas["ErrorResponse"] = _ERROR
    page["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            if path not in OPEN_PATHS:
                operation["security"] = [{"key": []}]
                operation["responses"] |= {
                    str(status): _refusal(status) for status in (*_ANYWHERE, *_LARGE.get(method, ()))
                }
