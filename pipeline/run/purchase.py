"""The money gate: create_job finds the job that is there, makes a first one, or needs a decision to buy another."""

from pipeline.backends.closing import applies, refuse_new_jobs, warning
from pipeline.backends.cost import estimate, refuse_if_too_much
from pipeline.backends.probing import remembered
from pipeline.config.settings import Config
from pipeline.errors import DecisionNeeded
from pipeline.state.file import CREATE_JOB, Attempt, State
from pipeline.steps.create_job import made_of
from pipeline.steps.outputs import Convert
from pipeline.steps.step import Work

FREE = "embedded:"


def generation_of(config: Config, convert: Convert, state: State, work: Work, why: str, new_job: bool) -> int:
    """Which job of this data and config to have: 0 is the first, each one bought on purpose counts one up.

    What was bought is read from the ledger, which neither `forget` nor a failed step erases: going back to an earlier
    config finds the job that it was bought for.

    Args:
        why: why create_job runs.
        new_job: the user asked to buy another.

    Raises:
        DecisionNeeded: jobs of this account were paid for, this is none of them, and `new_job` was not given.
        InputError: a new job would exceed `create_job.max_tokens` or `max_cost_usd`.
    """
    what, account = made_of(config, convert), work.connection.identity
    bought = [attempt for attempt in _jobs(state, account).values() if attempt.remote_id or attempt.tries]
    same = [attempt for attempt in bought if attempt.made_of == what]
    latest = max(same, key=lambda attempt: attempt.generation, default=None)
    wanted_anew = new_job or (work.connection.profile.free and why == "asked for")
    if latest is not None and not latest.ended and not wanted_anew:
        return latest.generation
    if (bought or state.body.rebuilt) and not new_job and not work.connection.profile.free:
        if latest is None and work.ledger.finds_job(config.create_job, what):
            return 0
        # The state keeps them in no order of time.
        known = latest or max(bought, key=lambda attempt: attempt.first_at or "", default=None)
        if known is not None:
            raise _decision(config, convert, known, why)
        lost = work.ledger.lost_job()
        if lost is not None:
            raise _decision(config, convert, lost, "it was for another config or other data")
        return 0  # nothing is to be seen of what the lost state knew; create_job looks again, with patience
    refuse_if_too_much(config, convert.tokens)
    return 0 if latest is None else latest.generation + 1


def mind_closing(config: Config, state: State, work: Work, *, buys: bool, new_job: bool) -> None:
    """Say on which days the provider stops, and refuse now what it would refuse only after the chats were sent.

    Args:
        buys: a step that buys is to run.

    Raises:
        InputError: it takes no new jobs any more, and none of this account is known that could be found again.
    """
    if not applies(config):
        return
    today, account = work.clock.now().date(), work.connection.identity
    learned = remembered(work.run_dir, account)
    bought = any(attempt.remote_id or attempt.tries for attempt in _jobs(state, account).values())
    if buys and (new_job or not (bought or state.body.rebuilt)):
        refuse_new_jobs(config, today, learned)
    if told := warning(config, today, learned):
        work.display.note(told)


def give_up_others(config: Config, convert: Convert, state: State, work: Work, generation: int) -> None:
    """Cancel the jobs of earlier configs that are not finished; for a backend of our own, where they would go first."""
    account, op = work.connection.identity, work.ledger.op("job", f"{made_of(config, convert)}:{generation}")
    for other, attempt in _jobs(state, account).items():
        if other == op or attempt.ended or attempt.remote_id is None:
            continue
        if work.ledger.give_up_job(attempt.remote_id):
            work.display.note(f"{attempt.remote_id}, which was asked for before, is cancelled: it would go first")


def _jobs(state: State, account: str) -> dict[str, Attempt]:
    """What the ledger says of the jobs of an account, by operation."""
    known = state.body.remote.items()
    return {op: attempt for op, attempt in known if attempt.is_job and attempt.account == account}


def _decision(config: Config, convert: Convert, last: Attempt, why: str) -> DecisionNeeded:
    cost, job = estimate(config, convert.tokens), last.remote_id or "another job"
    if last.ended:
        what, fix = f"{job} came to nothing; another one would cost {cost}", "Give --new-job to buy it."
    else:
        what = f"{job} was bought already; another one would cost {cost}, because {why}"
        fix = "Give --new-job to buy it, or undo the change to keep what you have."
    return DecisionNeeded(CREATE_JOB, what, fix=fix)
