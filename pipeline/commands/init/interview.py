"""`finetune init`: from a path and a few answers to a config that runs. Shows names and numbers, never chat text."""

import errno
import os
import shlex
import sqlite3
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple, get_args

from pydantic import ValidationError

from pipeline.archives.files import is_file
from pipeline.archives.readers import EXAMPLES, READERS
from pipeline.archives.reading import Reading, read_archive
from pipeline.archives.recognise import CUT, Archive, recognise
from pipeline.archives.sqlite import HEADER
from pipeline.backends.closing import days_left
from pipeline.backends.profiles import PROFILES
from pipeline.commands.init.archive_summary import People, likely_owner, survey
from pipeline.commands.init.base_model import Chats, base_model
from pipeline.commands.init.config_text import Answers, Wishes, config_text
from pipeline.commands.init.naming import free_path, run_name
from pipeline.commands.init.questions import Questions, pick
from pipeline.commands.init.scratch import scratch
from pipeline.commands.init.small_talk import small_talk
from pipeline.config.file import load_config
from pipeline.config.settings import Backend
from pipeline.dataset.expectations import Expectations
from pipeline.durable import expand_home, write_atomically
from pipeline.errors import InputError
from pipeline.fetch import check_any, fetch_archive
from pipeline.fetch.local import explain, missing_log
from pipeline.models.machine import this_machine
from pipeline.network import check_base_url
from pipeline.process.clock import SystemClock
from pipeline.sessions.session import OWNER
from pipeline.terminal.invocation import is_text
from pipeline.wording import counted

MESSAGES = Path("~/Library/Messages/chat.db")
_COPY = "archive"
_LISTED = 12
_APP = max(len(reader.app) for reader in READERS)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # which can only be of the copy's disk
_KINDS: tuple[str, ...] = get_args(Backend.model_fields["kind"].annotation)
_ELSEWHERE = ("http://", "https://", "sample:")


class Given(NamedTuple):
    """What the flags say; None is asked for."""

    source: str | None = None
    me: str | None = None
    backend: str | None = None
    base_url: str | None = None
    model: str | None = None
    out: Path | None = None


class Found(NamedTuple):
    """An archive that was looked through.

    Attributes:
        source: as `download.source` takes it.
    """

    source: str
    archive: Archive
    people: People

    @property
    def what(self) -> str:
        """What it is, such as "a chat exported by WhatsApp: 1,234 messages by 2 people, 2024-01-01 to 2024-05-31"."""
        people = self.people
        if self.archive.source == EXAMPLES:
            return f"{people.sessions:,} {self.archive.what}, of {counted(people.messages, 'message')}"
        span = f", {people.first} to {people.last}" if people.first else ""
        chats = f" in {people.sessions:,} conversations" if people.sessions > 1 else ""
        who = counted(len(people.counts), "person", "people")
        return f"{self.archive.what}: {counted(people.messages, 'message')}{chats} by {who}{span}"

    @property
    def names(self) -> list[str]:
        """Whom the model may text like: the owner first, where there is one."""
        names = list(self.people.counts)
        return [OWNER, *(name for name in names if name != OWNER)] if OWNER in names else names

    @property
    def likely(self) -> str | None:
        """Who exported it, as far as that can be guessed."""
        return likely_owner(self.people, Path(self.source).name)


class Made(NamedTuple):
    """A config that was written, and what to expect of it."""

    path: Path
    backend: Backend
    expectations: Expectations
    model: str


def write_config(given: Given, questions: Questions) -> Made:
    """Ask, read the archive, write the config.

    Raises:
        InputError: an answer that came as a flag will not do, or one is missing; nothing has been written.
    """
    with scratch() as folder:
        found = _archive(given, questions, folder)
    _tell(found, questions)
    return config_of(found, given, questions)


def look_at(said: str) -> Found:
    """Look an archive through, as somebody named it, and write nothing.

    Raises:
        InputError: it is none that can be read, or nobody says anything in it.
    """
    with scratch() as folder:
        return _looked_through(said, folder)


