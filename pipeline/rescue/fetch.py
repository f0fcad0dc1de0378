"""Fetches what an account still has of a model, into the rescue's folder. Only GET requests; spends nothing."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.backends.listing import rows
from pipeline.durable import atomic_writer, read_file, write_atomically
from pipeline.errors import MakesNoSense
from pipeline.rescue.accounts import Account
from pipeline.rescue.folders import (
    STORED,
    TRAIN,
    VALID,
    Kept,
    Manifest,
    is_whole,
    open_folder,
    read_manifest,
    write_manifest,
)
from pipeline.rescue.inventory import DataFile, Tune, answered

if TYPE_CHECKING:
    import openai

_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*")
_BEGINS = (b"step,", b"\xef\xbb\xbfstep,")
_PIECE = 1 << 16


def fetch(account: Account, tune: Tune, root: Path, note: Callable[[str], None]) -> Manifest:
    """Fetch what is not there yet; what is there and whole stays. A file that is refused is said, and the rest goes on.

    Returns what there is now.

    Raises:
        FinetuneError: the API cannot be reached, or has no time; what was fetched stays.
    """
    folder = open_folder(root, tune.model)
    manifest = read_manifest(folder, tune.model)
    manifest.missing = {}
    for name, file in _names(tune):
        _fetch_file(account, file, folder, name, manifest)
    if tune.job is not None:
        _fetch_told(account, tune.job, folder, manifest)
    _fetch_stored(account, tune, folder, manifest)
    write_manifest(folder, manifest)
    for name, why in manifest.missing.items():
        note(f"{tune.model}: {name} {why}")
    return manifest


def _names(tune: Tune) -> Iterator[tuple[str, DataFile]]:
    """Each file of the job, and what it is called here."""
    results = [each for each in tune.files if each.role == "result"]
    for file in tune.files:
        match file.role:
            case "training":
                yield TRAIN, file
            case "validation":
                yield VALID, file
            case _:
                number = results.index(file)
                yield f"result{f'-{number + 1}' if number else ''}.csv", file


def _fetch_file(account: Account, file: DataFile, folder: Path, name: str, manifest: Manifest) -> None:
    if is_whole(folder, name, manifest.files.get(name)) and manifest.files[name].source == file.id:
        return
    if file.state != "there":
        manifest.missing[name] = f"is {file.state} ({file.id})"
        return
    try:
        kept, state = answered(account, lambda client: _download(client, file, folder / name))
    except MakesNoSense as error:  # of this one file; it is longer than may be read, say
        manifest.missing[name] = f"cannot be read ({error.what})"
        return
    if kept is None:
        manifest.missing[name] = f"is {state} ({file.id})"
        return
    manifest.files[name] = kept
    write_manifest(folder, manifest)


def _download(client: "openai.OpenAI", file: DataFile, target: Path) -> Kept:
    """One file's content, a part at a time; results as CSV, whichever way they come."""
    if file.role == "result":  # small; OpenAI has sent these in base64 (zzz-api, issue 21)
        return _keep(target, plain(client.files.content(file.id).read()), file.id)
    import httpx2
    import openai

    with client.files.with_streaming_response.content(file.id) as response, atomic_writer(target) as out:
        try:
            for piece in response.iter_bytes(_PIECE):
                out.write(piece)
        except httpx2.HTTPError as error:  # which the SDK explains only before the body begins
            raise openai.APIConnectionError(request=response.http_request) from error
    return Kept(file.id, out.sha256, out.size)


def plain(content: bytes) -> bytes:
    """A results file as CSV, if it is one in base64; else as it is."""
    if content.startswith(_BEGINS) or not _BASE64.fullmatch(content):
        return content
    try:
        decoded = base64.b64decode(content, validate=False)
    except binascii.Error:
        return content
    return decoded if decoded.startswith(_BEGINS) else content


def _fetch_told(account: Account, job: str, folder: Path, manifest: Manifest) -> None:
    """What the API tells of a job: itself with its hyperparameters, its events, its checkpoints."""
    asked: dict[str, Callable[[openai.OpenAI], Any]] = {
        "job.json": lambda client: client.fine_tuning.jobs.retrieve(job).to_dict(mode="json"),
        "events.json": lambda client: _listed(lambda: client.fine_tuning.jobs.list_events(job, limit=100)),
        "checkpoints.json": lambda client: _listed(lambda: client.fine_tuning.jobs.checkpoints.list(job, limit=100)),
    }
    for name, ask in asked.items():
        if is_whole(folder, name, manifest.files.get(name)):
            continue
        told, state = answered(account, ask)
        if told is None:
            manifest.missing[name] = f"is {state} ({job})"
            continue
        manifest.files[name] = _keep(folder / name, msgspec.json.format(msgspec.json.encode(told)) + b"\n", job)
        write_manifest(folder, manifest)


def _listed(page: Callable[[], Any]) -> list[Any]:
    return [each.to_dict(mode="json") for each in rows(page)]


def _keep(target: Path, content: bytes, source: str) -> Kept:
    write_atomically(target, content)
    return Kept(source, hashlib.sha256(content).hexdigest(), len(content))


class _Stored(msgspec.Struct):
    id: str


def _fetch_stored(account: Account, tune: Tune, folder: Path, manifest: Manifest) -> None:
    """Completions that were kept by `store: true`; what was fetched before stays, though the account forgets it."""
    kept: dict[str, bytes] = {}
    if is_whole(folder, STORED, manifest.files.get(STORED)):
        lines = read_file(folder / STORED).splitlines()
        kept = {msgspec.json.decode(line, type=_Stored).id: line for line in lines}
    listed, _ = answered(account, lambda client: _listed(lambda: client.chat.completions.list(model=tune.model)))
    fresh = [each for each in listed or [] if isinstance(each, dict) and each.get("id") not in kept]
    for completion in fresh:
        asked, _ = answered(account, lambda client, one=completion: _messages_of(client, one["id"]))  # type: ignore[misc]
        line = {"id": completion["id"], "messages": asked or [], "completion": completion}
        kept[completion["id"]] = msgspec.json.encode(line)
    if fresh:
        manifest.files[STORED] = _keep(folder / STORED, b"\n".join(kept.values()) + b"\n", "chat/completions")


def _messages_of(client: "openai.OpenAI", completion_id: str) -> list[Any]:
    return _listed(lambda: client.chat.completions.messages.list(completion_id, limit=100))
