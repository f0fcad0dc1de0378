"""Writes what a successor learns from, and the config with which `finetune run` trains it in the ordinary steps."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from pipeline.config.settings import Backend
from pipeline.durable import atomic_writer, read_file, reading, write_atomically
from pipeline.errors import InputError
from pipeline.models.example_rules import check_example, check_preference
from pipeline.rescue.folders import ANSWERS, TRAIN
from pipeline.rescue.ledger import opened
from pipeline.rescue.prompts import Prompt, prompts
from pipeline.training.examples import ExamplesError, parse_example

LEARN, CONFIG = "learn.jsonl", "retrain.yaml"
TERMS = "https://openai.com/policies"
_WHERE = "retrain"
_ASKED = 3  # prompts of the smoke test
_SHORT = 200  # characters of one


class Wanted(NamedTuple):
    """How the successor is to be trained.

    Attributes:
        name: of the run.
        base: create_job.model; None for the backend's usual one.
        distill: learn from the recorded answers, too.
    """

    name: str
    backend: Backend
    base: str | None
    distill: bool


class Learnt(NamedTuple):
    """What went into the file that is learnt from.

    Attributes:
        own: the user's own examples.
        recorded: answers of the old model.
        left_out: examples that cannot be learnt from, by why.
    """

    config: Path
    own: int
    recorded: int
    left_out: Counter[str]


def retrain(folder: Path, model: str, wanted: Wanted) -> Learnt:
    """Write both files into the model's folder; replaces those of an earlier call.

    Raises:
        InputError: there is nothing to learn from.
    """
    is_here = wanted.backend.kind == "embedded"
    left_out: Counter[str] = Counter()
    own = recorded = 0
    seen = set()
    with atomic_writer(folder / LEARN) as out:
        for line in _own(folder, is_here, left_out):
            seen.add(_content(line))
            out.write(line + b"\n")
            own += 1
        for line in _recorded(folder, model, is_here) if wanted.distill else ():
            if _content(line) not in seen:
                out.write(line + b"\n")
                recorded += 1
    if not own + recorded:
        raise InputError(
            _WHERE,
            f"nothing to learn from in {folder}{_why(left_out)}",
            fix="Run `finetune rescue fetch`; where the training file is gone, put your own copy there as train.jsonl, "
            "or learn from recorded answers with --distill.",
        )
    text = _config_text(folder, model, wanted)
    write_atomically(folder / CONFIG, text.encode())
    return Learnt(folder / CONFIG, own, recorded, left_out)


def name_for(model: str) -> str:
    """A run's name for the successor of `ft:BASE:ORG:SUFFIX:ID`."""
    parts = [part for part in model.split(":")[3:5] if part] or [model]
    return f"rescued-{re.sub(r'[^A-Za-z0-9._-]+', '-', '-'.join(parts))}"[:64]


def _own(folder: Path, text_only: bool, left_out: Counter[str]) -> Iterator[bytes]:
    """The lines of the user's own training file that can be learnt from, as they stand."""
    if not (folder / TRAIN).is_file():
        return
    with reading(folder / TRAIN) as file:
        for line in filter(None, map(bytes.strip, file)):
            why = _unlearnable(line.removeprefix(b"\xef\xbb\xbf"), text_only)
            if why is None:
                yield line.removeprefix(b"\xef\xbb\xbf")
            else:
                left_out[why] += 1


def _unlearnable(line: bytes, text_only: bool) -> str | None:
    """Why an example cannot be learnt from; None if it can."""
    try:
        example = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "no JSON"
    if check_example(example) is not None:
        return "a pair of answers (DPO)" if check_preference(example) is None else "no example of a chat"
    if text_only:
        if any(example.get(key) for key in ("tools", "functions")):
            return "with tools, which the embedded trainer does not learn"
        try:
            parse_example(line, 1, "training_file")
        except ExamplesError:
            return "more than text, which the embedded trainer does not learn"
    return None


def _recorded(folder: Path, model: str, text_only: bool) -> Iterator[bytes]:
    """Greedy answers of the old model as examples; never to what is held out, for that is what it is judged by."""
    if not (folder / ANSWERS).is_file():
        return
    with opened(folder / ANSWERS, model) as ledger:
        answered = [each for each in ledger.answers.values() if each.kind == "greedy"]
    for each in answered:
        choice = each.response["choices"][0]
        said = (choice.get("message") or {}).get("content")
        if each.prompt.source != "valid" and isinstance(said, str) and said and choice.get("finish_reason") == "stop":
            kept = {key: value for key, value in each.prompt.more.items() if key in ("tools", "functions")}
            example = {"messages": [*each.prompt.messages, {"role": "assistant", "content": said}], **kept}
            line = msgspec.json.encode(example)
            if _unlearnable(line, text_only) is None:
                yield line


def _content(line: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(line)["messages"], order="sorted")


def _why(left_out: Counter[str]) -> str:
    told = ", ".join(f"{count} {why}" for why, count in left_out.most_common())
    return f" ({told})" if told else ""


def _config_text(folder: Path, model: str, wanted: Wanted) -> str:
    config: dict[str, Any] = {"name": wanted.name}
    if wanted.backend.kind != "embedded":
        config["backend"] = wanted.backend.model_dump(include={"kind", "base_url"}, exclude_none=True)
    asked = _short_questions(prompts(folder, None))
    config |= {
        "download": {"source": str(folder / LEARN)},
        "load": {"source": "examples"},
        "convert": {"preset": "ready"},
        "create_job": {"seed": 42} if wanted.base is None else {"model": wanted.base, "seed": 42},
        **({"smoke_test": {"prompts": asked}} if asked else {}),
    }
    body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    old = _hyperparameters(folder)
    return "\n".join(
        [
            f"# The successor of {model}.",
            "# It learns from that model's own training file, each line as it stands: system prompts, weights and all.",
            *([f"# The old job had {old}."] if old else []),
            "#",
            f"#     finetune run {folder / CONFIG}",
            f'#     finetune serve --alias "{model}={folder / CONFIG}"',
            f"#     finetune rescue parity {model} {folder / CONFIG}",
            "#",
            body,
        ]
    )


def _short_questions(found: list[Prompt]) -> list[str]:
    """What the first prompts ask, where that is one short text; held-out ones come first."""
    asked = []
    for prompt in found:
        spoken = [message for message in prompt.messages if message["role"] not in ("system", "developer")]
        if len(spoken) == 1 and spoken[0]["role"] == "user" and isinstance(spoken[0].get("content"), str):
            text = spoken[0]["content"]
            if text.strip() and len(text) <= _SHORT and text not in asked:
                asked.append(text)
        if len(asked) == _ASKED:
            break
    return asked


def _hyperparameters(folder: Path) -> str:
    try:
        job = msgspec.json.decode(read_file(folder / "job.json"))
        found = {**job["hyperparameters"]}
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return ""
    return ", ".join(f"{str(name).replace('_', ' ')} {value}" for name, value in found.items() if value is not None)
