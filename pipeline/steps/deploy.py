"""Optional, between the job and the smoke test: have the tuned model answer, where a backend does not by itself."""

from typing import TYPE_CHECKING

from pipeline.backends.hosting import Hosting, Standing, Tuned, check, fee_of, hosting_of
from pipeline.backends.polling import Pace, wait_until
from pipeline.config.settings import Config
from pipeline.config.settings import Deploy as Settings
from pipeline.errors import BackendFailed, InputError, RemoteEnded
from pipeline.steps.outputs import CreateJob, Deploy, PollJob
from pipeline.steps.step import Step, Work

if TYPE_CHECKING:
    import openai


def see_to_it(config: Config, work: Work) -> None:
    """What deploying takes is looked at before anything is paid for: see `hosting.check`."""
    check(config, work.connection)


def run(config: Config, tuned: PollJob, created: CreateJob, work: Work) -> Deploy:
    """Deploy the tuned model, or find the deployment that is there, and wait until it answers.

    Raises:
        InputError: the backend needs none, the fee is more than allowed, or the role does not suffice.
        RemoteEnded: the backend could not deploy it; carries its reason.
        TryLater: it takes longer than `deploy.timeout_s`.
    """
    check(config, work.connection)
    settings, connection = config.deploy or Settings(), work.connection
    op, hosting = _hosting(config, tuned, created, work)
    fee = fee_of(config, connection)
    if fee:
        work.display.note(f"a deployment costs about ${fee:.2f} an hour until it is removed, used or not")
    name = work.ledger.deploy(hosting, op)
    for other in work.ledger.standing(besides=name):
        work.display.note(f"WARNING: {other} is deployed still, of an earlier model; {_REMOVE} removes it")
    standing = _wait_for(name, hosting, settings, work)
    if standing.has_failed:
        work.ledger.undeploy(hosting, name)
        reason = connection.quote(standing.reason) or "no reason given"
        raise RemoteEnded(
            "deploy", f"{name} ended as {standing.said} ({reason})", fix=f"Change what it names. {work.go_on}"
        )
    return Deploy(name, tuned.model)


_REMOVE = "`finetune delete CONFIG --deployments`"


def _hosting(config: Config, tuned: PollJob, created: CreateJob, work: Work) -> tuple[str, Hosting]:
    settings = config.deploy or Settings()
    made_of = f"{tuned.model}:{created.job}:{settings.sku}:{settings.capacity}:{settings.resource}"
    op = work.ledger.op("deployment", made_of)
    step = tuned.kept.step if tuned.kept else None
    model = Tuned(tuned.model, created.job, config.create_job.model, step)
    return op, hosting_of(config, work.connection, f"finetune-{op[:12]}", model)


def _wait_for(name: str, hosting: Hosting, settings: Settings, work: Work) -> Standing:
    profile, told = work.connection.profile, set[str]()

    def standing(client: "openai.OpenAI") -> Standing:
        return hosting.standing(client, name)

    def look() -> Standing:
        found = work.connection.look("deploy", standing)
        if found.said not in told and not (found.is_up or found.has_failed):
            told.add(found.said)
            work.display.note(f"{name} is {found.said}")
        return found

    return wait_until(
        "deploy",
        look,
        lambda found: found.is_up or found.has_failed,
        pace=Pace(profile.interval_s, profile.max_interval_s, settings.timeout_s, settings.timeout_s),
        clock=work.clock,
        go_on=work.go_on,
        complain=work.display.note,
    )


def clean_up(config: Config, tuned: PollJob, created: CreateJob, work: Work) -> None:
    """Once all that asks the model is done: remove what was deployed, if `deploy.cleanup` says so."""
    names = work.ledger.standing()
    if not names:
        return
    if config.deploy is not None and config.deploy.cleanup:
        _, hosting = _hosting(config, tuned, created, work)
        for name in names:
            try:
                work.ledger.undeploy(hosting, name)
                work.display.note(f"{name} is removed from the backend, as deploy.cleanup says")
            except (BackendFailed, InputError) as error:
                work.display.note(f"WARNING: {name} could not be removed; do it in the dashboard. {error}")


def tell_what_stands(config: Config, work: Work) -> None:
    """A run that fails leaves what was deployed, for the next one; what that costs has to be said."""
    fee = fee_of(config, work.connection)
    for name in work.ledger.standing() if fee else ():
        work.display.note(f"WARNING: {name} stands, at about ${fee:.2f} an hour; {_REMOVE} removes it")


STEP = Step(
    name="deploy",
    version=1,
    needs=("poll_job", "create_job"),
    declares=("deploy.sku", "deploy.capacity", "deploy.resource"),
    also_reads=("deploy", "create_job.model"),
    output=Deploy,
    run=run,
    remote=True,
    before_all=see_to_it,
    sent_for=("smoke_test", "evaluate"),
    at_end=clean_up,
    when_failed=tell_what_stands,
    section="deploy",
)
