"""From a YAML file, the environment and --set to a Config, with every mistake named by file and line at once."""

import contextlib
import difflib
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.settings import Config, section_type
from pipeline.config.yaml_text import DEEPEST, Path_, TooMuch, parse, read_text, short
from pipeline.errors import InputError
from pipeline.wording import counted

PREFIX = "FINETUNE_"
Document = dict[str, Any]  # YAML and --set values before validation: any JSON

_MOST_SHOWN = 30
"""Mistakes that are told at once."""

_IN_OUR_WORDS = {
    "model_type": "expected a section, with its keys below it",
    "recursion_loop": "holds itself",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a text",
    "string_unicode": "holds half a character",
    "list_type": "expected a list",
    "date_type": "expected a date such as 2020-01-31",
    "date_parsing": "expected a date such as 2020-01-31",
    "date_from_datetime_parsing": "expected a date such as 2020-01-31",
}
_PYDANTICS = {  # the beginnings of pydantic's messages, the longer first
    "Value error, ": "",
    "Input should be greater than or equal to ": "expected at least ",
    "Input should be less than or equal to ": "expected at most ",
    "Input should be greater than ": "expected more than ",
    "Input should be less than ": "expected less than ",
    "Input should be ": "expected ",
}


class ConfigError(InputError):
    """One or more mistakes in a config, one a line."""

    def __init__(self, mistakes: Sequence[InputError], further: int = 0) -> None:
        first, further = mistakes[0], further + max(0, len(mistakes) - _MOST_SHOWN)
        super().__init__(first.where, first.what, got=first.got, fix=first.fix)
        more = [f"… and {counted(further, 'more mistake')}."] if further else []
        self.args = ("\n".join([*map(str, mistakes[:_MOST_SHOWN]), *more]),)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config; `overrides` (KEY=VALUE with dotted keys) win over the environment, which wins over the file.

    Raises:
        InputError: the file is missing or not YAML, or a ConfigError naming every wrong or unknown key.
    """
    document, lines = _parse(path)
    chosen = _parse_overrides(overrides)
    unknown = _unknown_variables()
    if unknown:
        raise ConfigError(unknown)
    whole = _over(_over(document, _from_environment()), chosen)
    if (at := _nul_in(whole)) is not None:
        what = "holds a NUL character, which no path, name or text can be sent or stored with"
        raise InputError(_where(at, path, lines, chosen), what, fix="Take it out.")
    try:
        return Config.model_validate(whole)
    except ValidationError as error:
        raise _mistakes(error, path, lines, chosen) from None


def _nul_in(document: Document) -> Path_ | None:
    """Where a text holds one; None if none does."""
    waiting: list[tuple[Path_, object]] = [((), document)]
    while waiting:
        at, value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            return at
        if isinstance(value, dict):
            waiting += [
                ((*at, part), each) for key, found in value.items() for part, each in ((key, key), (key, found))
            ]
        elif isinstance(value, list):
            waiting += [((*at, number), each) for number, each in enumerate(value)]
    return None


def name_in(path: Path) -> str | None:
    """The name that the config at `path` gives its run; None where it gives none, or is no config."""
    try:
        name = _parse(path)[0].get("name")
    except InputError:
        return None
    return None if name is None else str(name)


def _from_environment() -> Document:
    """What FINETUNE_<SECTION>__<KEY> variables say; sections and lists may be JSON."""
    if not {_section(name) for name in os.environ if name.upper().startswith(PREFIX)} & Config.model_fields.keys():
        return {}
    # Takes as long to import as all else that a run with nothing to do needs of pydantic.
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

    class Settings(Config, BaseSettings):  # type: ignore[misc]  # both say what their config may hold
        pass

    try:
        return EnvSettingsSource(Settings, env_prefix=PREFIX, env_nested_delimiter="__")()
    except (SettingsError, RecursionError) as error:  # the latter of a value that is nested too deep
        section = str(error).partition('"')[2].partition('"')[0] if isinstance(error, SettingsError) else ""
        names = [name for name in os.environ if name.upper().startswith(PREFIX + section.upper())]
        names = [
            name
            for name in names
            if name.upper().removeprefix(PREFIX).partition("__")[0].lower() in Config.model_fields
        ]
        raise InputError(
            f"environment {', '.join(sorted(names))}", "not JSON", fix="Give sections and lists as JSON."
        ) from None


def _section(variable: str) -> str:
    return variable.upper().removeprefix(PREFIX).partition("__")[0].lower()


def _over(lower: Document, upper: Document) -> Document:
    """Both, section by section; where they differ, `upper`."""
    both = {**lower, **upper}
    for key, value in upper.items():
        below = lower.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            both[key] = _over(below, value)
    return both


def _parse(path: Path) -> tuple[Document, dict[Path_, int]]:
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise InputError(str(path), "no such config", fix=_other_configs(path)) from None
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error.strerror})", fix="Give a YAML file.") from None
    document, lines = parse(text, str(path))
    if document is None:
        document = {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InputError(str(path), "not a mapping of sections", fix="configs/reference.yaml shows every key.")
    # `merge:` with nothing under it means "all defaults", as it reads; an optional section is absent then.
    return {key: {} if value is None and _has_defaults(key) else value for key, value in document.items()}, lines


def _has_defaults(key: str) -> bool:
    """Whether it is a section that every config has, written or not."""
    return key in Config.model_fields and isinstance(Config.model_fields[key].default, BaseModel)


def _other_configs(path: Path) -> str:
    folders = dict.fromkeys((path.parent, Path("configs")))
    there = [each for folder in folders for each in sorted(folder.glob("*.y*ml"))]
    near = difflib.get_close_matches(path.stem, [each.stem for each in there], n=1)
    if near:
        return f"Did you mean {next(each for each in there if each.stem == near[0])}?"
    return f"There are: {', '.join(map(str, there))}." if there else "configs/tortoise.yaml is the one to start from."


def _parse_overrides(overrides: Sequence[str]) -> Document:
    chosen: Document = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise InputError("--set", "not KEY=VALUE", got=short(override), fix="Write it as --set create_job.seed=7.")
        value = _value(key, text)
        *sections, last = key.split(".")
        if len(sections) > DEEPEST:
            raise InputError(f"--set {short(key)}", "unknown key", fix="configs/reference.yaml shows every key.")
        target = chosen
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise InputError(f"--set {key}", f"`{section}` is set to a value already", fix="Set one or the other.")
        target[last] = value
    return chosen


def _value(key: str, text: str) -> Any:
    """What --set gives a key: YAML, or where it is none, the text as it stands."""
    try:
        return parse(text, f"--set {short(key)}")[0]
    except TooMuch:
        raise
    except InputError:
        return text


def _mistakes(error: ValidationError, path: Path, lines: Mapping[Path_, int], chosen: Document) -> ConfigError:
    grouped: dict[Path_, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        grouped.setdefault(_config_path(details), []).append(details)
    # Of a key that may be one value or a list: what is wrong inside the list says more than that it is one.
    outer = {at[:-1] for at in grouped if at and isinstance(at[-1], int)}
    places = [(_where(at, path, lines, chosen), at) for at in grouped if at not in outer]
    places.sort(key=lambda place: _line_of(place[0]))
    # Only of these the words are looked for that may have been meant, which takes time.
    found = [_mistake(at, grouped[at], where) for where, at in places[:_MOST_SHOWN]]
    return ConfigError(found, len(places) - len(found))


def _line_of(where: str) -> int:
    line = where.rpartition(":")[2].split(" ")[0]
    return int(line) if line.isdigit() else 0


def _config_path(details: ErrorDetails) -> Path_:
    """The error's place in the config, without the names that pydantic adds for the members of a union."""
    model: type[BaseModel] | None = Config
    at: list[str | int] = []
    for part in details["loc"]:
        if isinstance(part, int):
            at.append(part)
        elif model is not None:
            at.append(part)
            field = model.model_fields.get(part)
            model = section_type(field.annotation) if field else None
    return tuple(at)


