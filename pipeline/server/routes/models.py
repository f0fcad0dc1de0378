"""/v1/models: base models, and those tuned here."""

from fastapi import APIRouter, Response

from pipeline.inference.protocol import ModelRef
from pipeline.server import responses
from pipeline.server.context import Context, ContextDep
from pipeline.server.http.envelope import ApiError, json_response
from pipeline.server.http.openapi import answers, lists

router = APIRouter(prefix="/v1/models")

BASE_CREATED = 1730419200  # 2024-11-01, when SmolLM2 came out; the API wants some number
BASE_OWNER = "system"


@router.get("", responses=lists(responses.Model, pages=False))
def list_models(context: ContextDep) -> Response:
    """Every model there is to talk to, checkpoints aside."""
    tuned = [responses.Model(model.name, model.created_at, context.store.org_id) for model in context.store.models()]
    base = [_base(name) for name in context.base_models()]
    aliases = [_described(context, name) for name, _ in context.settings.aliases]
    return json_response({"object": "list", "data": [*filter(None, aliases), *tuned, *base]})


# `path`, because the name of a model may hold a slash, which the SDK sends percent-encoded and the server decodes.
@router.get("/{model:path}", responses=answers(responses.Model, 404))
def retrieve_model(model: str, context: ContextDep) -> Response:
    """One model or checkpoint."""
    described = _described(context, model)
    if described is None:
        raise unknown_model(model)
    return json_response(described)


@router.delete("/{model:path}", responses=answers(responses.Deleted, 403, 404))
def delete_model(model: str, context: ContextDep) -> Response:
    """Forget a tuned model and free its adapter."""
    if context.meant(model) != model:
        raise ApiError(403, f"The model `{model}` is an alias of this server: it cannot be deleted.", param="model")
    adapters = context.store.delete_model(model)
    if adapters:
        for adapter in adapters:
            context.chats.engine.unload(adapter)
        return json_response(responses.Deleted(model, "model"))
    if context.base_model(model) is not None:
        raise ApiError(403, f"The model `{model}` is a base model: it cannot be deleted.", param="model")
    raise unknown_model(model)


def find_model(name: str, context: Context) -> ModelRef:
    """The model that a chat names.

    Raises:
        ApiError: there is none.
    """
    own = context.meant(name)
    tuned, adapter = context.store.model(own), context.store.adapter_path(own)
    if tuned is not None and adapter is not None:
        return ModelRef(tuned.base_model, adapter)
    if (base := context.base_model(own)) is not None:
        return ModelRef(base)
    raise unknown_model(name)


def unknown_model(name: str) -> ApiError:
    """The answer to a model that is not here."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


def _described(context: Context, name: str) -> responses.Model | None:
    """A model by the name that it was asked for by."""
    own = context.meant(name)
    if (tuned := context.store.model(own)) is not None:
        return responses.Model(name, tuned.created_at, context.store.org_id)
    return _base(name) if context.base_model(own) is not None else None


def _base(name: str) -> responses.Model:
    return responses.Model(name, BASE_CREATED, BASE_OWNER)
