from pathlib import Path

import pytest

from pipeline.models.messages import ChatMessage
from pipeline.training.examples import Example, ExamplesError, read_examples

FIX = 'Write {"messages": [{"role": ..., "content": ...}, ...]} with text only, one example a line.'


def test_developer_is_system_and_text_parts_are_joined_and_weight_0_is_not_trained(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"messages": [{"role": "developer", "content": "Be slow."},'
        ' {"role": "user", "content": [{"type": "text", "text": "Hur"}, {"type": "text", "text": "ry!"}]},'
        ' {"role": "assistant", "content": "No.", "weight": 0}, {"role": "assistant", "content": "Never."}]}\n\n'
    )
    assert list(read_examples(path, "training_file")) == [
        Example(
            messages=(
                ChatMessage("system", "Be slow."),
                ChatMessage("user", "Hurry!"),
                ChatMessage("assistant", "No."),
                ChatMessage("assistant", "Never."),
            ),
            trained=(False, False, False, True),
        )
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_example(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"messages": [{"role": "assistant", "content": "No."}]}\n')
    examples = list(read_examples(path, "training_file"))
    assert [example.messages for example in examples] == [(ChatMessage("assistant", "No."),)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", f"Example 2: JSON is malformed: invalid character (byte 0). {FIX}"),
        ("{}", f"Example 2: Object missing required field `messages`. {FIX}"),
        (
            '{"messages": [{"role": "tool", "content": "4"}]}',
            f"Example 2: Invalid enum value 'tool' - at `$.messages[0].role`. {FIX}",
        ),
        (
            '{"messages": [{"role": "user", "content": "x", "weight": 1}, {"role": "assistant", "content": "y"}]}',
            "Example 2, message 1: `weight` on a message of role user. Only assistant messages have a weight.",
        ),
        (
            '{"messages": [{"role": "user", "content": "x"}]}',
            "Example 2: no message from the assistant. Add one, or leave it out.",
        ),
    ],
)
def test_a_bad_example_is_named_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "valid.jsonl"
    path.write_text('{"messages": [{"role": "assistant", "content": "Slow."}]}\n' + line)
    with pytest.raises(ExamplesError) as caught:
        list(read_examples(path, "validation_file"))
    assert (str(caught.value), caught.value.param) == (message, "validation_file")
