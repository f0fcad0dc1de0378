"""A base model by its name on the Hugging Face Hub: fetched before the first step, and its commit kept in the state.

From then on the run's config says `org/name@sha`: that is what the steps' fingerprints hold, what the embedded server
is told, and what needs no question to the Hub any more.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.config.settings import Config
from pipeline.models import hub_cache
from pipeline.state.file import State
from pipeline.wording import in_bytes

if TYPE_CHECKING:
    from pipeline.steps.step import Step, Work

KEY = "create_job.model"


def pinned(config: Config, state: State) -> Config:
    """The config with the commit that this run takes of its base model, once that is known."""
    name = config.create_job.model
    sha = state.body.models.get(name)
    return config if sha is None or not _is_of_the_hub(config) else _with(config, hub_cache.pin(name, sha))


def settle(config: Config, state: State, work: "Work", to_run: "Sequence[Step]") -> Config:
    """See that the base model is here and can be trained, if a step that is going to run works with it.

    Raises:
        FinetuneError: it cannot be had or trained; nothing has been done yet.
    """
    if not _is_of_the_hub(config) or not any(step.remote or KEY in step.declares for step in to_run):
        return config
    asked, sha = config.create_job.model, _sha(config, state, work)
    is_new = sha not in state.body.models.values()
    if is_new or any(step.buys for step in to_run):
        work.display.preparing("check the model")
        work.connection.check_model()
    work.display.end("")
    if is_new:
        state.body.models[asked] = sha
        state.save()
    return _with(config, hub_cache.pin(asked, sha))


def bring_back(config: Config, state: State, work: "Work") -> None:
    """See that the base model of a run that is done is still here: a cache may have been emptied."""
    if _is_of_the_hub(config):
        _sha(config, state, work)
        work.display.end("")


def _sha(config: Config, state: State, work: "Work") -> str:
    """The commit to take, which is whole in the cache on return."""
    from pipeline.fetch.hub import fetch

    name = config.create_job.model
    asked = hub_cache.parse(name)
    is_known = any(hub_cache.pin(each, sha) == name for each, sha in state.body.models.items())
    if asked is None:
        raise ValueError(f"{name} is no name of the Hub")
    if is_known and asked.sha is not None and hub_cache.snapshot(asked) is not None:
        return asked.sha
    work.display.preparing("fetch the model")
    found = fetch(
        name,
        progress=lambda done, total: work.display.progress(
            done, total, f"{asked.repo}: {in_bytes(done)} of {in_bytes(total)}"
        ),
        note=work.display.note,
        pinned=is_known,
    )
    work.connection.use_model(hub_cache.pin(name, found.sha))
    how = f"fetched, {in_bytes(found.missing)}" if found.missing else "here already"
    work.display.note(f"{asked.repo} at commit {found.sha[:7]}: {how}; in {hub_cache.cache()}")
    return found.sha


def _is_of_the_hub(config: Config) -> bool:
    """Whether it is trained here, and by that name; a mocked API may have models of its own that are called so."""
    backend, name = config.backend, config.create_job.model
    if backend.kind != "embedded" or hub_cache.parse(name) is None:
        return False
    if backend.script is None:
        return True
    from pathlib import Path

    from pipeline.training.scripted import read_script

    return name not in read_script(Path(backend.script)).base_models


def _with(config: Config, model: str) -> Config:
    return config.model_copy(update={"create_job": config.create_job.model_copy(update={"model": model})})
