"""`finetune delete`: what a run keeps of the chats and of the model, here and on the backend, removed on request."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.backends.hosting import hosting_of
from pipeline.commands.context import at_work, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config, run_directory
from pipeline.errors import InputError
from pipeline.state.file import State
from pipeline.wording import counted, in_bytes

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

    from pipeline.steps.step import Work

_DATA = ("01_archive*", "02_*", "03_*", "04_*", "05_*", "10_*", "11_*", "chat-*", "report*", "run.log*", "studio-*")
"""What holds text of chats, or may: the archive, all made of it, answers, conversations, pages, the log."""

_EXPORTED = "export-*"
"""The model as files for other programs, where `finetune export` puts it of itself."""


@dataclass
class Plan:
    """What is going to be deleted.

    Attributes:
        files, models, deployments: on the backend, by id and name.
        paths: here.
    """

    files: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    deployments: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    def lines(self, where: str) -> Iterable[str]:
        """For a person, a line each."""
        for name in self.deployments:
            yield f"{where}: the deployment {name}"
        for name in self.models:
            yield f"{where}: the model {name}"
        for name in self.files:
            yield f"{where}: the training file {name}"
        for path in self.paths:
            yield f"here: {path} ({in_bytes(_size(path))})"


def planned(
    config: Config, state: State, work: "Work", *, model: bool, deployments: bool, data: bool, everything: bool
) -> Plan:
    """What there is to delete; asks the backend which models came of the jobs that are written down."""
    run_dir = run_directory(config.name)
    if everything:
        # The embedded backend keeps all that it has in the run's directory.
        model = data = config.backend.kind != "embedded"
    plan = Plan()
    made = [each for each in state.body.remote.values() if each.account == work.connection.identity and each.remote_id]
    if model or deployments:  # a model that is deployed cannot be deleted everywhere
        plan.deployments = work.ledger.standing()
    if model:
        jobs = [_job(work, each.remote_id or "") for each in made if each.is_job]
        plan.models = [job.fine_tuned_model for job in jobs if job and job.fine_tuned_model]
        plan.paths += sorted(run_dir.glob(_EXPORTED))
    if data:
        plan.files = [each.remote_id or "" for each in made if each.is_file and not each.deleted]
        plan.paths += sorted({path for pattern in _DATA for path in run_dir.glob(pattern)})
    if everything:
        plan.paths = [run_dir]
    return plan


def _job(work: "Work", job_id: str) -> "FineTuningJob | None":
    import openai

    def retrieve(client: openai.OpenAI) -> "FineTuningJob | None":
        try:
            return client.fine_tuning.jobs.retrieve(job_id)
        except openai.NotFoundError:
            return None

    return work.connection.ask("delete", retrieve)


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())
    return path.lstat().st_size


def delete(
    config_path: ConfigPath,
    model: Annotated[bool, typer.Option("--model", help="The tuned models on the backend.")] = False,
    deployments: Annotated[bool, typer.Option("--deployments", help="Where the tuned models answer.")] = False,
    data: Annotated[bool, typer.Option("--data", help="The chats: here, and the files that were sent.")] = False,
    everything: Annotated[bool, typer.Option("--everything", help="Both, and the whole run directory.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    overrides: Overrides = None,
) -> None:
    """Delete the model, the chats, or everything of a run, here and on the backend."""
    if not (model or deployments or data or everything):
        raise InputError("delete", "what is to be deleted?", fix="Add --model, --deployments, --data or --everything.")
    with at_work(config_path, overrides, asks=True) as (config, state, work):
        plan = planned(config, state, work, model=model, deployments=deployments, data=data, everything=everything)
        where = work.connection.profile.title
        for line in plan.lines(where):
            say(line)
        if not (plan.files or plan.models or plan.deployments or plan.paths):
            say("There is nothing to delete.")
            return
        if dry_run or not (yes or _agreed()):
            say("Nothing was deleted.")
            return
        # The backend first: its ids stand in what is deleted here.
        undeploy(config, work, plan.deployments)
        for name in plan.models:
            work.ledger.delete_model(name)
        for name in plan.files:
            work.ledger.delete_file(name)
        kept = [path for path in plan.paths if path != run_directory(config.name)]
        for path in kept:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if everything:  # after the embedded server has ended, which works in it
        shutil.rmtree(run_directory(config.name))
    gone = [counted(len(names), what) for names, what in _kinds(plan) if names]
    say(f"Deleted: {', '.join(gone)}.")
    say(_beyond(config, where, config_path))


def undeploy(config: Config, work: "Work", names: Sequence[str]) -> None:
    """Remove deployments, wherever the ledger says that they were made.

    Raises:
        InputError: the backend does not let us.
    """
    for name in names:
        hosting = hosting_of(config, work.connection, name, None, work.ledger.where_deployed(name))
        work.ledger.undeploy(hosting, name)


def _kinds(plan: Plan) -> Iterable[tuple[list[str] | list[Path], str]]:
    return (
        (plan.deployments, "deployment"),
        (plan.models, "model"),
        (plan.files, "file on the backend"),
        (plan.paths, "path"),
    )


def _agreed() -> bool:
    """Whether a person says yes.

    Raises:
        InputError: nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise InputError("delete", "nobody is there to be asked", fix="Add --yes to delete without a question.")
    return typer.prompt("Delete this? It cannot be undone [y/N]", default="n", show_default=False).lower() in (
        "y",
        "yes",
    )


def _beyond(config: Config, where: str, path: Path) -> str:
    """What this command cannot take back."""
    yours = f"The archive that you gave and {path} are yours and stay"
    if config.backend.kind == "embedded":
        return f"{yours}; so do copies in backups, and whatever you passed on."
    return f"{yours}. What {where} keeps in its logs and backups, and whatever you passed on, no command takes back."
