"""Step 11, optional: does it sound like them, does it make sense, does it leak; in words."""

from typing import TYPE_CHECKING

from pipeline.backends.cost import chat_prices
from pipeline.config.settings import Config
from pipeline.config.settings import Evaluate as Settings
from pipeline.durable import atomic_writer
from pipeline.errors import ExpectationNotMet, InputError
from pipeline.sessions.session import OWNER
from pipeline.steps.outputs import Convert, Deploy, Evaluate, Load, Map, PollJob
from pipeline.steps.step import Step, Work

if TYPE_CHECKING:
    from pipeline.evaluation.measure import Limits
    from pipeline.evaluation.plan import Counts
    from pipeline.evaluation.whole import Chats, Subject
    from pipeline.models.chat_format import ChatFormat

EVALUATION = "11_evaluation.json"
_AT_ONCE_HERE, _AT_ONCE_THERE = 8, 4  # here they are computed together, see inference/batching.py


def run(
    config: Config, tuned: PollJob, converted: Convert, mapped: Map, load: Load, deployed: Deploy | None, work: Work
) -> Evaluate:
    """Measure the tuned model against what was held out; write 11_evaluation.json.

    Raises:
        InputError: it would cost more than `evaluate.max_cost_usd`.
        ExpectationNotMet: `evaluate.fail_on` is met; the file is kept all the same.
    """
    from pipeline.evaluation.asking import Backend
    from pipeline.evaluation.journal import NAME, Journal
    from pipeline.evaluation.verdict import leaked
    from pipeline.evaluation.whole import encoded, evaluate, identity_of, read_chats

    settings = config.evaluate or Settings()
    model = deployed.name if deployed else tuned.model
    subject = _subject(config, model, converted, mapped, load, work)
    chats = read_chats(subject)
    limits = _limits(config, settings, tuned, chats, work)
    models = Backend(work.connection, _format(config))
    held_out = converted.valid.sha256 if converted.valid else None
    identity = identity_of(subject, converted.train.sha256, held_out, settings.temperature)
    with Journal(work.run_dir / NAME, identity) as journal:
        found = evaluate(subject, chats, models, limits, journal, work.clock, work.display.progress)
    with atomic_writer(work.run_dir / EVALUATION) as file:
        file.write(encoded(found))
    work.display.table(found.lines()[1:])  # the first is the step's own line
    if settings.fail_on == "leak" and found.leaks is not None and found.leaks.is_leak:
        raise ExpectationNotMet(
            "evaluate.fail_on",
            f"{tuned.model} leaks ({leaked(found.leaks)})",
            fix=f"Read {work.run_dir / EVALUATION}; change what is trained on, or take evaluate.fail_on away.",
        )
    return Evaluate(file.artifact(EVALUATION), found.verdict[0])


def _subject(config: Config, model: str, converted: Convert, mapped: Map, load: Load, work: Work) -> "Subject":
    from pipeline.evaluation.whole import Subject
    from pipeline.sessions.senders import names_in

    assistant, epochs = config.map.assistant, config.create_job.hyperparameters.n_epochs
    named = assistant if isinstance(assistant, str) and assistant != OWNER else None
    who = config.convert.me or named or "you"
    return Subject(
        tuned=model,
        base=work.connection.profile.serving_name(config.create_job.model),
        who=who,
        train=work.run_dir / converted.train.path,
        valid=work.run_dir / converted.valid.path if converted.valid else None,
        weights=converted.weights,
        people={name for name in names_in(work.run_dir / mapped.sessions.path) if name not in (who, OWNER)},
        region=config.convert.region or load.region,
        epochs=epochs if isinstance(epochs, int) else None,
        canaries=config.evaluate.canaries if config.evaluate else 0,
        name=config.name,
        system=converted.system_prompt,
    )


def _limits(config: Config, settings: Settings, tuned: PollJob, chats: "Chats", work: Work) -> "Limits":
    """Time and money; what it will cost is told before."""
    from pipeline.evaluation import plan
    from pipeline.evaluation.measure import Limits

    events = work.run_dir / tuned.events.path if tuned.events else None
    seconds = settings.budget_s or max(plan.LEAST_S, plan.SHARE * plan.training_seconds(events))
    if work.connection.profile.free:
        return Limits(settings.temperature, _AT_ONCE_HERE, seconds)
    prices = chat_prices(config)
    context, most = plan.context_tokens(chats.held_out), plan.most_tokens([reply.text for reply in chats.known])
    most_usd = settings.max_cost_usd

    def usd(counts: "Counts") -> float | None:
        return None if prices is None else plan.cost_of(counts, plan.Prices(*prices), context, most)

    wished, least = usd(plan.WISHED), usd(plan.LEAST)
    if most_usd is not None and (least is None or least > most_usd):
        raise InputError(
            "evaluate.max_cost_usd",
            "what the answers cost is not known here" if least is None else f"it costs about ${least:,.2f} at least",
            got=f"${most_usd:,.2f}",
            fix="Set it to null to go on all the same, or take the section evaluate away. Nothing was asked.",
        )
    told = "a price that is not known here"
    if wished is not None:
        told = f"about ${min(wished, most_usd or wished):,.2f} at most"
    work.display.note(f"asking {work.connection.profile.title} costs {told}")
    dear = (lambda counts: (usd(counts) or 0) > most_usd) if most_usd is not None else (lambda _: False)
    return Limits(settings.temperature, _AT_ONCE_THERE, seconds, dear)


def _format(config: Config) -> "ChatFormat | None":
    """The base model's chat format, where it is on this machine; likelihoods are asked for in its words."""
    from pipeline.models import base_models
    from pipeline.models.chat_format import ChatFormat

    is_ours = config.backend.kind in ("embedded", "compatible") and config.backend.trainer != "scripted"
    if not is_ours or not base_models.is_known(config.create_job.model):
        return None
    try:
        return ChatFormat(base_models.prepare(config.create_job.model))
    except InputError:
        return None


STEP = Step(
    name="evaluate",
    version=1,
    needs=("poll_job", "convert", "map", "load"),
    declares=("evaluate", "create_job.model", "map.assistant", "convert.me"),
    also_reads=("backend.kind", "backend.trainer", "convert.region", "create_job.hyperparameters", "name"),
    output=Evaluate,
    run=run,
    remote=True,
    maybe=("deploy",),
    section="evaluate",
)
