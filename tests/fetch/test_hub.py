"""Models are fetched from a Hub on this machine that goes wrong in every way the real one can."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from pipeline.fetch.hub.messages import Fetched, Message, Note, Progress, Refused
from pipeline.fetch.hub.process import answer
from pipeline.fetch.hub.transfer import PART
from pipeline.models import hub_cache
from pipeline.models.architectures import SUPPORTED
from tests.hub import NEWER, SHA, Hub, serving

NAME = "org/tiny"
Files = dict[str, bytes]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as hub:
        yield hub


@pytest.fixture
def files(tiny_model: Path) -> Files:
    return {path.name: path.read_bytes() for path in tiny_model.iterdir()}


class Fetch:
    """Fetches as the process does that is there for it, on a cache of its own.

    Attributes:
        notes, told: what was said meanwhile.
        waits: between attempts.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.notes: list[str] = []
        self.told: list[tuple[int, int]] = []
        self.waits: list[float] = []

    def __call__(self, name: str = NAME, **options: bool) -> Message:
        asked = hub_cache.parse(name)
        assert asked is not None
        return answer(asked, self._say, sleep=self.waits.append, **options)

    def _say(self, message: Message) -> None:
        if isinstance(message, Note):
            self.notes.append(message.text)
        elif isinstance(message, Progress):
            self.told.append((message.done, message.total))

    def there(self, name: str = NAME, sha: str = SHA) -> Files:
        """The snapshot that is in the cache."""
        folder = self.cache / f"models--{name.replace('/', '--')}" / "snapshots" / sha
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    cache = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return Fetch(cache)


def refused(message: Message) -> tuple[str, str]:
    """The kind of a refusal, and its whole message."""
    assert isinstance(message, Refused), message
    return message.kind, str(message.error())


def weights_asked_for(hub: Hub) -> list[str]:
    return [path for method, path, _, _ in hub.asked if method == "GET" and path.startswith("/lfs/")]


def test_what_training_needs_is_fetched_and_nothing_else(hub: Hub, fetch: Fetch, files: Files) -> None:
    others = {
        "README.md": b"# hi", "pytorch_model.bin": b"pickle", "consolidated.safetensors": b"again", "m.gguf": b"x",
        "modeling_tiny.py": b"evil", "original/consolidated.pth": b"pickle", "training_args.bin": b"pickle",
    }  # fmt: skip
    hub.add(NAME, {**files, **others, "added_tokens.json": b"{}"})
    size = sum(map(len, files.values())) + 2
    assert fetch() == Fetched(SHA, size, len(files["model.safetensors"]))
    assert fetch.there() == {**files, "added_tokens.json": b"{}"}
    assert fetch.told[-1] == (size, size)
    assert hub_cache.pinned(NAME) == f"{NAME}@{SHA}"
    assert {path.rpartition("/")[2] for _, path, _, _ in hub.asked} & {
        name.rpartition("/")[2] for name in others
    } == set()


