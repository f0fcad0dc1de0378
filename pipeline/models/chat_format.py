"""Conversations to token ids, by the model's own chat template: the one way for training and generation alike.

The template is rendered with a placeholder for every message's content. What the template itself writes is encoded with
its control tokens; the contents are encoded as plain text, so that a message that says "<|im_end|>" stays a message.
Because prompt and training example come out of the same function, what a template adds by itself (SmolLM2's puts its
own system prompt before a conversation that has none) is the same in both, and is left as its authors meant it.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers.decoders import DecodeStream

from pipeline.errors import InputError
from pipeline.models.base_models import quiet_transformers, unloadable
from pipeline.models.encoding import explained
from pipeline.models.messages import ChatMessage, Role
from pipeline.models.tokenizer_files import load_template, load_tokenizer, special_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token that is not a target (PyTorch, cross_entropy's ignore_index)."""

PROBE = (ChatMessage("user", "a"), ChatMessage("assistant", "b"))
"""The shortest conversation that can be learnt from."""

_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")  # private use characters: no template writes them

_SINGLE_BYTE = re.compile("<0x([0-9A-F]{2})>")


class ChatFormat:
    """The tokenizer and chat template of one base model. Safe to use from several threads.

    It needs neither torch nor transformers, so that counting a model's tokens is as cheap as it can be.

    Attributes:
        special: the control tokens as they are written.
        stop_ids: tokens that end an answer: a turn of plain text holds no control tokens.
        padding: a token to pad with, which no model ever looks at.
    """

    def __init__(self, directory: Path) -> None:
        """Load from a Hugging Face directory.

        Raises:
            InputError: the directory has no usable tokenizer or chat template.
        """
        self._directory = directory
        self._where = f"base model {directory.name}"
        self._control = load_tokenizer(directory)
        self._template = load_template(directory)
        self._plain = load_tokenizer(directory)
        self._plain.encode_special_tokens = True
        self._letters = _byte_letters() if "ByteLevel(" in str(self._control.decoder) else {}
        self._added = frozenset(self._control.get_added_tokens_decoder())
        self.special = frozenset(
            token.content for token in self._control.get_added_tokens_decoder().values() if token.special
        )
        self.stop_ids = frozenset(self._control.token_to_id(content) for content in self.special)
        self._most_per_token = max(map(len, self._plain.get_vocab()))
        self.padding = self._padding(self._end_of_turn())
        self.frame = functools.cache(self._frame)

    @functools.cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer as transformers has it, for those who save it; with a token to pad with.

        Raises:
            InputError: transformers cannot load it.
        """
        from transformers import AutoTokenizer

        quiet_transformers()
        try:
            loaded = AutoTokenizer.from_pretrained(self._directory, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # tokenizers raises plain ones, transformers whatever a file leads to
            raise unloadable(self._directory, "its tokenizer.json or tokenizer_config.json", error) from error
        loaded.pad_token = self._control.id_to_token(self.padding)
        return loaded

    def tokens(self) -> set[int]:
        """What plain text can become, and what examples are padded with."""
        return {self.padding, *self._control.get_vocab(with_added_tokens=False).values()}

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each content has.

        Raises:
            InputError: the tokenizer cannot encode one.
        """
        with explained(self._where):
            return [len(each) for each in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _frame(self, roles: tuple[Role, ...]) -> int:
        """How many tokens the template writes around the contents of a conversation of these roles; as `frame`.

        Raises:
            InputError: the template refuses the conversation.
        """
        messages = [ChatMessage(role, "") for role in roles]
        return sum(len(ids) for ids, _ in self._segments(messages, answer_next=False))

    def fewest_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens a conversation has at least, told without encoding it; 0 if that cannot be told.

        It can for a byte-level vocabulary; others may have one token for any number of unknown characters.
        """
        if not self._letters or self._plain.normalizer is not None:  # which may shorten a text
            return 0
        return sum(len(message.content) for message in messages) // self._most_per_token

    def encode(self, text: str) -> list[int]:
        """Token ids of a text in which control tokens count as such: one that a chat template has written, say.

        Nothing is added before or after it. A conversation's are rather had from `prompt` and `answer`, where a message
        that says "<|im_end|>" stays a message.

        Raises:
            InputError: the tokenizer cannot encode it.
        """
        with explained(self._where):
            # As in `_segments`: `encode` would keep every other thread waiting.
            return self._control.encode_batch([text], add_special_tokens=False)[0].ids

    def prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Token ids of a conversation and of the header of the assistant's next turn.

        Raises:
            InputError: the template refuses the conversation.
        """
        return [token for ids, _ in self._segments(messages, answer_next=True) for token in ids]

    def example(self, messages: Sequence[ChatMessage], trained: Sequence[bool]) -> tuple[list[int], list[int]]:
        """Token ids and labels, equally long, of a conversation to learn from.

        Targets are the content of the trained messages and the token that ends each of them; all else is IGNORED.

        Raises:
            InputError: the template refuses the conversation.
        """
        input_ids: list[int] = []
        labels: list[int] = []
        ends_target = False
        for ids, message in self._segments(messages, answer_next=False):
            if message is not None:
                targets = len(ids) if trained[message] else 0
            else:
                targets = self._length_of_end(ids) if ends_target else 0
            ends_target = message is not None and trained[message]
            input_ids += ids
            labels += ids[:targets] + [IGNORED] * (len(ids) - targets)
        return input_ids, labels

    def answer(self, messages: Sequence[ChatMessage], answer: ChatMessage) -> list[int]:
        """Token ids that follow `prompt(messages)` when the assistant says `answer`, and those that end its turn.

        Raises:
            InputError: the template refuses the conversation.
        """
        *_, (ids, _), (end, _) = self._segments([*messages, answer], answer_next=False)
        return ids + end[: self._length_of_end(end)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some tokens, control tokens included; U+FFFD for bytes that are no character (yet)."""
        return self._control.decode(list(ids), skip_special_tokens=False)

    def detokenizer(self) -> Callable[[int], str]:
        """A function that takes an answer's tokens one by one and returns the text that each adds.

        It returns nothing while the bytes so far end within a character.
        """
        stream = DecodeStream(skip_special_tokens=True)
        return lambda token: stream.step(self._control, token) or ""

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for; the bytes of an answer's tokens, one after the other, are its text.

        Vocabularies write bytes as letters (GPT-2's byte-level BPE), or a space as U+2581 and single bytes as <0x0A>
        (SentencePiece).
        """
        written = self._control.id_to_token(token) or ""
        if token in self._added:
            return written.encode()
        if self._letters:
            return bytes(self._letters[letter] for letter in written)
        if match := _SINGLE_BYTE.fullmatch(written):
            return bytes.fromhex(match[1])
        return written.replace("\u2581", " ").encode()

    def _segments(
        self, messages: Sequence[ChatMessage], *, answer_next: bool
    ) -> Iterator[tuple[list[int], int | None]]:
        """Token ids piece by piece: what the template writes (None), or the content of a message (its index)."""
        rendered = self._render(messages, answer_next=answer_next)
        parts = _PLACEHOLDER.split(rendered)
        if [int(index) for index in parts[1::2]] != list(range(len(messages))):
            raise InputError(
                self._where,
                "its chat template does not print every message once and in order",
                fix="Choose a model whose template does.",
            )
        for position, part in enumerate(parts):
            message = int(part) if position % 2 else None
            with explained(self._where):
                if message is None:
                    ids = self._control.encode(part, add_special_tokens=False).ids
                else:
                    # `encode` keeps every other thread waiting, for seconds if need be; the one for batches does not.
                    ids = self._plain.encode_batch([messages[message].content], add_special_tokens=False)[0].ids
            yield ids, message

    def _render(self, messages: Sequence[ChatMessage], *, answer_next: bool) -> str:
        return self._template.render([turn.role for turn in messages], answer_next=answer_next)

    def _end_of_turn(self) -> int:
        """Render an assistant's turn; the control token that ends it.

        Raises:
            InputError: none does.
        """
        *_, (ids, _) = self._segments(PROBE, answer_next=False)
        if (length := self._length_of_end(ids)) == 0:
            raise InputError(
                self._where,
                "its chat template ends an assistant's turn with no control token, so it could not learn to stop",
                fix="Choose a model made for chat.",
            )
        return ids[length - 1]

    def _padding(self, end: int) -> int:
        """The token that the directory names for padding or for the end of a text, else the one that ends a turn.

        TRL's trainers insist on one.
        """
        words = special_words(self._directory)
        named = self._control.token_to_id(str(words.get("pad_token") or words.get("eos_token") or ""))
        return end if named is None else named

    def _length_of_end(self, ids: Sequence[int]) -> int:
        """How many of the tokens after an assistant's content end its turn: all up to the first control token."""
        return next((n for n, token in enumerate(ids, start=1) if token in self.stop_ids), 0)


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary: itself if it can be printed, else the next free.

    As in GPT-2's encoder.py, bytes_to_unicode.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
