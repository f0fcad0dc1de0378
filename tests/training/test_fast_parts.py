"""What trains faster on a CPU computes what it stands for, whatever the number of threads."""

import importlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

pytestmark = [pytest.mark.lora, pytest.mark.xdist_group("lora")]


@pytest.fixture
def two_threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads; it is one afterwards."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def gradients(out: "torch.Tensor", *of: "torch.Tensor") -> "list[torch.Tensor]":
    import torch

    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, of, weights)]


def assert_close(found: "list[torch.Tensor]", wanted: "list[torch.Tensor]", tolerance: float) -> None:
    for mine, usual in zip(found, wanted, strict=True):
        assert (mine.shape, mine.dtype) == (usual.shape, usual.dtype)
        assert float((mine.double() - usual.double()).norm()) <= tolerance * float(usual.double().norm())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
@pytest.mark.parametrize("bias", [True, False])
def test_an_adapted_layer_computes_what_pefts_does(dtype: str, tolerance: float, bias: bool) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.training.adapted_linear import adapt_in_one_step

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(24, 16, bias=bias)).to(getattr(torch, dtype))
    model: Any = get_peft_model(net, LoraConfig(r=4, lora_alpha=8, target_modules=["0"]))
    down, up = (each for each in model.parameters() if each.requires_grad)
    torch.nn.init.normal_(up)
    x = torch.randn(2, 5, 24, dtype=getattr(torch, dtype), requires_grad=True)
    usual = gradients(model(x), x, down, up)
    with model.disable_adapter():
        bare = model(x)
    adapt_in_one_step(model)
    assert_close(gradients(model(x), x, down, up), usual, tolerance)
    with model.disable_adapter():
        assert torch.equal(model(x), bare)


