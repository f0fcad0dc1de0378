"""Models of the Hugging Face Hub by name, as far as they lie in the user's own cache: nothing is fetched here.

The cache is huggingface_hub's ("Understand caching", huggingface.co/docs/huggingface_hub): below `models--ORG--NAME`
there are `refs/<branch>` with a commit's sha and `snapshots/<sha>` with links to files that are whole. That library is
not imported: to look at a few files has to be quick, and a server that only looks must not be able to ask anybody.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.durable import read_file

_NAME = re.compile(
    "([A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{0,199}))?"
)
_SHA = re.compile("[0-9a-f]{40}")
_IN_CACHE = "models--"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
DEFAULT_REVISION = "main"


class HubName(NamedTuple):
    """`org/name`, or `org/name@revision`: a branch, a tag or a commit's sha."""

    repo: str
    revision: str | None

    @property
    def sha(self) -> str | None:
        """The commit, if that is what the revision is: what a name with one means never changes."""
        return self.revision if self.revision and _SHA.fullmatch(self.revision) else None


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def parse(name: str) -> HubName | None:
    """A name as the Hub may have it (huggingface_hub, validate_repo_id); None for any other, a path among them."""
    found = _NAME.fullmatch(name)
    if found is None or any(odd in name for odd in ("--", "..")):
        return None
    if any(part.endswith(("-", ".", ".git")) for part in found[1].split("/")):
        return None
    return HubName(found[1], found[2])


def pin(name: str, sha: str) -> str:
    """The name of what `name` meant at that commit."""
    return f"{name.partition('@')[0]}@{sha}"


def short_name(name: str) -> str:
    """What a base model is called for short: of a path or of a model of the Hub its last part, without a revision."""
    found = parse(name)
    return Path(name if found is None else found.repo).name


def title(directory: Path) -> str:
    """What a model's directory is called: `org/name` where it is a snapshot in the cache, else its own name."""
    name = _in_cache(directory.parents[1].name) if directory.parent.name == "snapshots" else None
    return directory.name if name is None else name.repo


def cache() -> Path:
    """Where the user's models lie, as huggingface_hub.constants has it."""
    default = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", str(Path(default) / "huggingface"))
    hub = os.environ.get("HUGGINGFACE_HUB_CACHE", str(Path(home) / "hub"))
    return Path(os.path.expandvars(os.environ.get("HF_HUB_CACHE", hub))).expanduser().absolute()


def folder(name: HubName) -> Path:
    """The part of the cache that is one model's."""
    return cache() / f"models--{name.repo.replace('/', '--')}"


def sha_in_cache(name: HubName) -> str | None:
    """The commit that a name meant when it was last fetched, by whatever program; None if it never was."""
    if name.sha is not None:
        return name.sha
    try:
        said = read_file(folder(name) / "refs" / (name.revision or DEFAULT_REVISION)).decode().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return said if _SHA.fullmatch(said) else None


def snapshot(name: HubName) -> Path | None:
    """The directory of a model that is in the cache with all that training needs of it; else None."""
    sha = sha_in_cache(name)
    if sha is None:
        return None
    directory = folder(name) / "snapshots" / sha
    return directory if _is_whole(directory) else None


def pinned(name: str) -> str | None:
    """`org/name@sha` of a model that is in the cache; None for any other name."""
    asked = parse(name)
    found = None if asked is None else snapshot(asked)
    return None if found is None else pin(name, found.name)


def chat_models() -> Iterator[str]:
    """Every model in the cache that looks as if it could be talked to: whole, and with a chat template."""
    with contextlib.suppress(OSError):
        for each in sorted(cache().iterdir()):
            name = _in_cache(each.name)
            directory = None if name is None else snapshot(name)
            if name is not None and directory is not None and _has_template(directory):
                yield name.repo


def _in_cache(folder_name: str) -> HubName | None:
    """The model that a folder of the cache is for."""
    if not folder_name.startswith(_IN_CACHE):
        return None
    return parse(folder_name.removeprefix(_IN_CACHE).replace("--", "/"))


def weights_of(index: bytes) -> list[str]:
    """The files that an index of weights names, each once.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return sorted(set(msgspec.json.decode(index, type=_Index).weight_map.values()))


def _is_whole(directory: Path) -> bool:
    """A link is made when its file is whole, so that it is there is enough."""
    needed = ["config.json", "tokenizer.json"]
    try:
        needed += weights_of(read_file(directory / INDEX))
    except FileNotFoundError:
        needed.append(SINGLE)
    except (OSError, msgspec.DecodeError):
        return False
    return all(os.path.isfile(directory / file) for file in needed)  # noqa: PTH113  # Path.is_file raises, this not


def _has_template(directory: Path) -> bool:
    if (directory / "chat_template.jinja").is_file():
        return True
    try:
        return b'"chat_template"' in read_file(directory / "tokenizer_config.json")
    except OSError:
        return False
