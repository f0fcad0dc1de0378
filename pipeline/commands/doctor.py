"""`finetune doctor`: whether all that a run needs is there, each thing with what mends it. Changes nothing."""

import datetime
import fcntl
import os
import platform
import shutil
import socket
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from pipeline.backends.client import Connection
from pipeline.backends.closing import refuse_new_jobs, warning
from pipeline.backends.hosting import check
from pipeline.backends.profiles import PROFILES
from pipeline.commands.context import say
from pipeline.commands.options import Overrides
from pipeline.config.file import load_config
from pipeline.config.settings import Config, listed, run_directory
from pipeline.durable import expand_home, reading
from pipeline.errors import FinetuneError, InputError, TryLater
from pipeline.fetch.local import explain, missing_log
from pipeline.models import base_models, hub_cache
from pipeline.models.environment import require_libraries
from pipeline.network import Transient
from pipeline.process.clock import SystemClock
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.streams import show_in_place
from pipeline.wording import counted, in_bytes

MESSAGES = Path("~/Library/Messages/chat.db")
_GB = 1_000_000_000
_DISK_NEEDED, _DISK_WANTED = 1 * _GB, 4 * _GB  # the converted base model and a run's checkpoints; several runs
_MEMORY_WANTED = 2 * _GB  # SmolLM2-135M in training takes 1.5 GB


class Finding(NamedTuple):
    """What came of one check.

    Attributes:
        level: "fail" if a run cannot go well, "warn" if it may not; "wait" if nothing was found yet, but soon will be.
        fix: a sentence; "" where nothing is to be done.
    """

    level: Literal["ok", "warn", "fail", "wait"]
    what: str
    said: str
    fix: str = ""


def examine(path: Path | None, overrides: Sequence[str] = ()) -> Iterator[Finding]:
    """Check one thing after the other, the slow ones last.

    Args:
        path: a config, to check what that run needs; without one, what training on this machine needs.
        overrides: KEY=VALUE, as for `load_config`.
    """
    config = None
    yield _python()
    if path is not None:
        try:
            config = load_config(path, overrides)
        except FinetuneError as error:
            yield from (Finding("fail", "config", mistake) for mistake in str(error).splitlines())
        else:
            yield Finding("ok", "config", f"{path}, run {config.name}")
    run_dir = Path("runs") if config is None else run_directory(config.name)
    yield from _directory(_existing(run_dir))
    yield _disk(_existing(run_dir))
    yield _memory()
    yield from _archive(config)
    if config is None:
        yield _keys()
    elif config.backend.kind != "embedded":
        yield from _hosted(config)
    if config is None or (config.backend.kind == "embedded" and config.backend.trainer == "lora"):
        yield from _training(config)


def _python() -> Finding:
    """Which one this is; one that is too old does not come this far."""
    return Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def _directory(folder: Path) -> Iterator[Finding]:
    """Files can be made there, kept private, and locked: what state.json and the embedded store stand on."""
    try:
        with tempfile.TemporaryDirectory(prefix=".finetune-doctor-", dir=folder) as scratch:
            file = Path(scratch) / "lock"
            file.touch(mode=0o600)
            private = stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
            locks = _locks(file)
    except OSError as error:
        yield Finding(
            "fail", "folder", f"{folder} cannot be written to ({error.strerror})", "Work in a folder of your own."
        )
        return
    if not locks:
        yield Finding(
            "fail",
            "folder",
            f"{folder} is on a file system without locks",
            "Work on a local disk: two runs at once could damage each other.",
        )
    elif not private:
        yield Finding(
            "warn",
            "folder",
            f"{folder} is on a file system that everybody on this machine can read",
            "Work in your home folder, if others use this machine.",
        )
    else:
        yield Finding("ok", "folder", f"{folder} can be written to, has locks and keeps files private")


def _locks(file: Path) -> bool:
    """Whether a second lock on `file` is refused."""
    with file.open("rb") as first, file.open("rb") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / _GB:,.1f} GB free in {folder}"
    if free < _DISK_NEEDED:
        return Finding("fail", "disk", said, "Free some space: a run takes about 1 GB.")
    if free < _DISK_WANTED:
        return Finding("warn", "disk", said, "Free some space before several runs: each takes about 1 GB.")
    return Finding("ok", "disk", said)