def config_of(found: Found, given: Given, questions: Questions, wishes: Wishes | None = None) -> Made:
    """Write the config of an archive that was looked through; see `write_config`."""
    assistant = _assistant(given, questions, found)
    chats = Chats.of(found.people, assistant, found.source)
    backend = _backend(given, questions, chats)
    model = base_model(given.model, questions, backend, chats)
    path = _out(given, questions, found)
    answers = Answers(
        run_name(path),
        found.source,
        found.what,
        found.archive.source,
        assistant,
        backend,
        model,
        small_talk(chats.data.language),
        wishes or Wishes(),
    )
    _write(path, config_text(answers, path))
    return Made(path, backend, chats.expectations(backend, model, questions), model)


def _archive(given: Given, questions: Questions, folder: Path) -> Found:
    default = str(MESSAGES) if MESSAGES.expanduser().exists() else None
    if questions.asks and given.source is None:
        questions.say("Which archive? Give the path of one of these:")
        for reader in READERS:
            questions.say(f"  {reader.app:<{_APP}} {reader.reads}")
        questions.say("  or try sample:tortoise-hare")

    def understand(said: str) -> Found:
        questions.say(f"Reading {said} …")
        return _looked_through(said, folder)

    return questions.answer("Path", "--source", given.source, default, understand)


def _looked_through(said: str, folder: Path) -> Found:
    source, archive = _recognised(said, folder)
    try:
        people = survey(read_archive(Reading(str(archive.path), archive.source)))
    except InputError as error:
        where = error.where.replace(str(folder / _COPY), said)
        raise InputError(where, error.what, got=error.got, fix=error.fix) from None
    if not people.messages:
        raise InputError(source, f"{archive.what}, but nobody says anything in it", fix="Export it again, with text.")
    return Found(source, archive, people)


def _recognised(said: str, folder: Path) -> tuple[str, Archive]:
    """The source as `download.source` takes it, and what is there.

    A database is read from a copy, for it may be in use, and so is what is not on this machine.
    """
    path, copy = _local_path(said), folder / _COPY
    try:
        if path is not None and not _is_database(path):
            archive = recognise(path)
            if not is_text(str(archive.path)):
                fix = "Rename it, so that the config can name it."
                raise InputError(str(archive.path), "a file whose name is not UTF-8", fix=fix)
            return _portable(archive.path), archive
        source = said if path is None else _portable(path)
        fetch_archive(
            source,
            copy,
            check=check_any,
            sha256=None,
            timeout_s=30.0,
            attempts=3,
            progress=lambda _done, _total: None,
        )
        return source, recognise(copy)
    except (OSError, sqlite3.Error, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        raise explain(path or Path(said), error) from None
    except InputError as error:  # in the words of a config, which is not there yet, or about the copy
        where = {"download.source": "--source", str(copy): said}.get(error.where, error.where)
        fix = error.fix.replace("`download.source`", "what you gave")
        raise InputError(where, error.what, got=error.got, fix=fix) from None


def _local_path(said: str) -> Path | None:
    """The file or folder that is meant; a terminal may have pasted it in quotes or with escaped spaces."""
    if said.startswith(_ELSEWHERE):
        return None
    path = expand_home(said, "--source")
    if not path.exists():
        try:
            words = shlex.split(said)
        except ValueError:
            words = []
        if len(words) == 1 and (meant := expand_home(words[0], "--source")).exists():
            path = meant
    databases = [path / name for name in ("chat.db", "sms.db") if is_file(path / name)]
    return databases[0] if databases else path


def _portable(path: Path) -> str:
    """A path that holds from any folder, with ~ for home."""
    path, home = path.resolve(), Path.home().resolve()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) and path != home else str(path)


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def _tell(found: Found, questions: Questions) -> None:
    questions.say(f"Found {found.what}.")
    questions.say(f"Recognised by {found.archive.because}.")
    for name in found.archive.cut:
        questions.say(f"WARNING: {name} {CUT}")
    if missing := missing_log(Path(found.source).expanduser()):
        questions.say(f"Note: {missing[0]}. {missing[1]}")


