from pathlib import Path

import pytest

from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.training.examples import ExamplesError
from pipeline.training.tensors import load_examples


def test_examples_are_counted_with_what_is_cut_and_left_out(tiny_format: ChatFormat, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "Hurry!"}, {"role": "assistant", "content": "No."}]}\n'
        '{"messages": [{"role": "user", "content": "Go!"}, {"role": "assistant", "content": "No.", "weight": 0}]}\n'
        '{"messages": [{"role": "user", "content": "Go!"}, {"role": "assistant", "content": "LONG"}]}\n'
        '{"messages": [{"role": "user", "content": "LONG"}, {"role": "assistant", "content": "No."}]}\n'.replace(
            "LONG", "o" * 200
        )
    )
    loaded = load_examples(path, "training_file", tiny_format, max_length=150)
    assert (loaded.truncated, loaded.skipped) == (2, 2)  # the last one was cut before its answer began
    assert [len(ids) for ids in loaded.input_ids] == [len(labels) for labels in loaded.labels]
    assert [tiny_format.decode(labels[labels != IGNORED]) for labels in loaded.labels] == [
        "No.<|im_end|>",
        "o" * (150 - sum(loaded.labels[1] == IGNORED)),
    ]
    assert loaded.tokens == sum(len(ids) for ids in loaded.input_ids)
    assert len(loaded.input_ids[1]) == 150


def test_a_file_with_nothing_to_learn_is_refused(tiny_format: ChatFormat, tmp_path: Path) -> None:
    path = tmp_path / "valid.jsonl"
    path.write_text('{"messages": [{"role": "assistant", "content": "No.", "weight": 0}]}\n')
    with pytest.raises(ExamplesError) as caught:
        load_examples(path, "validation_file", tiny_format, max_length=150)
    assert str(caught.value) == (
        "valid.jsonl: no example has an assistant message to learn from. "
        "Give at least one assistant message without `weight: 0`."
    )