def _where(at: Path_, path: Path, lines: Mapping[Path_, int], chosen: Document) -> str:
    key = tuple(itertools.takewhile(lambda part: isinstance(part, str), at))
    is_set, variable = _has(chosen, key), _variable(key)
    has_line = not is_set and variable is None and at in lines
    if at != key and isinstance(at[-1], int) and not has_line:  # one may stand for a list of one
        at = at[:-1]
    dotted = short(".".join(str(part) for part in at))
    if is_set:
        return f"--set {dotted}"
    if variable is not None:
        return f"environment {variable}" if variable.upper() == _name_of(at) else f"environment {variable} {dotted}"
    line = next((lines[at[:length]] for length in range(len(at), 0, -1) if at[:length] in lines), None)
    return f"{path} {dotted}" if line is None else f"{path}:{line} {dotted}"


def _variable(at: Path_) -> str | None:
    """The environment variable, in whatever case it is written, that holds the key at `at` or a section around it."""
    given = {name.upper(): name for name in os.environ}
    for length in range(len(at), 0, -1):
        name = given.get(_name_of(at[:length]))
        if name is None:
            continue
        if length == len(at):
            return name
        with contextlib.suppress(ValueError, RecursionError):
            if _has(json.loads(os.environ[name]), at[length:]):
                return name
    return None


