"""The config that `finetune init` writes: what matters, each key with what it means."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from pipeline.archives.readers import EXAMPLES
from pipeline.backends.profiles import PROFILES
from pipeline.commands.init.small_talk import SMALL_TALK
from pipeline.config.settings import Backend
from pipeline.dataset.preset import LIKE_A_PERSON
from pipeline.models import hub_cache
from pipeline.sessions.session import OWNER
from pipeline.terminal.invocation import quoted
from pipeline.wording import visible

_COLUMN = 40
_SCHEMA = Path(__file__).parents[3] / "configs" / "schema.json"
_LONGEST_SUFFIX = 18  # OpenAI API reference, fine-tuning jobs

_READY_PROMPTS = ("Hello! Who are you?",)


class Wishes(NamedTuple):
    """What need not be asked for, as most people want it.

    Attributes:
        redact: telephone numbers, email addresses, cards and codes are replaced.
        measured: the model is measured once it is trained.
        epochs: how many times all examples are learnt; None leaves it to the trainer.
        me: what the model is told that it is called, where the archive calls its owner nothing.
    """

    redact: bool = True
    measured: bool = True
    epochs: int | None = None
    me: str | None = None


class Answers(NamedTuple):
    """What was asked for.

    Attributes:
        source: as `download.source` takes it.
        what: the archive in words, such as "a chat exported by WhatsApp: 1,234 messages".
        load: as `load.source` takes it.
        assistant: as `map.assistant` takes it.
        model: as `create_job.model` takes it.
        prompts: what the models are asked in the end.
    """

    name: str
    source: str
    what: str
    load: str
    assistant: str
    backend: Backend
    model: str
    prompts: Sequence[str] = SMALL_TALK["en"]
    wishes: Wishes = Wishes()


def config_text(answers: Answers, path: Path) -> str:
    """The YAML text to be written to `path`, with comments."""
    is_ready = answers.load == EXAMPLES
    who = "you" if answers.assistant == OWNER else answers.assistant
    embedded = answers.backend.kind == "embedded"
    where = "on this machine; nothing leaves it" if embedded else f"by {PROFILES[answers.backend.kind].title}"
    return "\n".join(
        [
            *_schema_line(path),
            f"# A model that {_learns(is_ready, who)}, trained {where}.",
            f"# The archive: {answers.what}.",
            "#",
            f"#     finetune run {quoted(str(path))}",
            "#",
            "# To see what would be learnt, before anything is trained:",
            "#",
            f"#     finetune inspect {quoted(str(path))}",
            "#",
            "# Many more keys are in configs/reference.yaml, with what they mean.",
            "",
            _key("name", answers.name, f"the run lives in runs/{answers.name}/, readable by you alone"),
            "",
            *_backend(answers.backend),
            "",
            "download:",
            _key("  source", answers.source, "copied once; read again with --from download"),
            "",
            "load:",
            _key("  source", answers.load, "which reader; auto finds out by looking"),
            "",
            *([] if is_ready else _map(answers.assistant)),
            *(_ready(embedded) if is_ready else _convert(answers.assistant, embedded, answers.wishes)),
            "",
            *_create_job(answers, embedded, is_ready=is_ready),
            "",
            "smoke_test:",
            "  prompts:                              # asked of the tuned model, and of the base model",
            *(f"    - {scalar(prompt)}" for prompt in (_READY_PROMPTS if is_ready else answers.prompts)),
            *([] if is_ready else [_key("  temperature", LIKE_A_PERSON, "as a person; 0 says the likeliest words")]),
            "",
            *(_evaluate(answers.backend) if answers.wishes.measured else []),
            "",
        ]
    )


def _learns(is_ready: bool, who: str) -> str:
    return "answers as the examples do" if is_ready else f"texts like {_one_line(who)}"


def _map(assistant: str) -> list[str]:
    return ["map:", _key("  assistant", assistant, _about_the_assistant(assistant)), ""]


def _ready(embedded: bool) -> list[str]:
    lines = [
        "convert:",
        _key("  preset", "ready", "the examples are learnt as they stand; nothing is replaced in them"),
    ]
    return [*lines, _key("  tokens", "exact", "counted as the model itself does")] if embedded else lines


def _schema_line(path: Path) -> list[str]:
    if not _SCHEMA.is_file():
        return []
    relative = Path(os.path.relpath(_SCHEMA, path.absolute().parent)).as_posix()
    return [f"# yaml-language-server: $schema={relative}"] if visible(relative) == relative else []


def _backend(backend: Backend) -> list[str]:
    profile = PROFILES[backend.kind]
    if profile.key_env is None:
        about = "free and offline; openai, azure, nebius or compatible would be sent the chats"
    else:
        about = f"the chats are sent there; its key is taken from {profile.key_env}"
    lines = ["backend:", _key("  kind", backend.kind, about)]
    return lines if backend.base_url is None else [*lines, _key("  base_url", backend.base_url, "where it answers")]


def _about_the_assistant(assistant: str) -> str:
    if assistant == OWNER:
        return "who the model shall become: me is the owner of the archive"
    return "who the model shall become, as the archive calls them"


def _convert(assistant: str, embedded: bool, wishes: Wishes) -> list[str]:
    lines = [
        "convert:",
        _key("  preset", "texting", "pauses end a talk, bursts are one turn, replies are learnt once"),
    ]
    if embedded:
        lines.append(_key("  tokens", "exact", "talks are cut to the model's window as the model itself counts"))
    lines.append(_key("  validation_fraction", "auto", "each chat's last tenth is kept to measure the model with"))
    if wishes.redact:
        lines.append(_key("  redact", "auto", "replaces phones, emails, cards and codes; [] replaces nothing"))
    else:
        lines.append(f"{'  redact: []':<{_COLUMN - 2}}  # nothing is replaced; auto: phones, emails, cards and codes")
    if wishes.me is not None:
        lines.append(_key("  me", wishes.me, "what the model is told that it is called"))
    elif assistant == OWNER:
        lines.append(f"{'  # me: Alex':<{_COLUMN - 2}}  # what the model is told that it is called")
    return lines


def _create_job(answers: Answers, embedded: bool, *, is_ready: bool) -> list[str]:
    lines = ["create_job:"]
    about = "the base model, as the backend names it"
    if embedded:
        about = "`finetune models` lists others; or the path of a model's directory"
    if embedded and hub_cache.parse(answers.model) is not None:
        about = "of the Hugging Face Hub: fetched once; its commit is kept for this run"
    lines.append(_key("  model", answers.model, about))
    suffix = re.sub(r"[^a-z0-9]+", "-", answers.assistant.lower()).strip("-")[:_LONGEST_SUFFIX].strip("-")
    if (
        suffix and not suffix.replace("-", "").isdigit() and not is_ready
    ):  # a telephone number has no place in a model's name
        lines.append(_key("  suffix", suffix, "becomes part of the model's name"))
    lines.append(_key("  seed", 42, "the same data and seed make the same model"))
    if answers.wishes.epochs is not None:
        lines.append("  hyperparameters:")
        lines.append(_key("    n_epochs", answers.wishes.epochs, "how many times all examples are learnt"))
    if answers.backend.kind == "openai":
        lines.append(_key("  max_cost_usd", 10.0, "stop before anything is sent that would cost more"))
    return lines


def _evaluate(backend: Backend) -> list[str]:
    about = "does it sound like them, does it make sense, does it leak: measured, and said in words"
    if backend.kind == "openai":
        return [f"{'evaluate:':<{_COLUMN - 2}}  # {about}", _key("  max_cost_usd", 1.0, "its answers cost no more")]
    return [f"{'evaluate: {}':<{_COLUMN - 2}}  # {about}"]


def _key(key: str, value: str | float | None, about: str) -> str:
    return f"{f'{key}: {scalar(value)}':<{_COLUMN - 2}}  # {about}"


def scalar(value: str | float | None) -> str:
    """A YAML scalar on one line, with quotes where it needs them or where a reader might stumble."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return str(value)
    if re.fullmatch(r"[A-Za-z~/.][\w~/.-]*(?: [\w~/.-]+)*", value, re.ASCII) and yaml.safe_load(value) == value:
        return value
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf")).strip()


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
