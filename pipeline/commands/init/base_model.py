"""Which base model, asked with what each takes here; and what to expect of it, before anything is trained."""

import shutil
from typing import NamedTuple

from pipeline.commands.init.archive_summary import People
from pipeline.commands.init.questions import Questions, pick
from pipeline.commands.models import NEEDED, blocks_of, list_of
from pipeline.config.settings import Backend
from pipeline.dataset.expectations import Data, Expectations, expect, how_long
from pipeline.dataset.languages import languages_of, name_of
from pipeline.dataset.tokens import estimated
from pipeline.errors import InputError
from pipeline.models import hub_cache
from pipeline.models.base_models import is_known, is_path
from pipeline.models.choice import offers, why_best
from pipeline.models.machine import Machine, this_machine
from pipeline.models.needs import seconds_to_train
from pipeline.models.picks import BUNDLED, pick_named, picks
from pipeline.training.protocol import MAX_TOKENS, automatic_epochs

_HOSTED = {"openai": "gpt-4.1-mini-2025-04-14"}
_TOKENS_AN_EXAMPLE = 250


class Chats(NamedTuple):
    """What is to be learnt, as far as an archive tells that was looked through but not converted."""

    data: Data

    @classmethod
    def of(cls, people: People, assistant: str, source: str) -> "Chats":
        """Those of one person, or of several that are one."""
        tokens = estimated(people.characters, people.messages)
        trained = tokens * automatic_epochs(max(1, round(tokens / _TOKENS_AN_EXAMPLE)))
        return cls(
            Data(
                people.turns.get(assistant, 0),
                languages_of(people.said.get(assistant, [])),
                trained,
                min(tokens, MAX_TOKENS),
                is_sample=source.startswith("sample:"),
                is_rough=True,
            )
        )

    def takes(self, machine: Machine) -> str:
        """How long the model that comes along takes, such as ", about 25 min of training"; "" where nobody knows."""
        bundled = pick_named(BUNDLED)
        seconds = seconds_to_train(bundled.shape, machine, self.data.tokens or 0) if bundled else None
        return "" if seconds is None else f"; {how_long(seconds)} of training with the smallest model"

    def expectations(self, backend: Backend, model: str, questions: Questions) -> Expectations:
        """What to expect of training `model` on them."""
        machine = this_machine(questions.say) if backend.kind == "embedded" else None
        return expect(self.data, model, machine, can_cut=True)


def base_model(given: str | None, questions: Questions, backend: Backend, chats: Chats) -> str:
    """The model to train, as `create_job.model` takes it.

    Raises:
        InputError: the one that came as a flag will not do, or there is none.
    """
    if backend.kind != "embedded":
        default = _HOSTED.get(backend.kind)
        if default is not None and given is None:
            return default
        return questions.answer("Base model, as the backend names it", "--model", given, None, str)
    default = BUNDLED
    if questions.asks and given is None:
        machine = this_machine(questions.say)
        found = offers(machine, chats.data.task)
        questions.say("")
        questions.say(f"Which model shall learn it? This machine has {machine}.")
        shown = list_of if shutil.get_terminal_size().columns >= NEEDED else blocks_of
        for line in shown(found, chats.data.language, numbered=True):
            questions.say("".join(words for words, _ in line))
        best = next(offer for offer in found if offer.is_best)
        spoken = name_of(chats.data.language) if chats.data.language else ""
        questions.say("Or any other: its name on the Hugging Face Hub, or the path of its folder.")
        questions.say(f"* suits best: {why_best(best, chats.data.task, spoken)}.")
        default = best.pick.name
    name = questions.answer("Number or name", "--model", given, default, _understood)
    chosen = pick_named(name)
    if chosen is not None and chosen.gated:
        questions.say(f"{chosen.title} is gated: ask for access on its page of the Hub, then set HF_TOKEN.")
    return name


def _understood(said: str) -> str:
    if is_path(said):
        if not is_known(said):
            fix = "Give the directory that `save_pretrained` wrote model and tokenizer to."
            raise InputError("--model", "no Hugging Face directory", got=said, fix=fix)
        return said
    known = pick_named(said)
    if known is not None and "@" not in said:
        return known.name
    if hub_cache.parse(said) is not None:
        return said
    return pick(said, [each.name for each in picks()], "--model")
