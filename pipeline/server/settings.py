"""What a server is told when it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MAX_FILE_BYTES = 512 * 1024 * 1024  # OpenAI API reference, files: "individual files can be up to 512 MB"
MAX_UPLOAD_BYTES = 8 * 1024**3  # uploads: "the maximum size of an Upload is 8 GB"
MAX_PART_BYTES = 64 * 1024 * 1024  # "each Part can be at most 64 MB"


@dataclass(frozen=True)
class ServerSettings:
    """One server on one data directory.

    Attributes:
        data_dir: the store's home; made with mode 0700 when missing.
        key: the bearer keys that clients show, separated by blanks; without any, the store's own is asked for.
        port: 0 takes a free one.
        models: base models on disk that may be named besides the packaged ones, as clients will write them: paths
            of Hugging Face directories, and names of the Hugging Face Hub that are in the user's cache. A request that
            names any other path touches no file, and none makes anything be fetched.
        offers_cache: whether whatever chat model is in the user's Hugging Face cache may be named, too.
        aliases: names that are answered by another model here, each with that model's: what a program was told to ask
            for may live on elsewhere.
        requests_per_minute: how many each key may make; None is any number.
        script: the scripted trainer's instructions, a JSON file.
        workers: how many jobs may train at once.
        max_file_bytes: the largest file that may be uploaded in one piece.
        max_upload_bytes, max_part_bytes: the largest that may come in parts, and its largest part.
    """

    data_dir: Path
    key: str
    host: str = "127.0.0.1"
    port: int = 0
    models: tuple[str, ...] = ()
    offers_cache: bool = False
    aliases: tuple[tuple[str, str], ...] = ()
    trainer: Literal["lora", "scripted"] = "lora"
    script: Path | None = None
    workers: int = 1
    requests_per_minute: int | None = None
    max_file_bytes: int = MAX_FILE_BYTES
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    max_part_bytes: int = MAX_PART_BYTES