def _memory() -> Finding:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        return Finding("ok", "memory", "not looked at: the package psutil is not installed")
    free, total = int(psutil.virtual_memory().available), int(psutil.virtual_memory().total)
    said = f"{free / _GB:,.1f} GB of {total / _GB:,.1f} GB available"
    if free < _MEMORY_WANTED:
        return Finding("warn", "memory", said, "Close other programs before training here: it takes about 2 GB.")
    return Finding("ok", "memory", said)


def _archive(config: Config | None) -> Iterator[Finding]:
    """The archives can be read: on a Mac, Messages' own only with Full Disk Access."""
    if config is None and sys.platform != "darwin":
        return
    for source in [str(MESSAGES)] if config is None else listed(config.download.source):
        yield from _one_archive(source, config)


def _one_archive(source: str, config: Config | None) -> Iterator[Finding]:
    if "://" in source or source.startswith("sample:"):
        return
    try:
        path = expand_home(source, "download.source")
    except InputError as error:
        yield Finding("fail", "archive", f"{source}: {error.what}", error.fix)
        return
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            with reading(path) as file:
                file.read(16)
    except FileNotFoundError:
        if config is not None:
            yield Finding("fail", "archive", f"{source} is not there", "Check `download.source`.")
    except OSError as error:
        refused = explain(path, error)
        yield Finding("warn" if config is None else "fail", "archive", f"{source}: {refused.what}", refused.fix)
    else:
        what, fix = missing_log(path) or ("", "")
        yield Finding("warn" if what else "ok", "archive", f"{source} can be read{what and f', but {what}'}", fix)


