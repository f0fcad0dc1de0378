"""What a Hugging Face directory says of its tokenizer and chat template, read without transformers."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.base_models import unloadable
from pipeline.models.chat_template import ChatTemplate
from pipeline.models.hub_cache import title

_CONFIG = "tokenizer_config.json"
_NAMING_ENDS = ("config.json", "generation_config.json")
_MAP = "special_tokens_map.json"  # of older directories; since 2024 all of it stands in tokenizer_config.json


def load_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer that encodes whatever it is given, whole.

    Raises:
        InputError: tokenizer.json is missing or none.
    """
    try:
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # noqa: BLE001  tokenizers raises plain ones
        raise unloadable(directory, "its tokenizer.json", error) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_words(directory: Path) -> dict[str, object]:
    """The control tokens by name, such as `bos_token`, that a chat template may use.

    Raises:
        InputError: a file that names them is no JSON object.
    """
    words: dict[str, object] = {}
    for file in (_MAP, _CONFIG):
        for key, value in _object(directory, file).items():
            token = value.get("content") if isinstance(value, Mapping) else value
            if key.endswith("_token") and isinstance(token, str):
                words[key] = token
    return words


def end_tokens(directory: Path) -> set[int]:
    """The ids of tokens after which the model's files say that an answer ends: one, or several in a list.

    Raises:
        InputError: a file that names them is no JSON object.
    """
    named: set[int] = set()
    for file in _NAMING_ENDS:
        ids = _object(directory, file).get("eos_token_id")
        named.update(each for each in (ids if isinstance(ids, list) else [ids]) if isinstance(each, int))
    return named


def load_template(directory: Path) -> ChatTemplate:
    """The chat template: chat_template.jinja, else what tokenizer_config.json has; of several the one named default.

    Raises:
        InputError: there is none, or a file is no text or no JSON.
    """
    where = f"base model {title(directory)}"
    source: object = _object(directory, _CONFIG).get("chat_template")
    if isinstance(source, list):
        named = {each.get("name"): each.get("template") for each in source if isinstance(each, Mapping)}
        source = named.get("default")
    file = directory / "chat_template.jinja"
    if file.is_file():
        try:
            source = read_file(file).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise unloadable(directory, "its chat_template.jinja", error) from None
    if not isinstance(source, str) or not source:
        raise InputError(where, "its tokenizer has no chat template", fix="Choose a model made for chat.")
    return ChatTemplate(where, source, special_words(directory))


def _object(directory: Path, name: str) -> dict[str, object]:
    """A JSON object that may be missing."""
    try:
        return msgspec.json.decode(read_file(directory / name), type=dict[str, object])
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise unloadable(directory, f"its {name}", error) from None
