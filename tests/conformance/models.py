"""Walks through /v1/models."""

from tests.conformance.api import Api, Case
from tests.conformance.jobs import finished_job
from tests.server.harness import BASE


async def _round(api: Api) -> None:
    job = await finished_job(api)
    name = job.fine_tuned_model
    assert name is not None

    listed = [model.id for model in await api.all(lambda c: c.models.list())]
    seen = await api.ask(lambda c: c.models.retrieve(name))
    gone = await api.ask(lambda c: c.models.delete(name))

    assert {name, BASE} <= set(listed)
    assert (seen.id, seen.owned_by) == (name, job.organization_id)
    assert (gone.id, gone.object, gone.deleted) == (name, "model", True)
    refused = await api.refused(lambda c: c.models.retrieve(name))
    assert (refused["status"], refused["code"]) == (404, "model_not_found")
    again = await api.ask(lambda c: c.fine_tuning.jobs.retrieve(job.id))
    assert again.fine_tuned_model == name


CASES = [
    Case(
        "a tuned model is listed, described and deleted",
        ("GET /v1/models", "GET /v1/models/{model}", "DELETE /v1/models/{model}"),
        _round,
    )
]
