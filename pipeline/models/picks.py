"""The base models worth naming to a person (picks.yaml), and the shape of any other that lies on this machine."""

import functools
from importlib import resources
from pathlib import Path

import msgspec

from pipeline.durable import expand_home, read_file
from pipeline.models import hub_cache
from pipeline.models.base_models import BASE_MODELS, is_path

BUNDLED = next(iter(BASE_MODELS))


class Shape(msgspec.Struct, frozen=True):
    """The numbers of a transformer that memory and time follow from.

    Attributes:
        feed_forward: the width between the two halves of a layer's feed-forward part.
        heads, kv_heads, head_size: of attention.
        vocabulary: tokens; the table of them is the output layer, too (all picks tie them).
    """

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int

    @property
    def products(self) -> list[tuple[int, int]]:
        """The matrices of one layer, inputs by outputs."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        wide = self.feed_forward
        return [
            (self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden),
            (self.hidden, wide), (self.hidden, wide), (wide, self.hidden),
        ]  # fmt: skip

    @property
    def in_layers(self) -> int:
        """Parameters that each token is multiplied with, in all layers."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.products)

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.in_layers + (self.vocabulary + 2 * self.layers + 1) * self.hidden


class Pick(msgspec.Struct, frozen=True):
    """A base model, as picks.yaml tells of it.

    Attributes:
        name: as `create_job.model` takes it.
        languages: codes (ISO 639-1) of those it was made for, `somewhat` of those it writes with mistakes.
        thinking: it can think before it answers; trained and served here with that off.
        sense: from 1, little, to 4, small talk that convinces.
        chat: that, in words.
        hub: its name on the Hugging Face Hub, where `name` is another.
    """

    name: str
    title: str
    parameters: int
    download_gb: float
    languages: list[str]
    somewhat: list[str]
    licence: str
    gated: bool
    thinking: bool
    sense: int
    chat: str
    shape: Shape
    hub: str | None = None

    def speaks(self, language: str) -> "bool | None":
        """Whether it speaks a language; None for somewhat."""
        return None if language in self.somewhat else language in self.languages


class _Picks(msgspec.Struct):
    date: str
    picks: list[Pick]


def picks() -> list[Pick]:
    """All of them, in the order of the file."""
    return _read().picks


def date_of_picks() -> str:
    """When they were looked up, such as 2026-11-27."""
    return _read().date


def pick_named(name: str) -> Pick | None:
    """The pick that a config's `create_job.model` means, by its own name or the Hub's; None if it is none of them.

    Args:
        name: may end in the revision of a Hub model, `@…`.
    """
    wanted = name.partition("@")[0].lower()
    return next((each for each in picks() if wanted in (each.name.lower(), (each.hub or each.name).lower())), None)


@functools.cache
def _read() -> _Picks:
    import yaml

    text = resources.files("pipeline.models").joinpath("picks.yaml").read_text(encoding="utf-8")
    read = yaml.safe_load(text)
    return msgspec.convert({**read, "date": str(read["date"])}, _Picks)


class _Config(msgspec.Struct):
    """The part of a config.json that says how large a model is; models of text and images have it one level down."""

    num_hidden_layers: int | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    vocab_size: int | None = None
    text_config: "_Config | None" = None


def shape_of(name: str) -> Shape | None:
    """The shape of a base model: a pick's, or what the config.json of a directory on this machine says.

    None where nobody knows, as of a model that is not here, or of an architecture with other numbers.
    """
    known = pick_named(name)
    if known is not None:
        return known.shape
    asked = hub_cache.parse(name)
    directory = expand_home(name, "create_job.model") if is_path(name) else asked and hub_cache.snapshot(asked)
    try:
        told = msgspec.json.decode(read_file((directory or Path("-")) / "config.json"), type=_Config)
    except (OSError, msgspec.DecodeError):
        return None
    told = told.text_config or told
    sizes = (
        told.num_hidden_layers,
        told.hidden_size,
        told.intermediate_size,
        told.num_attention_heads,
        told.vocab_size,
    )
    layers, hidden, feed_forward, heads, vocabulary = (size or 0 for size in sizes)
    if min(layers, hidden, feed_forward, heads, vocabulary) < 1:
        return None
    kv_heads, head_size = told.num_key_value_heads or heads, told.head_dim or hidden // heads
    return Shape(layers, hidden, feed_forward, heads, kv_heads, head_size, vocabulary)
