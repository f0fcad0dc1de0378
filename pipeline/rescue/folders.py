"""Where the things of one model lie in the folder of the rescue, and what of them is whole."""

import hashlib
import re
from pathlib import Path

import msgspec

from pipeline.durable import describe_artifact, make_private_dir, read_file, sweep_temporaries, write_atomically

MANIFEST = "fetched.json"
TRAIN, VALID, STORED = "train.jsonl", "valid.jsonl", "stored.jsonl"
ANSWERS, SUCCESSOR = "answers.jsonl", "successor.jsonl"
_LONGEST = 80  # characters of a folder's name


class Kept(msgspec.Struct, frozen=True):
    """A file that was fetched: what it is on the account, and its content here."""

    source: str
    sha256: str
    size: int


class Manifest(msgspec.Struct):
    """What was fetched of one model, and why the rest was not.

    Attributes:
        files: by name in the folder.
        missing: what could not be fetched, and why.
    """

    model: str
    files: dict[str, Kept] = {}
    missing: dict[str, str] = {}


def folder_of(root: Path, model: str) -> Path:
    """A model's own folder; two names never share one, on file systems that know no capitals neither."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", model.removeprefix("ft:"))[:_LONGEST].strip("._")
    return root / f"{readable}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def open_folder(root: Path, model: str) -> Path:
    """The same, made if it is not there. Whoever calls holds the lock of `root`."""
    folder = make_private_dir(folder_of(root, model))
    sweep_temporaries(folder)
    return folder


def read_manifest(folder: Path, model: str) -> Manifest:
    """What was fetched so far; nothing where that cannot be read."""
    try:
        found = msgspec.json.decode(read_file(folder / MANIFEST), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Manifest(model)
    return found if found.model == model else Manifest(model)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Written after the files that it names."""
    write_atomically(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def is_whole(folder: Path, name: str, kept: Kept | None) -> bool:
    """Whether the file is there as it was fetched."""
    if kept is None:
        return False
    try:
        found = describe_artifact(folder, name)
    except OSError:
        return False
    return (found.sha256, found.size) == (kept.sha256, kept.size)