def _assistant(given: Given, questions: Questions, found: Found) -> str:
    if found.archive.source == EXAMPLES:
        questions.say("The model will answer as the assistant of the examples does.")
        return OWNER
    counts, names, likely = found.people.counts, found.names, found.likely
    if questions.asks and given.me is None:
        questions.say("")
        questions.say("Whom shall the model text like? Usually yourself; everybody else becomes the one it talks to.")
        for number, name in enumerate(names[:_LISTED], start=1):
            shown = "me, the owner of the archive" if name == OWNER else name
            questions.say(f"  {number:>2}  {shown:<30} {counts[name]:>9,} message{'' if counts[name] == 1 else 's'}")
        if len(names) > _LISTED:
            questions.say(f"      and {len(names) - _LISTED:,} more: give a name")

    def understand(said: str) -> str:
        return pick(found.people.meant(said), names, "--me")

    if likely is None and given.me is None and not questions.asks:
        listed = ", ".join(f"{name} ({counts[name]:,})" for name in names[:_LISTED])
        raise InputError("--me", "the archive does not say whose it is", fix=f"Give --me NAME, one of: {listed}.")
    assistant = questions.answer("Number or name", "--me", given.me, likely, understand)
    whom = "you, the owner of the archive" if assistant == OWNER else assistant
    questions.say(f"The model will text like {whom}.")
    return assistant


def _backend(given: Given, questions: Questions, chats: Chats) -> Backend:
    if questions.asks and given.backend is None:
        takes = chats.takes(this_machine(questions.say))
        questions.say("")
        questions.say("Where shall it be trained?")
        for number, kind in enumerate(_KINDS, start=1):
            questions.say(f"  {number:>2}  {kind:<11} {_about(kind, takes)}")
    kind = questions.answer(
        "Number or name",
        "--backend",
        given.backend,
        "embedded",
        lambda said: pick(said, list(_KINDS), "--backend"),
    )
    if note := PROFILES[kind].note:
        questions.say(f"{PROFILES[kind].title}: {note[0].lower()}{note[1:]}")
    if told := days_left(kind, SystemClock().now().date()):
        questions.say(told)
    base_url = given.base_url
    if kind in ("azure", "compatible"):
        base_url = questions.answer("Its address, such as https://…/v1", "--base-url", base_url, None, _url)
    try:
        return Backend.model_validate({"kind": kind, "base_url": base_url})
    except ValidationError as error:
        raise _no_address(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _url(said: str) -> str:
    try:
        check_base_url(said)
    except ValueError as error:
        raise _no_address(str(error)) from None
    return said


def _no_address(what: str) -> InputError:
    return InputError("--base-url", what, fix="Give the address as the provider's documentation has it.")


def _about(kind: str, takes: str) -> str:
    profile = PROFILES[kind]
    if profile.key_env is None:
        return f"this machine: free, no chat leaves it{takes}"
    whose = "any server with OpenAI's API" if kind == "compatible" else profile.title
    is_set = "is set" if os.environ.get(profile.key_env) else "is not set yet"
    return f"{whose}: the chats are sent there; {profile.key_env} {is_set}"


def _out(given: Given, questions: Questions, found: Found) -> Path:
    default = str(free_path(found.archive.source))

    def understand(said: str) -> Path:
        path = expand_home(said, "--out")
        if path.suffix not in (".yaml", ".yml"):
            path = path.with_name(f"{path.name}.yaml")
        if path.exists():
            raise InputError(str(path), "is there already, and is not overwritten", fix="Give another name.")
        if not path.parent.is_dir():
            raise InputError(str(path.parent), "no such folder", fix="Make it first, or give another name.")
        return path

    if questions.asks and given.out is None:
        questions.say("")
    return questions.answer(
        "Write the config to", "--out", None if given.out is None else str(given.out), default, understand
    )


def _write(path: Path, text: str) -> None:
    """Write a file that was not there, whole or not at all, for its owner alone, and see that it is a config."""
    with tempfile.TemporaryDirectory(prefix="finetune-init-") as scratch:
        trial = Path(scratch) / path.name
        trial.write_text(text, encoding="utf-8")
        load_config(trial)
    try:
        path.touch(mode=0o600, exist_ok=False)  # claimed: two at once do not overwrite each other
        write_atomically(path, text.encode())
    except FileExistsError:
        raise InputError(str(path), "is there already, and is not overwritten", fix="Give another name.") from None
    except OSError as error:
        raise InputError(str(path), f"cannot be written ({error.strerror})", fix="Give another name.") from None
