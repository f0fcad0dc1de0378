"""How many tokens a base model's texts and template take: what ChatFormat makes, counted without torch.

Contents are counted apart from what the template writes, as ChatFormat encodes them.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models.base_models import unloadable
from pipeline.models.chat_format import ChatFormat
from pipeline.models.chat_template import ChatTemplate
from pipeline.models.messages import ChatMessage, Role

_PLACEHOLDER = re.compile("\ue000[0-9]+\ue001")


class _Named(msgspec.Struct):
    content: str


class _TokenizerConfig(msgspec.Struct):
    """The part of tokenizer_config.json that chat templates may see."""

    chat_template: object = None
    bos_token: str | _Named | None = None
    eos_token: str | _Named | None = None
    pad_token: str | _Named | None = None
    unk_token: str | _Named | None = None


class TokenCounts:
    """The tokenizer and chat template of one base model, for counting. Safe to use from several threads.

    Attributes:
        tokenizer: encodes what the template writes.
        special: the control tokens as they are written.
    """

    def __init__(self, directory: Path) -> None:
        """Load from a Hugging Face directory that `base_models.prepare` returned.

        Raises:
            InputError: the directory has no usable tokenizer or chat template.
        """
        self._directory = directory
        self.tokenizer = self._load()
        added = self.tokenizer.get_added_tokens_decoder().values()
        self.special = frozenset(token.content for token in added if token.special)
        self._template = _template(directory)
        self.frame = functools.cache(self._frame)

    def _load(self) -> Tokenizer:
        try:
            tokenizer = Tokenizer.from_file(str(self._directory / "tokenizer.json"))
        except Exception as error:  # noqa: BLE001  tokenizers raises plain ones
            raise unloadable(self._directory, "its tokenizer.json", error) from None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @functools.cached_property
    def _plain(self) -> Tokenizer:
        """Encodes contents: text like a control token's is text."""
        tokenizer = self._load()
        tokenizer.encode_special_tokens = True
        return tokenizer

    def _frame(self, roles: tuple[Role, ...]) -> int:
        """Tokens that the template writes around the contents of a conversation of these roles.

        Raises:
            InputError: the template refuses it.
        """
        if self._template is None:  # not the usual kind: the long way, with torch
            messages = [ChatMessage(role, "") for role in roles]
            return len(_chat_format(self._directory).example(messages, [False] * len(messages))[0])
        try:
            rendered = self._template.render(roles, answer_next=False)
        except InputError:
            self._template = None  # ChatFormat, which knows every special token, says what is wrong, if anything is
            return self._frame(roles)
        parts = _PLACEHOLDER.split(rendered)
        encoded = self.tokenizer.encode_batch_fast(parts, add_special_tokens=False)
        return sum(map(len, encoded))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(encoded) for encoded in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]


@functools.cache
def _chat_format(directory: Path) -> ChatFormat:
    return ChatFormat(directory)


def _template(directory: Path) -> ChatTemplate | None:
    """The chat template with the words that it may use; None where it is not of the usual kind."""
    try:
        config = msgspec.json.decode(read_file(directory / "tokenizer_config.json"), type=_TokenizerConfig)
        file = directory / "chat_template.jinja"
        source = file.read_text(encoding="utf-8") if file.is_file() else config.chat_template
        if not isinstance(source, str):
            return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None
    words = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = getattr(config, name)
        if token is not None:
            words[name] = token.content if isinstance(token, _Named) else token
    return ChatTemplate(f"base model {directory.name}", source, words)
