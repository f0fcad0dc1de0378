"""What a Modelfile holds, read back as Ollama's parser reads one."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.frames import Frames, frames_of
from pipeline.export.modelfile import modelfile
from tests.tiny_models import KINDS, write_tokenizer

TRIMS: dict[str, tuple[str | None, str | None]] = {}
CHATML = Frames(
    "<user>", ("<system>", "<user>"), "<end><assistant>", "<end><assistant>", "<end><user>", "<end>", TRIMS,
    ("<assistant>", "<assistant>"),
)  # fmt: skip
SYSTEM_IN_TEMPLATE = "Modelfile: the system prompt stands in TEMPLATE, since SYSTEM would lose some of its characters"


def read(text: str) -> list[tuple[str, str]]:
    """Commands and values (ollama/parser/parser.go): a value ends with a line, once its quotes are closed."""
    found, held, name = [], "", ""
    for char in text:
        if char in "\r\n" and (value := _unquoted(held.strip())) is not None:
            found.append((name, value))
            held = name = ""
        elif not name and char == " ":
            name, held = ("", "") if held == "PARAMETER" else (held, "")
        elif char in "\r\n\t" or char.isprintable():
            held += char
    return found


def _unquoted(value: str) -> str | None:
    for quotes in ('"""', '"'):
        if value.startswith(quotes):
            closed = len(value) >= 2 * len(quotes) and value.endswith(quotes)
            return value[len(quotes) : -len(quotes)] if closed else None
    return value


def test_a_modelfile_tells_the_model_the_template_the_stops_and_the_system_prompt() -> None:
    made = modelfile("./model.gguf", CHATML, ["<end>", '<"end">'], 0.8, "You are slow.")
    assert made.notes == ()
    start = 'FROM ./model.gguf\nTEMPLATE """{{ $opener := "" }}'
    assert made.text.startswith(start)
    assert made.text.endswith(
        '{{ if $asked }}{{ "<end><assistant>" }}{{ end }}"""\n'
        "PARAMETER temperature 0.8\n"
        'PARAMETER stop """<end>"""\n'
        'PARAMETER stop """<"end">"""\n'
        'SYSTEM """You are slow."""\n'
    )


@pytest.mark.parametrize(
    "system",
    ['Say "yes"', '"', '"""', 'He said """so""" and left', "two\nlines", ' "spaces" ', "a\\b", 'end"""', '"" "'],
)
def test_a_system_prompt_with_quotes_is_read_back_whole(system: str) -> None:
    made = modelfile("./model.gguf", CHATML, [], 0.8, system)
    assert (read(made.text)[-1], made.notes) == (("SYSTEM", system), ())


@pytest.mark.parametrize(
    "system", ["family \U0001f468\u200d\U0001f469", "bien\u00a0!", 'quotes """\nand more', "\x07", '"""\r"']
)
def test_what_system_would_lose_stands_in_the_template_and_that_is_said(system: str) -> None:
    made = modelfile("./model.gguf", CHATML, [], 0.8, system)
    assert made.notes == (SYSTEM_IN_TEMPLATE,)
    (template,) = [value for name, value in read(made.text) if name == "TEMPLATE"]
    assert "SYSTEM" not in dict(read(made.text))
    literal = template.partition("{{ $system = ")[2].partition(" }}")[0]
    assert go_literal(literal) == system


@pytest.mark.parametrize("stop", ['<"end">', '""', '"', 'a"', "\n", "</s>"])
def test_a_stop_string_with_quotes_is_read_back_whole(stop: str) -> None:
    made = modelfile("./model.gguf", CHATML, [stop], 0.8, None)
    assert (read(made.text)[-1], made.notes) == (("stop", stop), ())


def test_a_stop_string_that_cannot_be_told_is_left_out_and_that_is_said() -> None:
    made = modelfile("./model.gguf", CHATML, ["a\u200db", "<end>"], 0.8, None)
    assert read(made.text)[2:] == [("temperature", "0.8"), ("stop", "<end>")]
    assert made.notes == (
        "Modelfile: the stop string 'a\\u200db' is left out, since it would lose some of its characters",
    )


@given(st.text(st.one_of(st.sampled_from('"\n \r'), st.characters(exclude_categories=["Cs"])), min_size=1))
def test_no_character_of_a_system_prompt_is_lost(system: str) -> None:
    made = modelfile("./model.gguf", CHATML, [], 0.8, system)
    commands = dict(read(made.text))
    template = commands["TEMPLATE"]
    assert template.isprintable()
    if made.notes:
        assert go_literal(template.partition("{{ $system = ")[2].partition(" }}{{ end }}")[0]) == system
    else:
        assert commands["SYSTEM"] == system


@pytest.mark.parametrize("name", KINDS)
def test_each_kinds_template_is_read_back_whole(name: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS[name])
    frames = frames_of(tmp_path)
    assert ("TEMPLATE", frames.go()) in read(modelfile("./model.gguf", frames, [], 0.8, "Be slow.").text)


def go_literal(text: str) -> str:
    """A string of Go's, which Python writes alike but for no surrogates."""
    assert "\\ud" not in text
    value = ast.literal_eval(text)
    assert isinstance(value, str)
    return value
