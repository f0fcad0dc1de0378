"""`finetune export`: the tuned model as files that other programs load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from pipeline.commands.context import at_work, say
from pipeline.commands.options import ConfigPath, Overrides
from pipeline.config.settings import Config
from pipeline.dataset.preset import inference_prompt, inference_temperature
from pipeline.errors import InputError
from pipeline.export.messages import Form, Order, Quant
from pipeline.models import hub_cache
from pipeline.models.base_models import prepare
from pipeline.models.messages import ChatMessage
from pipeline.run.base_model import bring_back
from pipeline.run.progress import Progress
from pipeline.steps.outputs import Convert, PollJob

if TYPE_CHECKING:
    from pipeline.steps.step import Work

_HELD_OUT = 2  # conversations to compare answers with, besides the smoke test's
_KNOWN_AS = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""What bundled models are called on the Hugging Face Hub."""
_LICENCES = {
    "gemma3_text": "Gemma's terms of use (ai.google.dev/gemma/terms)",
    "llama": "the licence that the base model came with: Meta's for Llama, Apache 2.0 for SmolLM2",
}


def export(
    config_path: ConfigPath,
    to: Annotated[Form, typer.Option("--to", help="What for: peft, transformers, llama.cpp, or Ollama.")],
    quant: Annotated[Quant, typer.Option("--quant", help="Of gguf and ollama: how numbers are written.")] = "f16",
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FOLDER", help="Where to: by default into the run's directory.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write the tuned model as files for other programs, proved to answer as it does here."""
    with at_work(config_path, overrides, asks=True) as (config, state, work):
        from pipeline.export.run import export_to, require_vacant

        _require_own(config)
        of_gguf = to in ("gguf", "ollama")
        target = (into or work.run_dir / f"export-{to}{f'-{quant}' if of_gguf else ''}").expanduser().absolute()
        require_vacant(target)
        progress = Progress(state, config, work.connection.identity)
        model = progress.output_here(PollJob, "export").model
        adapter = _adapter_of(work, model)
        bring_back(config, state, work)
        order = _order(config, progress, work, to, quant, adapter)
        lines = export_to(target, order, work.display.preparing)
        work.display.end("")
    for line in lines:
        say(line)
    say(f"{model} is in {target}")
    for line in _next(to, target, config.name):
        say(line)
    licence = _LICENCES.get(_architecture(Path(order.base)))
    if licence:
        say(f"Whoever gets the model is bound by {licence}.")


def _require_own(config: Config) -> None:
    """See that the weights are ours to have.

    Raises:
        InputError: a provider keeps them, or there are none.
    """
    if config.backend.kind != "embedded":
        raise InputError(
            "backend.kind",
            "the weights of a model that was trained elsewhere cannot be had: its provider keeps them",
            got=config.backend.kind,
            fix="Train it with `backend.kind: embedded`.",
        )
    if config.backend.trainer == "scripted":
        raise InputError("backend.trainer", "a mocked training makes no weights", got="scripted", fix="Use lora.")


def _adapter_of(work: "Work", model: str) -> Path:
    from pipeline.backends.client import SERVER_DIR
    from pipeline.server.storage.history import read_adapter_path

    path = read_adapter_path(work.run_dir / SERVER_DIR, model)
    if path is None or not (path / "adapter_model.safetensors").is_file():
        raise InputError(
            f"model {model}",
            "its weights are not here any more",
            fix="Train it again: `finetune run CONFIG --from create_job`.",
        )
    return path


def _order(config: Config, progress: Progress, work: "Work", to: Form, quant: Quant, adapter: Path) -> Order:
    name = config.create_job.model
    system = inference_prompt(config, progress.last_output(Convert).system_prompt)
    opening = (ChatMessage("system", system),) if system else ()
    chats = [(*opening, ChatMessage("user", each.prompt)) for each in config.smoke_test.prompts]
    chats += _held_out(progress, work)
    on_hub = hub_cache.parse(name)
    return Order(
        base=str(prepare(name)),
        base_name=_KNOWN_AS.get(name, name if on_hub is None else on_hub.repo),
        revision=None if on_hub is None else on_hub.revision,
        adapter=str(adapter),
        form=to,
        quant=quant,
        folder="",
        name=config.name,
        system=system,
        temperature=inference_temperature(config),
        chats=tuple(chats),
    )


def _held_out(progress: Progress, work: "Work") -> list[tuple[ChatMessage, ...]]:
    """Conversations up to the person's last reply: what was held out of training, else the training's own."""
    from pipeline.durable import reading

    made = progress.last_output(Convert)
    path, found = work.run_dir / (made.valid or made.train).path, []
    if not path.is_file():
        return []
    with reading(path) as file:
        for line in file:
            turns = msgspec.json.decode(line)["messages"]
            while turns and turns[-1]["role"] != "user":
                turns.pop()
            if turns:
                found.append(tuple(ChatMessage(turn["role"], turn["content"]) for turn in turns))
            if len(found) == _HELD_OUT:
                break
    return found


def _architecture(base: Path) -> str:
    from pipeline.durable import read_file

    return str(msgspec.json.decode(read_file(base / "config.json")).get("model_type"))


def _next(to: Form, target: Path, name: str) -> list[str]:
    """What can be typed now."""
    if to == "ollama":
        return [f"    ollama create {name} -f {target / 'Modelfile'}", f"    ollama run {name}"]
    if to == "gguf":
        return [f"    llama-cli -m {target / 'model.gguf'} -cnv"]
    if to == "merged":
        return [f"    transformers chat {target}"]
    return []
