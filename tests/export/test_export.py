"""Exports of tiny models of each architecture, with adapters that change what they say."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import ExpectationNotMet, InputError
from pipeline.export import llama_cpp, process, proof
from pipeline.export.frames import frames_of
from pipeline.export.messages import Form, Order, Quant
from pipeline.models.architectures import SUPPORTED
from pipeline.models.chat_format import ChatFormat
from pipeline.models.chat_template import ChatTemplate
from pipeline.models.layout import Layout
from pipeline.models.messages import ChatMessage, Role
from pipeline.models.tokenizer_files import load_template
from tests.tiny_models import KINDS, Kind, write_model, write_tokenizer

# What llama.cpp computes of these two: see gguf_file.py.
LAYERS: dict[str, dict[str, Any]] = {
    "smollm 3": {"no_rope_layers": [1, 1]},
    "gemma 3": {"layer_types": ["sliding_attention"] * 2},
    "mistral": {"sliding_window": None},
}
CHATS = (
    (ChatMessage("user", "what is the hare?"),),
    (
        ChatMessage("user", "the hare was fast"),
        ChatMessage("assistant", "It is slow."),
        ChatMessage("user", "what is it?"),
    ),
)
OPENED = (
    ChatMessage("assistant", "It is slow."),
    ChatMessage("user", "the hare was fast"),
    ChatMessage("assistant", "It is late."),
    ChatMessage("user", "what is it?"),
)
TURNS: tuple[tuple[Role, ...], ...] = (
    ("user",),
    ("user", "assistant", "user"),
    ("assistant", "user"),
    ("assistant", "user", "assistant", "user"),
)
CONVERSATIONS = (*TURNS, *(("system", *turns) for turns in TURNS))
REFUSED = {("gemma 3", "assistant")}


def make_model(folder: Path, name: str) -> Kind:
    changed: dict[str, Any] = LAYERS.get(name, {})
    kind = KINDS[name]._replace(config={**KINDS[name].config, **changed})
    folder.mkdir()
    write_model(folder, kind)
    return kind


def make_adapter(base: Path, folder: Path) -> None:
    """One that changes every layer."""
    torch.manual_seed(1)
    weights = load_file(base / "model.safetensors")
    found = {}
    for name, tensor in weights.items():
        if name.endswith("_proj.weight"):
            before = f"base_model.model.{name.removesuffix('.weight')}"
            found[f"{before}.lora_A.weight"] = torch.randn(2, tensor.shape[1]) * 0.2
            found[f"{before}.lora_B.weight"] = torch.randn(tensor.shape[0], 2) * 0.2
    folder.mkdir()
    save_file(found, folder / "adapter_model.safetensors")
    modules = sorted({name.split(".")[-3] for name in found})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": modules}
    (folder / "adapter_config.json").write_bytes(
        msgspec.json.encode({**config, "base_model_name_or_path": str(base), "bias": "none"})
    )


def chats(folder: Path) -> tuple[tuple[ChatMessage, ...], ...]:
    """With one that the assistant begins, where the model takes it."""
    return CHATS if frames_of(folder / "base").opened == (None, None) else (*CHATS, OPENED)


def order(folder: Path, form: Form, quant: Quant = "f16", **others: Any) -> Order:
    target = folder / f"{form}-{quant}"
    target.mkdir()
    given = Order(
        base=str(folder / "base"), base_name="org/base", revision="main", adapter=str(folder / "adapter"), form=form,
        quant=quant, folder=str(target), name="tiny", system=None, temperature=0.8, chats=chats(folder), tokens=12,
    )  # fmt: skip
    return msgspec.structs.replace(given, **others)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name: str = request.param
    make_model(tmp_path / "base", name)
    make_adapter(tmp_path / "base", tmp_path / "adapter")
    return name


def quiet(_: str) -> None:
    """Says nothing."""


def test_every_supported_architecture_is_exported() -> None:
    assert {each.architecture for each in KINDS.values()} == set(SUPPORTED) == set(process.KINDS)


def test_each_kind_is_written_as_gguf_and_proved(kind: str, tmp_path: Path) -> None:
    by = "proved with llama.cpp" if llama_cpp.is_installed() else "compared tensor by tensor, not run"
    assert process.export(order(tmp_path, "gguf", "f32"), quiet)[0].startswith(by)


def test_each_kind_is_merged_and_proved(kind: str, tmp_path: Path) -> None:
    assert process.export(order(tmp_path, "merged"), quiet)[0].startswith("proved with transformers: ")


def test_the_adapter_is_loaded_by_plain_peft_and_names_its_base(tmp_path: Path) -> None:
    make_model(tmp_path / "base", "qwen 2.5")
    make_adapter(tmp_path / "base", tmp_path / "adapter")
    assert process.export(order(tmp_path, "adapter"), quiet)[0].startswith("proved with peft: ")
    told = msgspec.json.decode((tmp_path / "adapter-f16" / "adapter_config.json").read_bytes())
    assert (told["base_model_name_or_path"], told["revision"]) == ("org/base", "main")


@pytest.mark.parametrize("name", KINDS)
def test_the_exported_template_writes_what_the_model_was_trained_with(name: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS[name])
    trained, exported = Layout(load_template(tmp_path)), ChatTemplate("exported", frames_of(tmp_path).jinja(), {})
    for roles in CONVERSATIONS:
        try:
            expected = trained.render(roles, answer_next=True)
        except InputError:
            with pytest.raises(InputError):
                exported.render(roles, answer_next=True)
            assert (name, roles[0]) in REFUSED or (name, roles[1]) in REFUSED
        else:
            assert exported.render(roles, answer_next=True) == expected


def test_a_template_that_drops_the_assistants_first_turn_is_exported_for_users_who_begin(tmp_path: Path) -> None:
    drops = "{% for m in messages %}{% if not (loop.first and m['role'] == 'assistant') %}"
    kind = KINDS["mistral"]
    template = kind.template.replace("{% for m in messages %}", drops).replace(
        "{% endfor %}", "{% endif %}{% endfor %}"
    )
    write_tokenizer(tmp_path, kind._replace(template=template))
    exported = ChatTemplate("exported", frames_of(tmp_path).jinja(), {})
    assert exported.render(("user",), answer_next=True) == "<|user|>\n\ue0000\ue001</s>\n<|assistant|>\n"
    with pytest.raises(InputError) as refused:
        exported.render(("assistant", "user"), answer_next=True)
    assert str(refused.value) == (
        "exported: its chat template refuses the conversation (with this model the user speaks first). "
        "Change the order or the roles of the messages."
    )


def test_another_answer_fails_with_the_place_where_they_part(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS["qwen 2.5"])
    chat_format = ChatFormat(tmp_path)
    first, second, other = chat_format.encode("abc")
    answers = [proof.Answer([1], [first, second], [-0.1, -0.1], [3.0, 2.0])]
    with pytest.raises(ExpectationNotMet) as refused:
        proof.compare(answers, lambda _, most: ([first, other][-most:], [-0.1] * most), chat_format, 0.5)
    assert str(refused.value) == (
        "export: the exported model says something else than the served one: answer 1, after 1 token; served 'b', "
        "exported 'c', where the served model's best token is 2.00 nats before its next. "
        "Nothing was kept. Export with `--to adapter`, or with another --quant."
    )


def test_where_rounding_decides_another_token_is_counted(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS["qwen 2.5"])
    chat_format = ChatFormat(tmp_path)
    first, second, other = chat_format.encode("abc")
    answers = [proof.Answer([1], [first, second], [-0.1, -0.1], [3.0, 0.01])]
    found = proof.compare(answers, lambda _, most: ([first, other][-most:], [-0.1] * most), chat_format, 0.5)
    assert (found.tokens, found.ties, found.furthest) == (2, 1, 0.0)