def _training(config: Config | None) -> Iterator[Finding]:
    """What training on this machine needs: a loopback address, packages, the base model, a device."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        yield Finding("fail", "loopback", f"no port on 127.0.0.1 ({error.strerror})", "Let programs listen on it.")
    try:
        require_libraries()
    except InputError as error:
        yield Finding("fail", "packages", error.what, error.fix)
        return
    yield Finding("ok", "packages", "all are installed")
    yield _base_model("smollm2-135m-instruct" if config is None else config.create_job.model)
    yield Finding("wait", "device", "asking torch, which takes some seconds …")
    yield _device()


def _base_model(name: str) -> Finding:
    hub_name = hub_cache.parse(name)
    if hub_name is not None:
        return _of_the_hub(name, hub_name)
    if not base_models.is_known(name):
        return Finding(
            "fail",
            "base model",
            f"{name} is no known name, no name on the Hugging Face Hub and no Hugging Face directory",
            f"Set create_job.model to {', '.join(base_models.BASE_MODELS)}, to ORG/NAME on the Hub or to a path.",
        )
    if base_models.is_prepared(name):
        return Finding("ok", "base model", f"{name} is ready")
    try:
        base_models.find_gguf(name)
    except InputError as error:
        return Finding("fail", "base model", error.what, error.fix)
    return Finding("ok", "base model", f"{name} is installed; the first run converts it, once (about 25 s)")


def _of_the_hub(name: str, asked: hub_cache.HubName) -> Finding:
    """The Hub is asked only for what is not here yet, and nothing is fetched."""
    from pipeline.fetch.hub import fetch

    if (there := hub_cache.snapshot(asked)) is not None:
        return Finding("ok", "base model", f"{asked.repo} at commit {there.name[:7]} is in {hub_cache.cache()}")
    notes: list[str] = []
    try:
        found = fetch(name, look=True, note=notes.append)
    except TryLater as error:
        return Finding("warn", "base model", f"{asked.repo}: {error.what}", error.fix)
    except FinetuneError as error:
        got = "" if error.got is None else f", got {error.got}"
        return Finding("fail", "base model", f"{asked.repo}: {error.what}{got}", error.fix)
    return Finding("ok", "base model", f"{asked.repo} is on the Hub; the first run fetches it ({in_bytes(found.size)})")


def _device() -> Finding:
    try:
        from pipeline.models.device import pick_device, pick_dtype

        device = pick_device()
        dtype = pick_dtype(device)
    except Exception as error:  # noqa: BLE001 - a torch that does not fit this machine raises anything
        return Finding(
            "fail", "device", f"torch does not work here ({type(error).__name__})", "Install it anew: see README."
        )
    names = {
        "cuda": "an NVIDIA GPU",
        "mps": "this Mac's GPU",
        "cpu": f"the processor, {counted(os.cpu_count() or 1, 'core')}",
    }
    said = f"trains on {names[device.type]}, in {dtype}"
    if device.type == "cpu" and Path("/dev/nvidia0").exists():
        return Finding(
            "warn", "device", f"{said}, though there is an NVIDIA GPU", "Install PyTorch's CUDA build: see README."
        )
    return Finding("ok", "device", said)


def _keys() -> Finding:
    names = dict.fromkeys(profile.key_env for profile in PROFILES.values() if profile.key_env)
    there = [name for name in names if os.environ.get(name)]
    return Finding(
        "ok", "keys", f"set: {', '.join(there)}" if there else "none set; training on this machine needs none"
    )


def _deployment(config: Config, connection: Connection) -> Iterator[Finding]:
    """What the step deploy takes, where the backend needs one."""
    profile = connection.profile
    if profile.deploys is not None and config.deploy is None:
        fix = "Add a section `deploy`: see docs/backends.md."
        yield Finding("warn", "deploy", f"a model of {profile.title} answers only once it is deployed", fix)
    elif config.deploy is not None:
        try:
            check(config, connection)
        except InputError as error:
            yield Finding("fail", "deploy", f"{error.where}: {error.what}", error.fix)
        else:
            yield Finding("ok", "deploy", "there is what it takes; whether the role suffices is seen then")


def _closing(config: Config, today: datetime.date) -> Iterator[Finding]:
    """The days on which a provider stops."""
    try:
        refuse_new_jobs(config, today)
    except InputError as error:
        yield Finding("fail", "days left", error.what, error.fix)
        return
    if told := warning(config, today):
        what, _, fix = told.removeprefix("WARNING: ").partition(". ")
        yield Finding("warn", "days left", what, f"{fix}.")


def _hosted(config: Config) -> Iterator[Finding]:
    """The key is set, and the backend answers one cheap question with it."""
    yield from _closing(config, SystemClock().now().date())
    connection = Connection(config.backend, run_directory(config.name), SystemClock())
    profile = connection.profile
    try:
        connection.open()
    except InputError as error:
        yield Finding("fail", "key", f"{error.where} is {error.what}", error.fix)
        return
    yield Finding("ok", "key", f"{profile.key_env} is set")
    try:
        connection.look("backend", lambda client: client.fine_tuning.jobs.list(limit=1))
    except Transient as trouble:
        yield Finding("warn", "backend", f"{profile.title} does not answer ({trouble})", "Try again later.")
    except FinetuneError as error:
        yield Finding("fail", "backend", f"{profile.title}: {error.what}", error.fix)
    else:
        yield Finding("ok", "backend", f"{profile.title} answers; nothing was asked that costs")
        yield from _deployment(config, connection)
    finally:
        connection.close()


def doctor(
    config_path: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Check what this run needs.")] = None,
    overrides: Overrides = None,
) -> None:
    """Check that all that a run needs is there: each thing, and what mends it."""
    from pipeline.terminal.style import Lines

    lines, styles = Lines(sys.stdout), {"ok": "green", "warn": "yellow", "fail": "red"}
    called = Invocation(config_path, tuple(overrides or ()))
    counts = Counter[str]()
    for finding in examine(config_path, overrides or ()):
        if lines.is_terminal:
            waiting = f"      {finding.what:<10}  {finding.said}" if finding.level == "wait" else ""
            show_in_place(waiting, lines.width)
        if finding.level == "wait":
            continue
        counts[finding.level] += 1
        level = (f"{finding.level:<4}  ", styles[finding.level])
        say(lines.line(level, (f"{finding.what:<10}  ", ""), text=called.typable(finding.said)))
        if finding.fix:
            say(lines.line((" " * 18, ""), text=called.typable(finding.fix)))
    if not counts["fail"]:
        say("Ready." if not counts["warn"] else "Ready, with a warning.")
        return
    say(f"{counts['fail']} to mend first.")
    raise typer.Exit(InputError.exit_code)
