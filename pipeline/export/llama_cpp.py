"""A real llama.cpp in this process, where the package xllamacpp is installed: it runs what was exported."""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import secrets
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ExpectationNotMet


def is_installed() -> bool:
    """Whether it is."""
    return importlib.util.find_spec("xllamacpp") is not None


class LlamaCpp:
    """One model, loaded."""

    def __init__(self, path: Path, context: int) -> None:
        import xllamacpp  # type: ignore[import-untyped]  # it has none

        self._key = secrets.token_urlsafe(16)
        asked: Any = xllamacpp.CommonParams()
        asked.model.path = str(path)
        asked.n_ctx, asked.n_parallel, asked.warmup, asked.verbosity = context, 1, False, -1
        asked.n_gpu_layers = 0  # a GPU's rounding is its own
        asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
        asked.api_keys = [self._key]
        self._server: Any = xllamacpp.Server(asked)
        self.version = f"llama.cpp of xllamacpp {importlib.metadata.version('xllamacpp')}"

    def ask(self, ids: Sequence[int], most: int) -> tuple[list[int], list[float]]:
        """See Ask."""
        asked = {"prompt": list(ids), "n_predict": most, "temperature": 0.0, "n_probs": 1, "cache_prompt": False}
        said = self._post("/completion", {**asked, "return_tokens": True})
        tokens = list(said["tokens"])
        odds = [each["logprob"] for each in said.get("completion_probabilities") or ()]
        # It tells no odds of tokens that end within a character, so that they could not be told apart.
        return tokens, odds if len(odds) == len(tokens) else []

    def tokens_of(self, text: str) -> list[int]:
        """What it makes of a text with control tokens, and nothing before it."""
        found = self._post("/tokenize", {"content": text, "add_special": False, "parse_special": True})
        return list(found["tokens"])

    def prompt_of(self, messages: Sequence[dict[str, str]]) -> str:
        """What its chat template makes of a conversation."""
        return str(self._post("/apply-template", {"messages": list(messages)})["prompt"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self._server.listening_address}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with contextlib.closing(direct.open(request, timeout=60)) as answer:
                return json.load(answer)
        except OSError as error:
            raise ExpectationNotMet(
                "export",
                f"llama.cpp does not answer {path} with the exported model",
                got=str(error)[:200],
                fix="Nothing was kept. Export with `--to merged`.",
            ) from None


def check_prompts(
    model: LlamaCpp, chats: Sequence[Sequence[dict[str, str]]], prompts: Sequence[list[int]], bos: str
) -> None:
    """See that it makes of conversations the tokens that the model was trained with.

    Raises:
        ExpectationNotMet: it makes others.
    """
    begin = model.tokens_of(bos) if bos else []
    for chat, prompt in zip(chats, prompts, strict=True):
        text = model.prompt_of(chat)
        tokens = model.tokens_of(text)
        if tokens != prompt and [*begin, *tokens] != prompt:  # it takes the first token off and puts it on again
            at = next((i for i, (a, b) in enumerate(zip(tokens, prompt, strict=False)) if a != b), len(tokens))
            raise ExpectationNotMet(
                "export",
                f"llama.cpp makes other tokens of a conversation than it was trained with, from token {at + 1} on",
                got=f"{tokens[at : at + 4]} for {prompt[at : at + 4]}",
                fix="Nothing was kept. Export with `--to merged`.",
            )
