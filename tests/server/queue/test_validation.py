"""Lines of training files: each is bounded before it is parsed."""

import json
from pathlib import Path

import pytest

from pipeline.server.queue import validation
from pipeline.server.queue.validation import check_training_file

GOOD = json.dumps({"messages": [{"role": "user", "content": "x" * 70_000}, {"role": "assistant", "content": "y"}]})
INVALID = "The job failed due to an invalid training file. Invalid file format. Example 2: "


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[" + "1," * 250_000 + "1]", "a line of JSON that holds more than 250000 values"),
        ('{"messages": ' + "[" * 70_000 + "]" * 70_000 + "}", "a line of JSON that is nested more than 64 levels deep"),
        ('{"messages": "' + "x" * 1_000_000 + '"}', "a line of more than 900000 bytes"),
        ("1" * 1_000_000, "a line of more than 900000 bytes"),
    ],
)
def test_a_line_that_is_too_much_is_refused_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, what: str
) -> None:
    monkeypatch.setattr(validation, "MAX_LINE_BYTES", 900_000)
    path = tmp_path / "train.jsonl"
    path.write_text(f"\ufeff{GOOD}\n \n{line}\n{GOOD}\n")

    wrong = check_training_file(path, "training_file", 1, "supervised", lambda: False)

    assert wrong is not None
    assert (wrong.code, wrong.message, wrong.param) == ("invalid_training_file", INVALID + what, "training_file")


def test_a_long_line_is_an_example_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(f"\ufeff{GOOD}\n\n{GOOD}")

    assert check_training_file(path, "training_file", 2, "supervised", lambda: False) is None


def test_a_check_of_blank_lines_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("\n" * 1000 + "no JSON")
    asked = iter([False] * 10)

    assert check_training_file(path, "training_file", 1, "supervised", lambda: next(asked, True)) is None


def test_a_file_of_blank_lines_is_refused_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_BLANK_LINES", 20)
    path = tmp_path / "train.jsonl"
    path.write_text(f"{GOOD}\n" + "\n \n" * 10_000)
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(False)
        return False

    wrong = check_training_file(path, "training_file", 1, "supervised", stopped)

    blank = "The job failed due to an invalid training file. Invalid file format. More than 20 of its lines are blank"
    assert wrong is not None
    assert (wrong.code, wrong.message, wrong.param) == ("invalid_training_file", blank, "training_file")
    assert len(asked) == 22  # the example, and the blank lines up to the first that is too much


def test_as_many_blank_lines_as_are_allowed_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_BLANK_LINES", 20)
    path = tmp_path / "train.jsonl"
    path.write_text("\n \n" * 10 + GOOD)

    assert check_training_file(path, "training_file", 1, "supervised", lambda: False) is None
