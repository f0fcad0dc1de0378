"""Models of the Hugging Face Hub, fetched into the user's own cache: by a command that a person typed, by nobody else.

Another process does it (process.py), so that this one stays offline and knows no token. What comes is safetensors, a
tokenizer, a config and a chat template; never weights that could hold code, never code.
"""

import subprocess
import sys
from collections.abc import Callable

import msgspec

from pipeline.errors import FinetuneError, InputError, TryLater
from pipeline.fetch.hub.messages import Fetched, Message, Note, Progress, Refused
from pipeline.models import hub_cache
from pipeline.models.environment import require_libraries
from pipeline.models.exit_codes import signal_name
from pipeline.process.privacy import for_the_hub, is_offline, ordinary_umask

# -P: the folder that a user works in may hold a pipeline.py of its own.
COMMAND = (sys.executable, "-P", "-m", "pipeline.fetch.hub.process")


def fetch(
    name: str,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    note: Callable[[str], None] = lambda _: None,
    look: bool = False,
    pinned: bool = False,
) -> Fetched:
    """See that a model is whole in the cache: ask the Hub what `name` means now, and fetch what is missing.

    Args:
        name: `org/name` or `org/name@revision`.
        progress: told of bytes that are here, and of all that are needed.
        note: told what is worth a line.
        look: only find out whether that could be done.
        pinned: a run has trained with this commit before.

    Raises:
        InputError: there is no such model for this user, or it cannot be trained.
        TryLater: the Hub does not answer, or the connection was lost again and again; what has come is kept.
        StateDamaged: the disk is too small, or refuses.
    """
    asked = hub_cache.parse(name)
    if asked is None:
        raise InputError(
            "base model", "not the name of a model on the Hugging Face Hub", got=name, fix="Write ORG/NAME."
        )
    if is_offline():
        return _offline(asked)
    require_libraries()
    options = [flag for flag, given in (("--look", look), ("--pinned", pinned)) if given]
    try:
        process = subprocess.Popen(
            [*COMMAND, *options, "--", name],
            stdin=subprocess.PIPE,  # its end says that we are gone, however that happened
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=for_the_hub(),
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone
            umask=ordinary_umask(),
        )
    except OSError as error:
        what, fix = f"cannot be fetched: no process can be started ({error.strerror})", "Run the same command later."
        raise TryLater(f"base model {asked.repo}", what, fix=fix) from None
    last_words = ""
    with process:
        try:
            for line in process.stdout or ():
                match _message(line):
                    case Progress(done, total):
                        progress(done, total)
                    case Note(text):
                        note(text)
                    case Refused() as refused:
                        raise refused.error()
                    case Fetched() as found:
                        return found
                    case _:
                        last_words = line.decode(errors="replace").strip() or last_words
            raise _dead(asked, process.wait(), last_words)
        finally:
            process.kill()


def _message(line: bytes) -> Message | None:
    """What it says; None for what others print there."""
    try:
        message: Message = msgspec.json.decode(line, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message


def _dead(name: hub_cache.HubName, code: int, said: str) -> FinetuneError:
    how = signal_name(-code) if code < 0 else f"exit code {code}"
    what = f"the process that fetches it has ended ({how}{said and f': {said[:200]}'})"
    return TryLater(f"base model {name.repo}", what, fix="Run the same command again: what has come is kept.")


def _offline(name: hub_cache.HubName) -> Fetched:
    directory = hub_cache.snapshot(name)
    if directory is None:
        raise InputError(
            f"base model {name.repo}",
            f"is not, or not whole, in the cache {hub_cache.cache()}, and HF_HUB_OFFLINE forbids fetching it",
            fix="Unset HF_HUB_OFFLINE, and run the same command again.",
        )
    return Fetched(directory.name, 0, 0)
