"""Training on the CPU, one way a process: `python -m tests.bench.training KIND MEDIAN FOLDER` prints a line of JSON.

All ways train an adapter of the same rank on the same file of examples, whose lengths are as those of chats are, in
float32 or in what is faster on this CPU, with one thread. Only processor time counts.
"""

import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

MODEL = "smollm2-135m-instruct"
SPREAD = (0.54, 0.70, 0.82, 0.94, 1.07, 1.22, 1.43, 1.85)
"""Lengths of a batch as multiples of their median: eighths of a lognormal distribution with sigma 0.4."""
LONGEST = 2048


class Trained(msgspec.Struct):
    """What a step took.

    Attributes:
        tokens: in its examples, without padding.
        seconds: of processor time.
        floor: seconds that the bare products of the step would take at the rate of `linear`; of ours alone.
        peak: most resident memory of the process, in bytes.
    """

    tokens: int
    seconds: float
    floor: float
    peak: int


def write_examples(path: Path, median: int) -> None:
    """Write two batches of eight; at LONGEST, two examples so long."""
    lengths = [LONGEST] if median == LONGEST else [max(24, round(median * times)) for times in SPREAD]
    lines = [
        {
            "messages": [
                {"role": "system", "content": "Talk."},
                {"role": "user", "content": "the " * round(0.55 * (length - 20))},
                {"role": "assistant", "content": "day " * round(0.45 * (length - 20))},
            ]
        }
        for length in lengths * 2
    ]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def ours(file: Path, folder: Path) -> Trained:
    """The worker's own way."""
    from pipeline.training import lora
    from pipeline.training.protocol import JobSpec, Report, Started, Step

    ends, tokens = [], []

    def report(said: Report) -> None:
        if isinstance(said, Started | Step):
            ends.append(time.process_time())
            tokens.append(said.tokens)

    batch = len(file.read_bytes().splitlines()) // 2
    spec = JobSpec("bench", "lora", MODEL, file, None, 1, batch, 1.0, 7, folder / f"ours-{file.stem}")
    lora.train(spec, report, threading.Event(), checkpoint_every_s=3600)
    count = tokens[-1] - tokens[-2]
    taken = _trained(count, ends[-1] - ends[-2])
    taken.floor = _floor(file, count)
    return taken


def trl(file: Path, folder: Path) -> Trained:
    """TRL as it is when nothing is set but float32: batches of eight, padded, every layer computed twice."""
    import torch
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from pipeline.models import base_models
    from pipeline.models.chat_format import ChatFormat
    from pipeline.models.device import load_model
    from pipeline.training.answer_trainer import _dataset
    from pipeline.training.lora import RANK

    directory = base_models.prepare(MODEL)
    examples = _load(file)
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            ends.append(time.process_time())

        on_step_end = on_step_begin

    count = len(examples.input_ids) // 2
    arguments = SFTConfig(
        output_dir=str(folder / "trl"),
        bf16=False,
        use_cpu=True,
        max_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = SFTTrainer(
        model=load_model(directory, "float32", torch.device("cpu")),
        args=arguments,
        train_dataset=_dataset(examples).select(range(count)),
        processing_class=ChatFormat(directory).tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
        callbacks=[Clock()],
    )
    trainer.train()
    return _trained(sum(map(len, examples.input_ids[:count])), ends[1] - ends[0])


def plain(file: Path, folder: Path) -> Trained:
    """A loop of transformers and PEFT as guides write it: float32, one example after the other."""
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.models import base_models
    from pipeline.models.device import load_model
    from pipeline.training.lora import LEARNING_RATE, RANK

    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    model = get_peft_model(load_model(base_models.prepare(MODEL), "float32", torch.device("cpu")), lora)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], LEARNING_RATE)
    model.train()
    examples = _load(file)
    count = len(examples.input_ids) // 2
    begin = time.process_time()
    for ids, labels in list(zip(examples.input_ids, examples.labels, strict=True))[:count]:
        of = {"input_ids": torch.tensor(ids)[None].long(), "labels": torch.tensor(labels)[None].long()}
        (model(**of, use_cache=False).loss / count).backward()
    optimizer.step()
    return _trained(sum(map(len, examples.input_ids[:count])), time.process_time() - begin)


def _load(file: Path):  # type: ignore[no-untyped-def]  # its type is imported with numpy
    from pipeline.models import base_models
    from pipeline.models.chat_format import ChatFormat
    from pipeline.training.tensors import load_examples

    return load_examples(file, "training_file", ChatFormat(base_models.prepare(MODEL)), LONGEST)


def _floor(file: Path, tokens: int) -> float:
    """Seconds: each frozen weight forwards and backwards for each token, the vocabulary's for each target."""
    import numpy as np
    import torch

    from pipeline.models import base_models
    from pipeline.models.chat_format import IGNORED
    from pipeline.models.device import load_model, pick_dtype

    cpu = torch.device("cpu")
    model = load_model(base_models.prepare(MODEL), pick_dtype(cpu), cpu)
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    weights = [each.weight for each in model.modules() if isinstance(each, torch.nn.Linear) and each is not head]
    targets = sum(int(np.count_nonzero(labels != IGNORED)) for labels in _load(file).labels) / 2
    work = 4 * (tokens * sum(map(torch.numel, weights)) + targets * head.weight.numel())
    widest = max(weights[:7], key=torch.numel)
    x = torch.randn(512, widest.shape[1]).to(widest)
    with torch.no_grad():
        taken = [_seconds(lambda: torch.nn.functional.linear(x, widest)) for _ in range(60)]
    return float(work / (2 * 512 * widest.numel() / statistics.median(taken[10:])))


def _seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def _trained(tokens: int, seconds: float) -> Trained:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Trained(tokens, seconds, 0, peak)


WAYS = {"ours": ours, "trl": trl, "plain": plain}

if __name__ == "__main__":
    import torch

    kind, median, target = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    examples_file = target / f"{median}.jsonl"
    write_examples(examples_file, median)
    sys.stdout.buffer.write(msgspec.json.encode(WAYS[kind](examples_file, target)) + b"\n")
