"""How many tokens an example has: an estimate at once, or exactly as the model counts them."""

import math
from collections.abc import Callable
from typing import Literal

from pipeline.dataset.notebook import Example
from pipeline.errors import InputError

_CHARACTERS_PER_TOKEN = 3.5
_TOKENS_PER_MESSAGE = 4  # role and delimiters: <|im_start|>, the role, its line break, <|im_end|>

TokenCounter = Callable[[Example], int]


def token_counter(model: str, mode: Literal["exact", "estimate"]) -> TokenCounter:
    """Return a function that counts the tokens of one example, all roles and the template's own tokens included.

    Args:
        model: what is fine-tuned: an OpenAI model, or a base model of pipeline.training.base_models.
        mode: "estimate" counts characters, and knows no model; "exact" loads the model's tokenizer first, and for a
            base model converts it if that has not been done.

    Raises:
        InputError: "exact", and the model is unknown here or its tokenizer cannot be had.
    """
    if mode == "estimate":
        return _estimate
    return _openai_counter(model) or _base_model_counter(model)


def _estimate(example: Example) -> int:
    characters = sum(len(turn["content"]) for turn in example["messages"])
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(example["messages"])


def _openai_counter(model: str) -> TokenCounter | None:
    """Count as OpenAI's cookbook does ("How to count tokens with tiktoken"); None for a model that is not OpenAI's."""
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    try:
        encoding = tiktoken.get_encoding(name)
    except OSError as error:  # tiktoken fetches each vocabulary once
        raise InputError(
            "convert.tokens",
            f"the vocabulary {name} of {model} cannot be downloaded ({type(error).__name__})",
            fix="Set `convert.tokens: estimate`, or run once with access to the internet.",
        ) from None

    def count(example: Example) -> int:
        turns = example["messages"]
        contents = sum(len(encoding.encode_ordinary(turn["content"])) for turn in turns)
        return contents + sum(3 + len(encoding.encode_ordinary(turn["role"])) for turn in turns) + 3

    return count


def _base_model_counter(model: str) -> TokenCounter:
    estimate = "set `convert.tokens: estimate`."
    try:
        from pipeline.training.base_models import is_known, prepare
        from pipeline.training.chat_format import ChatFormat
        from pipeline.training.protocol import ChatMessage
    except ModuleNotFoundError as error:
        raise InputError(
            "convert.tokens",
            f"counting exactly needs the package {error.name}",
            fix=f"Run `pip install 'finetune-pipeline[local]'`, or {estimate}",
        ) from None
    if not is_known(model):
        raise InputError(
            "convert.tokens", "expected a model whose tokenizer is known here", got=model, fix=estimate.capitalize()
        )
    chat_format = ChatFormat(prepare(model))

    def count(example: Example) -> int:
        messages = [ChatMessage(turn["role"], turn["content"]) for turn in example["messages"]]
        input_ids, _ = chat_format.example(messages, [False] * len(messages))
        return len(input_ids)

    return count
