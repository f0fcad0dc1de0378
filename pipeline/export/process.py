"""Exports one model and proves it, in a process of its own: `python -m pipeline.export.process`, an Order on stdin.

It ends with the process that started it, and takes all the memory that it used with it.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import FinetuneError, InputError
from pipeline.export import folder, llama_cpp, proof
from pipeline.export.frames import Frames, frames_of
from pipeline.export.gguf_file import KINDS as KINDS
from pipeline.export.gguf_file import Converted, compare_tensors, write_gguf
from pipeline.export.gguf_vocabulary import Ends
from pipeline.export.messages import Done, Message, Note, Order, Refused
from pipeline.export.modelfile import modelfile
from pipeline.export.tensors import Weights
from pipeline.models.architectures import check_architecture
from pipeline.models.base_models import quiet_transformers
from pipeline.models.chat_format import PROBE, ChatFormat
from pipeline.models.environment import settle_worker
from pipeline.models.hub_cache import title
from pipeline.models.precision import pick_device, pick_dtype
from pipeline.models.tokenizer_files import end_tokens, special_words
from pipeline.process.privacy import settle_process

GGUF = "model.gguf"


def export(order: Order, note: Callable[[str], None]) -> tuple[str, ...]:
    """Write what is asked for, and prove it; returns how.

    Raises:
        FinetuneError: it cannot be written, or says something else than the served model.
    """
    base, adapter, target = Path(order.base), Path(order.adapter), Path(order.folder)
    check_architecture(base)
    chat_format = ChatFormat(base)
    frames = None if order.form == "adapter" else frames_of(base)
    note("asking the served model")
    answers = proof.served(base, adapter, order.chats, order.tokens)
    near = _near(order)
    if frames is None:
        folder.write_adapter(order, target)
        found = proof.compare(answers, folder.plain_transformers(base, target), chat_format, near)
        return (found.line("peft", near),)
    note("writing")
    if order.form == "merged":
        folder.write_merged(order, target, frames, chat_format)
        note("asking the exported model")
        folder.check_template(target, chat_format, order)
        found = proof.compare(answers, folder.plain_transformers(target), chat_format, near)
        return (found.line("transformers", near),)
    return _gguf(order, frames, chat_format, answers, near, note)


def _gguf(
    order: Order,
    frames: Frames,
    chat_format: ChatFormat,
    answers: list[proof.Answer],
    near: float,
    note: Callable[[str], None],
) -> tuple[str, ...]:
    from transformers import AutoConfig

    quiet_transformers()
    base, path = Path(order.base), Path(order.folder) / GGUF
    _require_told(order, frames)
    config: Any = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    weights = Weights(base, Path(order.adapter))
    converted = Converted(base, weights, config, order.quant)
    size = weights.shapes["model.embed_tokens.weight"][0]
    ends, bos = _ends(base, frames, chat_format)
    write_gguf(path, converted, base, size, ends, order.quant, name=order.name, template=frames.jinja())
    notes: tuple[str, ...] = ()
    if order.form == "ollama":
        stops = sorted(chat_format.decode([each]) for each in {ends.end, *end_tokens(base)} & chat_format.stop_ids)
        made = modelfile(f"./{GGUF}", frames, stops, order.temperature, order.system)
        (Path(order.folder) / "Modelfile").write_text(made.text, encoding="utf-8", newline="")
        notes = made.notes
    lines = [compare_tensors(path, converted)]
    if llama_cpp.is_installed():
        note("asking the exported model")
        longest = max(len(each.prompt) for each in answers) + order.tokens + 8
        model = llama_cpp.LlamaCpp(path, min(converted.context(), longest + 256))
        chats = [[{"role": each.role, "content": each.content} for each in chat] for chat in order.chats]
        llama_cpp.check_prompts(model, chats, [each.prompt for each in answers], bos)
        found = proof.compare(answers, model.ask, chat_format, near)
        lines = [found.line(model.version, near)]
    return (*lines, *notes)


def _require_told(order: Order, frames: Frames) -> None:
    """See that the exported template can write the conversations that are asked for.

    Raises:
        InputError: the model's own writes one of them in a way that depends on more than who speaks.
    """
    for chat in order.chats:
        roles = tuple(each.role for each in chat)
        if frames.around(roles, answer_next=True) is None:
            raise InputError(
                f"base model {title(Path(order.base))}",
                "what its chat template writes of such a conversation could not be told another program",
                got=", ".join(roles),
                fix="Export with `--to adapter`.",
            )


def _ends(base: Path, frames: Frames, chat_format: ChatFormat) -> tuple[Ends, str]:
    bos = str(special_words(base).get("bos_token") or "")
    number = chat_format.encode(bos) if bos else []
    # What begins a conversation stands in the templates, as trained with; programs are told to add nothing.
    begins = bool(bos) and frames.lead.startswith(bos)
    *_, end = chat_format.answer(PROBE[:1], PROBE[1])
    return Ends(number[0] if len(number) == 1 else None, False, end, chat_format.padding), bos if begins else ""


def _near(order: Order) -> float:
    """The threshold for what is written, and for what the served model computes with here."""
    written = "f32" if order.form == "adapter" else "bfloat16" if order.form == "merged" else order.quant
    here = "bfloat16" if pick_dtype(pick_device()) == "bfloat16" else "f32"
    return max(proof.NEAR[written], proof.NEAR[here])


def answer(order: Order, say: Callable[[Message], None]) -> Message:
    """Export, or say why not."""
    from pipeline.durable import unusable

    try:
        return Done(export(order, lambda text: say(Note(text))))
    except FinetuneError as error:
        return Refused.of(error)
    except OSError as error:
        return Refused.of(unusable(error, order.folder))


def main() -> None:
    """Say on stdout how it goes; end with the process that started this one."""
    settle_process()
    settle_worker()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print

    def say(message: Message) -> None:
        out.write(msgspec.json.encode(message) + b"\n")
        out.flush()

    say(answer(order, say))
    os._exit(0)  # llama.cpp's threads take their time


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
