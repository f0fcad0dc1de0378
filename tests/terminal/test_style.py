"""How a line looks: styled and broken in a terminal, plain elsewhere."""

import io

import pytest

from pipeline.terminal.style import Lines, head, mark


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


STEP = ((head(2, 10, "load"), ""), (mark("0.1 s"), "green"))
TEXT = "10 sessions, 126 messages; 1 left out"


def test_a_long_line_is_broken_below_its_own_text_in_a_terminal() -> None:
    assert Lines(io.StringIO(), is_terminal=True).line(*STEP, text=TEXT) == (
        " 2/10 load       \x1b[32m      0.1 s  \x1b[0m10 sessions, 126 messages; 1\n"
        "                              left out"
    )


def test_a_pipe_gets_it_whole_and_plain() -> None:
    assert Lines(io.StringIO()).line(*STEP, text=TEXT) == f" 2/10 load             0.1 s  {TEXT}"


def test_no_color_is_obeyed_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in Lines(io.StringIO(), is_terminal=True).line(*STEP, text=TEXT)


def test_force_color_colours_a_pipe_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    expected = f" 2/10 load       \x1b[32m      0.1 s  \x1b[0m{TEXT}"
    assert Lines(io.StringIO()).line(*STEP, text=TEXT) == expected
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in Lines(io.StringIO()).line(*STEP, text=TEXT)


def test_where_there_is_no_room_for_a_column_the_text_begins_on_the_line_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Lines(io.StringIO(), is_terminal=True).line(*STEP, text=TEXT) == (
        " 2/10 load             0.1 s  \n      10 sessions, 126 messages; 1 left\n      out"
    )


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 80])
def test_no_word_is_cut_that_fits_on_a_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    shown = Lines(io.StringIO(), is_terminal=True).line(("      ", ""), text=TEXT).split("\n")
    assert " ".join(line.strip() for line in shown) == TEXT
    assert max(map(len, shown)) <= columns


def test_what_to_type_stands_on_a_line_of_its_own_where_it_does_not_fit_beside_its_words() -> None:
    command = "finetune chat configs/a-config-with-a-name.yaml --set a=1"
    assert Lines(io.StringIO(), is_terminal=True).line(text=f"Talk to it: {command}") == f"Talk to it:\n{command}"


def test_a_command_is_never_broken() -> None:
    said = "There is nothing to cancel. `finetune status run.yaml --set a=1` shows it."
    assert Lines(io.StringIO(), is_terminal=True).line(text=said) == (
        "There is nothing to cancel.\n`finetune status run.yaml --set a=1` shows it."
    )


def test_columns_hold_when_a_line_flows() -> None:
    said = "   2  openai  the chats are sent there; its key for it is not set yet"
    assert Lines(io.StringIO(), is_terminal=True).flow(said) == (
        "   2  openai  the chats are sent there; its key for it is\n              not set yet"
    )
