"""`finetune probe`: what the backend of a config can do, asked without spending and kept for the run."""

from collections.abc import Iterator

import msgspec

from pipeline.backends.closing import applies, in_days, warning
from pipeline.backends.probing import Learned, keep
from pipeline.backends.probing import probe as ask
from pipeline.backends.profiles import Profile, profile_of
from pipeline.commands.context import at_work, say
from pipeline.commands.options import AsJson, ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.process.clock import Clock


def told(config: Config, learned: Learned, clock: Clock) -> Iterator[str]:
    """What was learnt and what the profile knows, a line each."""
    profile, today, model = profile_of(config.backend), clock.now().date(), config.create_job.model
    yield f"{profile.title} answers, and takes the key. Nothing was spent, and nothing was changed."
    for name, can in learned.lists.items():
        what = {True: "there is one", False: "there is none", None: "could not be asked now"}[can]
        why = f" ({learned.why[name]})" if name in learned.why else ""
        yield f"A list of {name}: {what}{why}."
    if learned.lists.get("jobs") is False:
        yield "Without a list of jobs, a lost answer needs your decision: `finetune resolve` (docs/reliability.md)."
    if learned.has_model is not None:
        listed = "is among" if learned.has_model else "is not among"
        yield f"{model} {listed} the {learned.models:,} models that it lists{'' if learned.has_model else _UNLISTED}."
    if model in learned.shutdown:
        yield f"It says that {model} goes on {learned.shutdown[model]} ({in_days(learned.shutdown[model], today)})."
    yield from _known(profile)
    if applies(config) and (days := warning(config, today, learned)):
        yield days


_UNLISTED = ", which need not mean that it cannot be tuned"


def _known(profile: Profile) -> Iterator[str]:
    """What no request tells."""
    keeps = {
        "metadata": "It keeps a job's metadata, by which a job of ours is found again.",
        "suffix": "It keeps no metadata; a job of ours is found again by its suffix.",
        "either": "A job of ours is found again by its metadata or its suffix, whichever it keeps.",
    }
    yield keeps[profile.known_by]
    if profile.rate is not None:
        yield f"It takes learning rates themselves: learning_rate_multiplier 1.0 is sent as {profile.rate:g}."
    if profile.deploys is not None:
        yield "A tuned model has to be deployed there: add a section `deploy` (docs/backends.md)."
    if not profile.was_run:
        yield "This backend was never tried against the real service."


def probe(config_path: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Ask the backend what it can do, without spending; the run uses what it says."""
    with at_work(config_path, overrides, asks=True) as (config, _, work):
        if work.connection.profile.free:
            say("Training here is free, and nobody has to be asked. `finetune doctor CONFIG` looks at this machine.")
            return
        learned = ask(work.connection, config.create_job.model, work.clock)
        keep(learned, work.run_dir)
        if as_json:
            say(msgspec.json.encode(learned).decode())
            return
        for line in told(config, learned, work.clock):
            say(line)
