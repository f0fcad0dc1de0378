"""A new model, before there is a config: the archive that was looked through, the people in it, the models for them."""

import secrets
from pathlib import Path
from typing import NamedTuple

from pipeline.archives.readers import EXAMPLES
from pipeline.commands.init.base_model import Chats
from pipeline.commands.init.config_text import Wishes
from pipeline.commands.init.interview import Found, Given, Made, config_of, look_at
from pipeline.commands.init.naming import free_path
from pipeline.commands.init.questions import Questions
from pipeline.commands.models import about
from pipeline.dataset.expectations import Data, expect, how_long
from pipeline.dataset.languages import in_words, name_of
from pipeline.errors import InputError
from pipeline.models.choice import offers, why_best
from pipeline.models.machine import this_machine
from pipeline.models.picks import BUNDLED
from pipeline.sessions.session import OWNER
from pipeline.wording import in_bytes

_MOST_LOOKS = 20
_MOST_PEOPLE = 200


class Looks:
    """The archives that were looked through of late, each under a name that nobody guesses."""

    def __init__(self) -> None:
        self._found: dict[str, Found] = {}

    def add(self, said: str) -> str:
        """Look one through, as a path or a link names it.

        Raises:
            InputError: it is none that can be read.
        """
        found = look_at(said)
        name = secrets.token_urlsafe(9)
        self._found[name] = found
        for old in list(self._found)[:-_MOST_LOOKS]:
            del self._found[old]
        return name

    def get(self, name: str) -> Found:
        """The one of that name.

        Raises:
            InputError: it is no longer remembered.
        """
        if name not in self._found:
            raise InputError("this archive", "is no longer remembered", fix="Begin again with the file or its path.")
        return self._found[name]


class Person(NamedTuple):
    """Somebody the model may text like."""

    name: str
    label: str
    messages: int
    replies: int
    is_likely: bool


class Choice(NamedTuple):
    """A base model on this machine, for this person's chats.

    Attributes:
        download, memory, takes: in words; `takes` may be empty.
        fits: whether the memory that is free is enough; None where nobody knows.
    """

    name: str
    title: str
    about: str
    download: str
    memory: str
    takes: str
    fits: bool | None
    is_best: bool


def people_of(found: Found) -> list[Person]:
    """Those who talk, the owner first; nobody where the archive is of examples that are ready."""
    if found.archive.source == EXAMPLES:
        return []
    counts, turns = found.people.counts, found.people.turns
    likely = found.likely
    return [
        Person(
            name,
            "Me, whose archive it is" if name == OWNER else name,
            counts[name],
            turns.get(name, 0),
            name == likely,
        )
        for name in found.names[:_MOST_PEOPLE]
    ]


def data_of(found: Found, me: str) -> Data:
    """What there is to learn of one person, as far as looking tells."""
    return Chats.of(found.people, me, found.source).data


class Models(NamedTuple):
    """What may be chosen for one person's chats, and what is said of it."""

    choices: list[Choice]
    machine: str
    language: str
    best: str


def models_for(found: Found, me: str) -> Models:
    """The models worth naming, as `finetune models` shows them, for these chats on this machine."""
    data = data_of(found, me)
    machine = this_machine(lambda _: None)
    there = offers(machine, data.task)
    best = next(offer for offer in there if offer.is_best)
    choices = [
        Choice(
            offer.pick.name,
            offer.pick.title,
            about(offer, data.language),
            "nothing to download" if offer.is_here else f"downloads {offer.pick.download_gb:.1f} GB, once",
            f"{in_bytes(offer.train)} of memory",
            "" if offer.seconds is None else how_long(offer.seconds),
            offer.fits,
            offer.is_best,
        )
        for offer in there
    ]
    spoken = name_of(data.language) if data.language else ""
    return Models(choices, str(machine), in_words(data.languages), why_best(best, data.task, spoken))


def expected(found: Found, me: str, model: str, *, here: bool) -> list[tuple[str, str]]:
    """What to expect of that model for this person's chats, a label and words each; a refusal is among them."""
    machine = this_machine(lambda _: None) if here else None
    said = expect(data_of(found, me), model or BUNDLED, machine, can_cut=True)
    refused = [("memory", f"WARNING: {said.refusal}")] if said.refusal else []
    return [*said.long(), *refused]


def proposed_file(found: Found) -> str:
    """A name for the config that is still free."""
    return str(free_path(found.archive.source))


def write(found: Found, fields: dict[str, str]) -> Made:
    """Write the config, as `finetune init` does.

    Args:
        fields: of the form: `me`, `model` or `other_model`, `backend`, `base_url`, `file`, `redact`, `measured`,
            `epochs`, `called`. A box that is not ticked is not among them.

    Raises:
        InputError: one of them will not do; nothing was written.
    """
    file = fields.get("file", "").strip() or proposed_file(found)
    if "/" in file or "\\" in file:
        raise InputError("file", "expected a name in this folder", got=file, fix="Leave the slashes out.")
    epochs = fields.get("epochs", "auto")
    if epochs != "auto" and not (epochs.isdecimal() and 1 <= int(epochs) <= 50):
        raise InputError("epochs", "expected a number from 1 to 50", got=epochs, fix="Choose another.")
    me = fields.get("me", "")
    backend = fields.get("backend", "") or "embedded"
    model = fields.get("other_model", "").strip() or fields.get("model", "").strip() or None
    if found.archive.source != EXAMPLES and me not in found.people.counts:
        raise InputError("person", "nobody was chosen", fix="Choose whom the model shall text like.")
    wishes = Wishes(
        redact="redact" in fields,
        measured="measured" in fields,
        epochs=None if epochs == "auto" else int(epochs),
        me=fields.get("called", "").strip() or None if me == OWNER else None,
    )
    given = Given(found.source, me or None, backend, fields.get("base_url", "").strip() or None, model, Path(file))
    return config_of(found, given, Questions(None, lambda _: None), wishes)