def test_what_is_here_is_not_fetched_again(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    fetch()
    hub.asked.clear()
    assert isinstance(fetch(), Fetched)
    assert [path for _, path, _, _ in hub.asked] == [
        f"/api/models/{NAME}/revision/main",
        f"/api/models/{NAME}/tree/{SHA}",
    ]


def test_a_commit_can_be_named(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    hub.add(NAME, {**files, "generation_config.json": b"{}"}, NEWER)
    assert isinstance(fetch(f"{NAME}@{SHA}"), Fetched)
    assert fetch.there() == files
    assert fetch.there(sha=NEWER) == {}
    assert hub_cache.pinned(NAME) is None, "what main is was not asked"


def test_a_cut_connection_goes_on_where_it_was(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    size = len(files["model.safetensors"])
    hub.cuts["model.safetensors"] = [50_000, 30_000]
    assert isinstance(fetch(), Fetched)
    assert fetch.there() == files
    assert [asked for method, path, _, asked in hub.asked if path.startswith("/lfs/")] == [
        None, "bytes=50000-", "bytes=80000-",
    ]  # fmt: skip
    assert hub.sent["model.safetensors"] == size, "nothing came twice"
    assert fetch.notes == [
        f"the connection to the Hub was lost at {here} of {size:,} bytes of model.safetensors; trying again"
        for here in ("50,000", "80,000")
    ]


def test_a_download_that_stops_for_good_is_continued_by_the_next_process(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    size = len(files["model.safetensors"])
    hub.cuts["model.safetensors"] = [50_000, *[0] * 5]
    assert refused(fetch()) == (
        "later",
        f"base model {NAME}: the download stopped at 50,000 of {size:,} bytes of model.safetensors. "
        "Check the network, then run the same command again: what has come is kept.",
    )
    assert fetch.waits == [1, 2, 4, 8, 16]
    assert hub_cache.pinned(NAME) is None
    assert isinstance(fetch(), Fetched)
    assert fetch.there() == files
    assert hub.sent["model.safetensors"] == size
    assert list(fetch.cache.rglob(f"*{PART}")) == []


def test_a_server_that_knows_no_ranges_begins_anew(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    hub.knows_ranges = False
    hub.cuts["model.safetensors"] = [50_000]
    assert isinstance(fetch(), Fetched)
    assert fetch.there() == files


def test_what_is_not_as_the_hub_has_it_is_never_taken(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    hub.cuts["model.safetensors"] = [50_000, *[0] * 5]
    fetch()
    (part,) = fetch.cache.rglob(f"*{PART}")
    part.write_bytes(b"\0" * 50_000)
    assert refused(fetch()) == (
        "later",
        f"base model {NAME}: model.safetensors did not arrive as the Hub has it. Run the same command again.",
    )
    assert isinstance(fetch(), Fetched)
    assert fetch.there() == files


def test_a_model_in_shards_is_fetched_as_its_index_says(hub: Hub, fetch: Fetch, files: Files) -> None:
    weights = files.pop("model.safetensors")
    index = {"weight_map": {"a": "model-00001.safetensors", "b": "model-00002.safetensors"}}
    shards = {"model-00001.safetensors": weights, "model-00002.safetensors": b"rest"}
    files |= {hub_cache.INDEX: json.dumps(index).encode(), **shards}
    hub.add(NAME, {**files, "model-00003.safetensors": b"of nobody"})
    assert isinstance(fetch(), Fetched)
    assert fetch.there() == files


def test_a_gated_model_comes_with_a_token_which_no_other_host_is_shown(
    hub: Hub, fetch: Fetch, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, files)
    hub.gated.add(NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    assert isinstance(fetch(), Fetched)
    assert {(path.startswith("/lfs/"), token) for _, path, token, _ in hub.asked} == {(False, True), (True, False)}


def _config(files: Files, **changes: Any) -> Files:
    return {**files, "config.json": json.dumps({**json.loads(files["config.json"]), **changes}).encode()}


def _without(*names: str) -> Callable[[Files], Files]:
    return lambda files: {name: data for name, data in files.items() if name not in names}


CHOOSE = "Choose another model: one with safetensors that is made for chat."
NEEDED = f"and safetensors are needed, which cannot hold code. {CHOOSE}"
MADE_FOR_CHAT = "Choose another model, one that is made for chat."


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_without("config.json"), f"has no config.json, so it is no model of transformers. {CHOOSE}"),
        (_without("model.safetensors"), f"has no weights, {NEEDED}"),
        (
            lambda files: {**_without("model.safetensors")(files), "pytorch_model.bin": b"x", "m.gguf": b"x"},
            f"has weights as GGUF and pickled PyTorch only, {NEEDED}",
        ),
        (_without("tokenizer.json"), f"has no tokenizer.json. {CHOOSE}"),
        (
            lambda _: {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"},
            "is an adapter (LoRA), not a whole model. Name the model that it was made for, as its page says.",
        ),
        (
            lambda files: _config(files, model_type="evil", architectures=["Evil"], auto_map={"AutoConfig": "e.C"}),
            "its architecture (Evil) needs code of its own (`auto_map`), which is never run. "
            "Choose a model of an architecture that transformers knows.",
        ),
        (
            lambda files: _config(files, architectures=["LlamaForSequenceClassification"]),
            "transformers VERSION has no chat model of its architecture (LlamaForSequenceClassification). "
            f"{MADE_FOR_CHAT}",
        ),
        (
            lambda files: _config(files, model_type="t5", architectures=["T5ForConditionalGeneration"]),
            "its architecture cannot be trained here, got t5. "
            f"Choose a model of one of these: {', '.join(SUPPORTED)}.",
        ),
        (
            lambda files: _config(files, quantization_config={"quant_method": "gptq"}),
            "its weights are quantised, and training needs them whole, got gptq. "
            "Choose the model that it was made from, in bfloat16 or float32.",
        ),
        (
            lambda files: {**files, "config.json": b"[]"},
            f"its config.json makes no sense (Expected `object`, got `array`). {MADE_FOR_CHAT}",
        ),
        (_without("chat_template.jinja"), "its tokenizer has no chat template. Choose a model made for chat."),
        (
            lambda files: {**files, hub_cache.INDEX: b'{"weight_map": {"a": "../x.safetensors"}}'},
            f"its {hub_cache.INDEX} names a file that is not there, got ../x.safetensors. {CHOOSE}",
        ),
    ],
    ids=[
        "no config", "no weights", "pickles", "no tokenizer", "adapter", "own code", "no head", "no chat model",
        "quantised", "no object", "no template", "index",
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_its_weights_are_fetched(
    hub: Hub, fetch: Fetch, files: Files, made: Callable[[Files], Files], said: str
) -> None:
    import transformers

    hub.add(NAME, made(files))
    said = said.replace("VERSION", transformers.__version__)
    assert refused(fetch()) == ("input", f"base model {NAME}: {said}")
    assert weights_asked_for(hub) == []


def test_code_beside_a_model_that_transformers_knows_is_left_alone(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, {**_config(files, auto_map={"AutoConfig": "e.C"}), "e.py": b"evil"})
    assert isinstance(fetch(), Fetched)
    assert "e.py" not in fetch.there()


def test_a_disk_that_is_too_small_is_found_before_the_weights_are_asked_for(
    hub: Hub, fetch: Fetch, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, files)
    hub.sizes["model.safetensors"] = 8_000_000_000
    there = shutil.disk_usage(fetch.cache.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: there._replace(free=8_500_000_000))
    assert refused(fetch()) == (
        "disk",
        f"base model {NAME}: needs 8.0 GB more on the disk of {fetch.cache}, and 1 GB to work with, got 8.5 GB free. "
        "Free some space, or set HF_HOME to a folder on a larger disk.",
    )
    assert weights_asked_for(hub) == []


def test_each_refusal_of_the_hub_says_what_to_do(
    hub: Hub, fetch: Fetch, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, files)
    hub.gated.add(NAME)
    hub.renamed["org/old"] = NAME
    page, tokens = hub.endpoint, f"a token of yours ({hub.endpoint}/settings/tokens)"
    nothing = f"Check its name at {page}/org/none"
    said = {name: refused(fetch(name)) for name in ("org/none", NAME, "org/old", "org/old@main", f"{NAME}@v9")}
    assert said == {
        "org/none": (
            "input",
            f"base model org/none: there is no such model on the Hub, or it is private. {nothing}; "
            f"for a private one set HF_TOKEN to {tokens}.",
        ),
        NAME: (
            "input",
            f"base model {NAME}: is gated: its authors want to be asked first, and no token is set. "
            f"Accept its terms at {page}/{NAME}, set HF_TOKEN to {tokens}, then run the same command again.",
        ),
        "org/old": (
            "input",
            f"base model org/old: is called {NAME} on the Hub now. Set create_job.model to {NAME}.",
        ),
        "org/old@main": (
            "input",
            f"base model org/old: is called {NAME} on the Hub now. Set create_job.model to {NAME}@main.",
        ),
        f"{NAME}@v9": (
            "input",
            f"base model {NAME}: has no such revision, got v9. "
            f"Name a branch, a tag or a whole commit id that is there: {page}/{NAME}/commits/main.",
        ),
    }
    assert refused(fetch(f"{NAME}@{NEWER}", pinned=True)) == (
        "input",
        f"base model {NAME}: the commit that this run has trained with is not on the Hub any more, got {NEWER}. "
        "Run `finetune forget CONFIG create_job`, and the next run takes what is there today.",
    )
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    assert refused(fetch("org/none")) == (
        "input",
        f"base model org/none: there is no such model on the Hub, or it is not for the token that is set. {nothing}.",
    )
    hub.status = 401
    assert refused(fetch()) == (
        "input",
        f"base model {NAME}: the Hub refuses the token that is set (HTTP 401). Set HF_TOKEN to {tokens}.",
    )
    assert weights_asked_for(hub) == []
    assert list(fetch.cache.rglob("*.safetensors")) == []


def test_a_folder_of_that_name_is_told_of(
    fetch: Fetch, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert refused(fetch("models/mine"))[1].endswith("; for the folder that is here, write ./models/mine.")


def test_a_hub_that_is_away_is_done_without_where_the_model_is_here(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    hub.status = 503
    kind, said = refused(fetch())
    assert (kind, said.startswith(f"base model {NAME}: the Hub at {hub.endpoint} does not answer (")) == ("later", True)
    assert said.endswith("Check the network, then run the same command again: what has come is kept.")
    hub.status = None
    fetch()
    hub.status = 503
    assert fetch() == Fetched(SHA, 0, 0)
    (note,) = fetch.notes
    assert note.endswith(f"; the copy that is here is used, commit {SHA[:7]}")


def test_to_look_fetches_nothing(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    size = sum(map(len, files.values()))
    assert fetch(look=True) == Fetched(SHA, size, len(files["model.safetensors"]))
    assert not fetch.cache.exists()
    hub.gated.add(NAME)
    assert refused(fetch(look=True))[1].startswith(f"base model {NAME}: is gated: ")


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, fetch: Fetch, files: Files) -> None:
    hub.add(NAME, files)
    fetch.cache.write_text("a file")
    kind, said = refused(fetch())
    assert (kind, said) == (
        "disk",
        f"{fetch.cache}/models--org--tiny: cannot be used (Not a directory). "
        "Move the file that stands in the place of a directory away, then run again.",
    )