def test_an_adapter_that_is_more_than_two_weights_is_left_to_peft() -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.training.adapted_linear import adapt_in_one_step

    for more in ({"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}):
        net = torch.nn.Sequential(torch.nn.Linear(8, 8))
        model: Any = get_peft_model(net, LoraConfig(r=2, target_modules=["0"], **more))
        adapt_in_one_step(model)
        assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize(("kind", "config"), [("llama", "Llama"), ("qwen3", "Qwen3"), ("gemma3", "Gemma3Text")])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_a_gated_feed_forward_computes_what_it_did_and_keeps_less(
    kind: str, config: str, dtype: str, tolerance: float
) -> None:
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    from pipeline.training.adapted_linear import adapt_in_one_step
    from pipeline.training.gated import gate_in_one_step

    module = importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    part = next(each for name, each in vars(module).items() if name.endswith("MLP"))
    sizes = getattr(transformers, f"{config}Config")(hidden_size=24, intermediate_size=40, num_attention_heads=4)
    torch.manual_seed(0)
    net = torch.nn.Sequential(part(sizes)).to(getattr(torch, dtype))
    model: Any = get_peft_model(
        net, LoraConfig(r=4, lora_alpha=8, target_modules=["gate_proj", "up_proj", "down_proj"])
    )
    weights = [each for each in model.parameters() if each.requires_grad]
    for each in weights:
        torch.nn.init.normal_(each, std=0.3)
    adapt_in_one_step(model)
    x = torch.randn(2, 5, 24, dtype=getattr(torch, dtype), requires_grad=True)
    kept: list[int] = []
    found = []
    for _ in range(2):
        wide: dict[int, int] = {}

        def keep(saved: torch.Tensor, wide: dict[int, int] = wide) -> torch.Tensor:
            wide[saved.untyped_storage().data_ptr()] = saved.shape[-1] == 40 and saved.numel() == 2 * 5 * 40
            return saved

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            out = model(x)
        kept.append(sum(wide.values()))
        found.append(gradients(out, x, *weights))
        gate_in_one_step(model)
    assert kept == [4, 2]
    assert_close(found[1], found[0], tolerance)


def test_a_feed_forward_that_computes_something_else_stays() -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers.activations import ACT2FN

    from pipeline.training.gated import gate_in_one_step

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_proj, self.up_proj, self.down_proj = (torch.nn.Linear(8, 8) for _ in range(3))
            self.act_fn = ACT2FN["silu"]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.down_proj(self.act_fn(self.up_proj(x)) * self.gate_proj(x))
            return out

    net = torch.nn.Sequential(Odd())
    model: Any = get_peft_model(net, LoraConfig(r=2, target_modules=["gate_proj", "up_proj", "down_proj"]))
    gate_in_one_step(model)
    assert not any("forward" in vars(each) for each in model.modules())


@pytest.mark.parametrize("kind", ["llama", "gemma3", "qwen3"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_norms_are_replaced_by_what_computes_the_same(kind: str, dtype: str, tolerance: float) -> None:
    import torch

    from pipeline.training.elementwise import shorten

    module = importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    (name,) = (each for each in vars(module) if each.endswith("RMSNorm"))
    norm = getattr(module, name)(24).to(getattr(torch, dtype)).requires_grad_(False)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 5, 24, dtype=getattr(torch, dtype), requires_grad=True)
    usual = gradients(norm(x), x)
    shorten(norm)
    assert "forward" in vars(norm)
    assert_close(gradients(norm(x), x), usual, tolerance)


def test_a_norm_of_another_kind_stays() -> None:
    import torch

    from pipeline.training.elementwise import shorten

    class OddRMSNorm(torch.nn.Module):
        variance_epsilon = 1e-6

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(8), requires_grad=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    odd = OddRMSNorm()
    shorten(odd)
    assert "forward" not in vars(odd)


def test_positions_are_turned_as_transformers_turns_them() -> None:
    import torch
    from transformers.models.llama import modeling_llama

    from pipeline.training import elementwise

    usual = modeling_llama.apply_rotary_pos_emb
    rotary = getattr(usual, "usual", usual)
    q, k = (torch.randn(1, heads, 5, 8, requires_grad=True) for heads in (4, 2))
    cos, sin = torch.randn(2, 1, 5, 8)
    for mine, other in zip(elementwise.rotate(q, k, cos, sin), rotary(q, k, cos, sin), strict=True):
        of = q if mine.shape[1] == 4 else k
        assert_close(gradients(mine, of), gradients(other, of), 1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
@pytest.mark.parametrize("window", [None, 2, 50, 150])
def test_examples_in_a_row_attend_to_themselves_alone(
    dtype: str, tolerance: float, window: int | None, two_threads: Callable[[int], None]
) -> None:
    import torch

    from pipeline.training.packed_attention import packed

    packed.lengths = (3, 300, 1, 128)
    total = sum(packed.lengths)
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(1, total, heads, 16, dtype=getattr(torch, dtype)).transpose(1, 2).requires_grad_()
        for heads in (4, 2, 2)
    )
    example = torch.repeat_interleave(torch.arange(4), torch.tensor(packed.lengths))
    places = torch.arange(total)
    seen = (example[:, None] == example) & (places[:, None] >= places)
    if window is not None:
        seen &= places[:, None] - places < window
    usual = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=0.3, enable_gqa=True)
    of_usual = gradients(usual.transpose(1, 2), q, k, v)
    of_mine = []
    for threads in (1, 2):
        two_threads(threads)
        mine, _ = packed(torch.nn.Identity(), q, k, v, None, scaling=0.3, sliding_window=window)
        of_mine.append(gradients(mine, q, k, v))
    assert_close(of_mine[0], of_usual, tolerance)
    assert all(itertools.starmap(torch.equal, zip(*of_mine, strict=True))), "the threads follow how busy a machine is"


def test_a_model_whose_tokens_see_each_other_otherwise_is_left_as_it_was(tiny_model: Path) -> None:
    import torch

    from pipeline.models.device import load_model
    from pipeline.training.packed_attention import use_packed_attention

    model = load_model(tiny_model, "float32", torch.device("cpu"))
    assert use_packed_attention(model)
    layer = model.base_model.layers[0].mlp  # type: ignore[union-attr,index]
    model.set_attn_implementation("sdpa")
    usual = layer.forward
    layer.forward = lambda x: usual(x + x.roll(1, dims=1))
    assert not use_packed_attention(model)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_the_loss_of_a_part_at_a_time_is_that_of_all(
    dtype: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from pipeline.training import target_loss

    monkeypatch.setattr(target_loss, "_LOGITS", 7 * 50)
    torch.manual_seed(0)
    hidden = torch.randn(17, 8, dtype=getattr(torch, dtype), requires_grad=True)
    head, targets = torch.randn(50, 8, dtype=hidden.dtype), torch.randint(50, (17,))
    logits = (hidden @ head.t()).float()
    usual = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    mine, correct = target_loss.target_loss(hidden, head, targets)
    assert int(correct) == int((logits.argmax(-1) == targets).sum())
    assert_close(gradients(mine, hidden), gradients(usual, hidden), tolerance)


def test_rows_hold_every_example_once_and_no_more_than_fits() -> None:
    import torch

    from pipeline.models.chat_format import IGNORED
    from pipeline.training.rows import rows_of

    lengths = [5, 12, 3, 4, 7, 2, 10]
    ids = [torch.arange(100 * number, 100 * number + length) for number, length in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=-7)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
    rows = rows_of({"input_ids": padded, "labels": padded, "attention_mask": mask}, most=11)
    assert [row.lengths for row in rows] == [(12,), (10,), (7, 4), (5, 3, 2)]
    for row in rows:
        examples = torch.split(row.input_ids[0], list(row.lengths))
        for example, labels, positions in zip(
            examples,
            torch.split(row.labels[0], list(row.lengths)),
            torch.split(row.position_ids[0], list(row.lengths)),
            strict=True,
        ):
            assert example.tolist() == ids[int(example[0]) // 100].tolist()
            assert labels.tolist() == [IGNORED, *example[1:].tolist()], "the row before must not predict it"
            assert positions.tolist() == list(range(len(example)))


def test_layers_computed_again_give_the_same_gradients_and_keep_less(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.models.device import load_model
    from pipeline.training import recomputing
    from pipeline.training.packed_attention import packed, use_packed_attention

    torch.manual_seed(0)
    model = load_model(tiny_model, "float32", torch.device("cpu"))
    assert use_packed_attention(model)
    adapted: Any = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear"))
    adapted.train()
    chosen = recomputing.Recomputing(model)
    packed.lengths = (40, 20)
    found = []
    for room, again in ((1 << 30, 0), (100_000, 2)):
        monkeypatch.setattr(recomputing, "KEPT_BYTES", room)
        assert chosen.fit(60) == again
        adapted.zero_grad()
        hidden = model.base_model(
            input_ids=torch.arange(60)[None], position_ids=torch.cat([torch.arange(40), torch.arange(20)])[None]
        ).last_hidden_state
        hidden.square().sum().backward()
        found.append([each.grad for each in adapted.parameters() if each.requires_grad and each.grad is not None])
    assert len(found[0]) == len(found[1]) > 0
    assert all(itertools.starmap(torch.equal, zip(*found, strict=True)))
