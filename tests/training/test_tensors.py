from pathlib import Path

import pytest

from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.training.examples import ExamplesError
from pipeline.training.tensors import load_examples


def test_examples_are_counted_with_what_is_cut_and_left_out(tiny_format: ChatFormat, tmp_path: Path) -> None:
    """A target that is cut is not learnt: half of one would teach to stop nowhere."""
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "Hurry!"}, {"role": "assistant", "content": "No."}]}\n'
        '{"messages": [{"role": "user", "content": "Go!"}, {"role": "assistant", "content": "No.", "weight": 0}]}\n'
        '{"messages": [{"role": "user", "content": "Go!"}, {"role": "assistant", "content": "LONG"}]}\n'
        '{"messages": [{"role": "user", "content": "Hurry!"}, {"role": "assistant", "content": "No."},'
        ' {"role": "user", "content": "Go!"}, {"role": "assistant", "content": "LONG"}]}\n'
        '{"messages": [{"role": "user", "content": "LONG"}, {"role": "assistant", "content": "No."}]}\n'.replace(
            "LONG", "o" * 200
        )
    )
    loaded = load_examples(path, "training_file", tiny_format, max_length=150)
    assert (loaded.truncated, loaded.skipped, loaded.targets) == (3, 3, 2)
    assert [len(ids) for ids in loaded.input_ids] == [len(labels) for labels in loaded.labels]
    assert [tiny_format.decode(labels[labels != IGNORED]) for labels in loaded.labels] == [
        "No.<|im_end|>",
        "No.<|im_end|>",
    ]
    assert loaded.tokens == sum(len(ids) for ids in loaded.input_ids)


def test_a_cut_right_after_a_target_keeps_it(tiny_format: ChatFormat, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "Hurry!"}, {"role": "assistant", "content": "No."},'
        ' {"role": "user", "content": "Go!"}, {"role": "assistant", "content": "Never."}]}\n'
    )
    (labels,) = load_examples(path, "training_file", tiny_format, max_length=1000).labels
    ends = [n + 1 for n in range(len(labels) - 1) if labels[n] != IGNORED and labels[n + 1] == IGNORED]
    for most, kept in ((ends[0], 1), (ends[0] + 1, 1), (len(labels) - 2, 1), (len(labels), 2)):
        assert load_examples(path, "training_file", tiny_format, max_length=most).targets == kept


def test_a_file_of_examples_that_are_all_too_long_is_refused_for_that(tiny_format: ChatFormat, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "Go!"}, {"role": "assistant", "content": "No."}]}\n')
    with pytest.raises(ExamplesError) as caught:
        load_examples(path, "training_file", tiny_format, max_length=20)
    assert str(caught.value) == (
        "train.jsonl: no answer ends within the 20 tokens of an example that the trainer takes. "
        "Cut the examples into shorter ones."
    )


def test_a_file_with_nothing_to_learn_is_refused(tiny_format: ChatFormat, tmp_path: Path) -> None:
    path = tmp_path / "valid.jsonl"
    path.write_text('{"messages": [{"role": "assistant", "content": "No.", "weight": 0}]}\n')
    with pytest.raises(ExamplesError) as caught:
        load_examples(path, "validation_file", tiny_format, max_length=150)
    assert str(caught.value) == (
        "valid.jsonl: no example has an assistant message to learn from. "
        "Give at least one assistant message without `weight: 0`."
    )