def _name_of(at: Path_) -> str:
    return PREFIX + "__".join(str(part).upper() for part in at)


def _unknown_variables() -> list[InputError]:
    """Variables of sections that do not exist: pydantic-settings would pass over them without a word."""
    found = []
    for name in sorted(os.environ):
        section, underscores, _ = name.upper().removeprefix(PREFIX).partition("__")
        if name.upper().startswith(PREFIX) and underscores and section.lower() not in Config.model_fields:
            near = difflib.get_close_matches(section.lower(), Config.model_fields, n=1)
            fix = f"Did you mean `{near[0].upper()}`?" if near else "Unset it."
            found.append(InputError(f"environment {name}", "unknown section", got=section, fix=fix))
    return found


def _has(document: object, at: Path_) -> bool:
    for part in at:
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def _mistake(at: Path_, group: Sequence[ErrorDetails], where: str) -> InputError:
    if any(details["type"] == "extra_forbidden" for details in group):
        return _unknown_key(at, where)
    if group[0]["type"] == "missing":
        return InputError(where, "missing", fix="Add it; configs/reference.yaml shows every key.")
    first, *others = dict.fromkeys(_in_our_words(each) for each in group)
    what = " or ".join([first, *(other.removeprefix("expected ") for other in others)])
    value = group[0]["input"]
    got = None if isinstance(value, dict | BaseModel) else _shown(value)
    near = difflib.get_close_matches(short(str(value)), [word for each in group for word in _choices(each)], n=1)
    fix = f"Did you mean `{near[0]}`?" if near else "configs/reference.yaml shows every key with its values."
    return InputError(where, what, got=got, fix=fix)


def _in_our_words(details: ErrorDetails) -> str:
    said = details["msg"]
    for beginning, ours in _PYDANTICS.items():
        if said.startswith(beginning):
            said = ours + said.removeprefix(beginning)
            break
    return _IN_OUR_WORDS.get(details["type"], said)


def _choices(details: ErrorDetails) -> list[str]:
    """The words that a key may be, where there is a list of them."""
    return re.findall("'(.+?)'", details["ctx"]["expected"]) if details["type"] == "literal_error" else []


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float) else repr(value)[:1000]
    begin, end = text.find("//"), text.rfind("@")
    if 0 <= begin < end:  # user and password in a URL
        text = f"{text[:begin]}//…{text[end:]}"
    return "a value that looks like a key" if "sk-" in text else short(text)


def _unknown_key(at: Path_, where: str) -> InputError:
    *sections, key = at
    if any(word in str(key).lower() for word in ("api_key", "apikey", "secret", "password", "token_")):
        return InputError(
            where,
            "keys never stand in a config",
            fix="Remove it and set the environment variable (OPENAI_API_KEY for `kind: openai`).",
        )
    model: type[BaseModel] | None = Config
    for section in (part for part in sections if isinstance(part, str)):
        field = model.model_fields.get(section) if model else None
        model = section_type(field.annotation) if field else None
    known = list(model.model_fields) if model else []
    near = difflib.get_close_matches(short(str(key)), known, n=1)
    fix = f"Did you mean `{near[0]}`?" if near else f"The keys here are: {', '.join(known)}."
    return InputError(where, "unknown key", fix=fix if known else "configs/reference.yaml shows every key.")
