"""Configs that were made to harm, or came from another program: one bounded message each, and never a wait."""

import difflib
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import yaml_text
from pipeline.config.file import load_config
from pipeline.errors import InputError

SEE = "configs/reference.yaml shows every key with its values."
ALIASES = "Write out what is needed, without aliases."
MANY = f"more than 10,000 values, aliases (*) counted each time. {ALIASES}"
DEEP = f"more than 50 levels deep, or an alias (*) of what it stands in. {ALIASES}"


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def times_ten(of: str) -> str:
    """Each line holds the one before ten times."""
    return "".join(f"a{n}: &a{n} {of.format(','.join([f'*a{n - 1}'] * 10))}\n" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a0: &a0 [x]\n" + times_ten("[{}]") + "name: x\n", f":5: {MANY}"),
        ("a0: &a0 {x: 1}\n" + times_ten("{{<<: [{}]}}") + "name: x\n", f":5: {MANY}"),
        ("name: x\nmerge: &a\n  x: *a\n", f":3: {DEEP}"),
        ("name: x\nload: " + "{a: " * 60 + "1" + "}" * 60, f":2: {DEEP}"),
        ("[" * 5000, f":1: {DEEP}"),
        ("name: x\nx:\n" + "- " * 5000, f":3: {DEEP}"),
        ("name: x\n" + "? " * 5000, f":2: {DEEP}"),
        ("name: x\nload:\n  only_people: [" + "x,\n" * 20_000 + "]", f":9999: {MANY}"),
        ("#" * 600_000, ": larger than 500 kB, which no config is. Give a YAML file."),
        ("name: !!timestamp x\n", ": not YAML ('NoneType' object has no attribute 'groupdict'). Mend it."),
        ("name: !!bool x\n", ": not YAML ('x'). Mend it."),
        ("name: a\ncreate_job: {seed: 0x" + "f" * 5000 + "}\n",
         f":2 create_job.seed: expected a whole number, got '0x{'f' * 76}…. {SEE}"),
        ("name: a\ncreate_job: {seed: 1:30:00}\n",
         f":2 create_job.seed: expected a whole number, got '1:30:00'. {SEE}"),
        ("name: a\nsmoke_test: {prompts: [{prompt: a, expect: {regex: 'a{99999999999999999999}'}}]}\n",
         ":2 smoke_test.prompts.0.expect.regex: not a regular expression (the repetition number is too large), got "
         f"'a{{99999999999999999999}}'. {SEE}"),
    ],
)  # fmt: skip
def test_yaml_that_would_take_memory_or_time_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    assert refusal(path) == f"{path}{message}"


def test_what_is_no_file_of_text_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "utf-16").write_bytes("name: x".encode("utf-16"))
    reasons = {"pipe": "Not a file", "utf-16": "not UTF-8 text", ".": "Is a directory"}
    for name, reason in reasons.items():
        path = tmp_path / name
        assert refusal(path) == f"{path}: cannot be read ({reason}). Give a YAML file."
    assert refusal(Path("/dev/zero")) == "/dev/zero: cannot be read (Not a file). Give a YAML file."


def test_hundreds_of_mistakes_and_values_of_any_length_make_a_short_message(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: x\n" + "".join(f"k{n}: 1\n" for n in range(500)))
    *_, last_shown, last = refusal(path).splitlines()
    assert last_shown.startswith(f"{path}:31 k29: unknown key.")
    assert last == "… and 470 more mistakes."
    path.write_text(f"name: {'k' * 10_000}\nmap: {{assistant: {{a: b}}}}\n? {'k' * 10_000}\n: 1\n")
    assert all(len(line) < 500 for line in refusal(path).splitlines())


def test_what_is_set_for_one_run_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: x\n")
    lists = ",".join(f"&a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))
    assert refusal(path, f"load.only_people=[&a0 [x],{lists}]") == f"--set load.only_people:1: {MANY}"
    for override in (f"{'.' * 10_000}=1", f"{'x' * 10_000}=1", "x" * 10_000, f"create_job.seed={'9' * 5000}"):
        assert len(refusal(path, override)) < 400
    monkeypatch.setenv("FINETUNE_LOAD", "[" * 100_000)
    assert refusal(path) == "environment FINETUNE_LOAD: not JSON. Give sections and lists as JSON."


@pytest.mark.parametrize("text", ["x: [" + "a, " * 500, "a: 1\n" * 500, "x: {" + "a, " * 500, "- a\n" * 500])
def test_no_more_is_read_of_a_config_than_one_may_hold(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    get_event: Any = yaml_text.Loader.get_event

    def counted(loader: Any) -> object:
        nonlocal read
        read += 1
        return get_event(loader)

    monkeypatch.setattr(yaml_text.Loader, "get_event", counted)
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 100)
    with pytest.raises(yaml_text.TooMuch):
        yaml_text.parse(text, "x")
    assert 100 < read < 250


def test_the_words_that_may_have_been_meant_are_looked_for_where_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(word: str, *_: object, **__: object) -> list[str]:
        asked.append(word)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", ask)
    path = tmp_path / "run.yaml"
    path.write_text("name: x\n" + "".join(f"k{n}: 1\n" for n in range(500)))
    assert refusal(path).endswith("… and 470 more mistakes.")
    assert len(asked) == 30
    path.write_text("name: x\n" + "".join(f"k{n}: 1\n" for n in range(31)))
    assert refusal(path).endswith("… and 1 more mistake.")


def test_the_halves_of_a_character_as_json_writes_them_are_one(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text('name: x\nmap: {assistant: "A \\ud83d\\ude00"}\ncreate_job: {metadata: {"\\ud83d\\ude00": a}}\n')
    config = load_config(path)
    assert (config.map.assistant, config.create_job.metadata) == ("A 😀", {"😀": "a"})
    for halves in ("\\ud83d", "\\ude00\\ud83d", "\\ud83d a \\ude00"):
        path.write_text(f'name: x\nmap: {{assistant: "{halves}"}}\n')
        assert refusal(path) == f"{path}:2: holds half a character, such as \\ud83d alone. Write the character itself."


def test_half_a_character_in_the_environment_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: x\n")
    monkeypatch.setenv("FINETUNE_LOAD", '{"only_people": ["\\ud83d"]}')
    assert refusal(path) == (
        f"environment FINETUNE_LOAD load.only_people: holds half a character, got '\\ud83d'. {SEE}"
    )
