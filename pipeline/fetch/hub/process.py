"""Asks the Hugging Face Hub for one model, in a process of its own: `python -m pipeline.fetch.hub.process NAME`.

It is the only one that knows the user's token and may ask the Hub; all others are kept offline (process/privacy.py).
"""

import argparse
import fnmatch
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from huggingface_hub import HfApi, constants, get_hf_file_metadata, get_token, hf_hub_download, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # its documented home

from pipeline.durable import rename, unusable
from pipeline.errors import FinetuneError, InputError, StateDamaged
from pipeline.fetch.hub.files import small_files, weight_files
from pipeline.fetch.hub.messages import Fetched, Message, Note, Progress, Refused
from pipeline.fetch.hub.refusals import explained, is_away, said
from pipeline.fetch.hub.transfer import partial, receive
from pipeline.models import hub_cache
from pipeline.models.hub_cache import HubName
from pipeline.process.privacy import remember_key

_TOLD = 200
"""How often progress is told of, at most."""
_GB = 1_000_000_000
_ROOM_LEFT = 1 * _GB
"""Bytes that a run takes beside the model, at most."""


class Hub:
    """What is asked of it for one model.

    Args:
        name: what is wanted.
        say: is told how it goes.
        look: only find out whether it could be fetched.
    """

    def __init__(
        self,
        name: HubName,
        say: Callable[[Message], None],
        *,
        look: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._name = name
        self._say = say
        self._look = look
        self._where = f"base model {name.repo}"
        self._api = HfApi(library_name="finetune-pipeline")
        self._folder = hub_cache.folder(name)
        self._sizes: dict[str, int] = {}
        self._told = 0

    def fetch(self) -> Fetched:
        """Bring what is missing of the model into the cache: small files first, and weights only if they will do.

        Raises:
            FinetuneError: it cannot be had, or cannot be trained.
        """
        sha = self._sha()
        self._sizes = {
            each.path: each.size
            for each in self._api.list_repo_tree(self._name.repo, revision=sha)
            if isinstance(each, RepoFile)
        }
        small = small_files(self._sizes, self._where)
        directory = self._folder / "snapshots" / sha
        if self._look:
            get_hf_file_metadata(hf_hub_url(self._name.repo, "config.json", revision=sha), token=get_token())
            shards = (name for name in self._sizes if fnmatch.fnmatchcase(name, "model-*.safetensors"))
            weights = [hub_cache.SINGLE] if hub_cache.INDEX not in self._sizes else list(shards)
        else:
            for name in small:
                self._link(name, sha)
            self._check(directory)
            weights = weight_files(directory, self._sizes, self._where)
        missing = [name for name in weights if not (directory / name).exists()]
        size = sum(self._sizes[name] for name in (*small, *weights))
        found = Fetched(sha, size, sum(self._sizes[name] for name in missing))
        self._check_room(found.missing)
        if not self._look:
            self._bring(missing, sha, size - found.missing, size)
            self._remember(sha)
        return found

    def _sha(self) -> str:
        if self._name.sha is not None:
            return self._name.sha
        info = self._api.model_info(self._name.repo, revision=self._name.revision or hub_cache.DEFAULT_REVISION)
        if info.id != self._name.repo:
            revision = f"@{self._name.revision}" if self._name.revision else ""
            fix = f"Set create_job.model to {info.id}{revision}."
            raise InputError(self._where, f"is called {info.id} on the Hub now", fix=fix)
        if info.sha is None:
            raise ValueError("the Hub names no commit")
        return info.sha

    @staticmethod
    def _check(directory: Path) -> None:
        from pipeline.models.config_check import check_small_files  # takes seconds to import

        check_small_files(directory)

    def _link(self, name: str, sha: str) -> None:
        hf_hub_download(self._name.repo, name, revision=sha)

    def _check_room(self, missing: int) -> None:
        there = next(each for each in (self._folder, *self._folder.parents) if each.is_dir())
        here = sum(each.stat().st_size for each in self._folder.glob(f"blobs/*{partial(Path('x')).suffix}"))
        free = shutil.disk_usage(there).free
        if missing and missing - here + _ROOM_LEFT > free:
            needed = f"{(missing - here) / _GB:,.1f} GB"
            raise StateDamaged(
                self._where,
                f"needs {needed} more on the disk of {hub_cache.cache()}, and 1 GB to work with",
                got=f"{free / _GB:,.1f} GB free",
                fix="Free some space, or set HF_HOME to a folder on a larger disk.",
            )

    def _bring(self, names: list[str], sha: str, done: int, total: int) -> None:
        headers = build_hf_headers(token=get_token(), library_name="finetune-pipeline")
        for name in names:
            self._say(Progress(done, total))
            url = hf_hub_url(self._name.repo, name, revision=sha)
            metadata = get_hf_file_metadata(url, token=get_token(), retry_on_errors=True)
            if metadata.etag is None or metadata.size is None:
                raise ValueError(f"the Hub names no digest or size of {name}")
            blob = self._folder / "blobs" / metadata.etag
            before = done
            receive(
                url,
                blob,
                metadata.size,
                where=self._where,
                headers=headers,
                progress=lambda here, before=before: self._tell(before + here, total),  # type: ignore[misc]
                note=lambda text: self._say(Note(text)),
                sleep=self._sleep,
            )
            self._link(name, sha)
            done += metadata.size
        self._say(Progress(total, total))

    def _tell(self, done: int, total: int) -> None:
        if done - self._told >= total / _TOLD:
            self._told = done
            self._say(Progress(done, total))

    def _remember(self, sha: str) -> None:
        """What the name means now, for whoever looks without asking."""
        if self._name.sha is None:
            ref = self._folder / "refs" / (self._name.revision or hub_cache.DEFAULT_REVISION)
            ref.parent.mkdir(parents=True, exist_ok=True)
            beside = ref.with_name(f".{ref.name}.{os.getpid()}")
            beside.write_text(sha)  # with the modes of the rest of the cache, which others may share
            rename(beside, ref)


def answer(
    name: HubName,
    say: Callable[[Message], None],
    *,
    look: bool = False,
    pinned: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Message:
    """Fetch a model, or say why not; where the Hub is away, what is here already will do."""
    try:
        return Hub(name, say, look=look, sleep=sleep).fetch()
    except FinetuneError as error:
        return Refused.of(error)
    except Exception as error:  # noqa: BLE001  whatever the Hub's answers make of its library
        if isinstance(error, OSError) and error.errno is not None and not is_away(error):
            return Refused.of(unusable(error, str(hub_cache.cache())))
        here = hub_cache.snapshot(name)
        if here is not None and is_away(error):
            used = f"the copy that is here is used, commit {here.name[:7]}"
            say(Note(f"the Hub at {constants.ENDPOINT} does not answer ({said(error)}); {used}"))
            return Fetched(here.name, 0, 0)
        return Refused.of(explained(name, error, constants.ENDPOINT, has_token=bool(get_token()), pinned=pinned))


def main() -> None:
    """Say on stdout how it goes; end with the process that started this one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--look", action="store_true")
    parser.add_argument("--pinned", action="store_true")
    given = parser.parse_args()
    name = hub_cache.parse(given.name)
    if name is None:
        parser.error("not a name of the Hub")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print
    remember_key(get_token() or "")

    def say(message: Message) -> None:
        out.write(msgspec.json.encode(message) + b"\n")
        out.flush()

    say(answer(name, say, look=given.look, pinned=given.pinned))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
