"""What `finetune init` says at its end."""

import io
from pathlib import Path

import pytest

from pipeline.commands.init.interview import Made
from pipeline.commands.init.next_steps import what_next
from pipeline.config.settings import Backend
from pipeline.dataset.expectations import Data, expect
from pipeline.terminal.invocation import Invocation
from pipeline.terminal.style import Lines


def test_what_is_to_be_typed_stands_on_one_line_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr("sys.argv", ["/opt/not on the path/__main__.py"])
    monkeypatch.delenv("NEBIUS_API_KEY", raising=False)
    path = Path("a folder/with a long name/my-imessage.yaml")
    chats = Data(1466, {"de": 1.0}, None, 2048)
    made = Made(path, Backend(kind="nebius"), expect(chats, "a-model", None), "a-model")
    assert "\n".join(what_next(made, Invocation(path), Lines(io.StringIO(), is_terminal=True))) == (
        "\n"
        "Wrote a folder/with a long name/my-imessage.yaml,\n"
        "readable by you alone. Look at it if you like:\n"
        "every key says what it does.\n"
        "\n"
        "What to expect:\n"
        "  replies     1,466 replies to learn, in German\n"
        "  expect      enough to write like them\n"
        "\n"
        "First  export NEBIUS_API_KEY=…\n"
        "Next   python -m pipeline run 'a folder/with a long name/my-imessage.yaml'\n"
        "       reads the archive, makes training examples,\n"
        "       has it trained by Nebius Token Factory and\n"
        "       shows what it learnt\n"
        "Then   python -m pipeline chat 'a folder/with a long name/my-imessage.yaml'\n"
        "\n"
        "See what it would learn from, before anything is\n"
        "trained, with:\n"
        "python -m pipeline inspect 'a folder/with a long name/my-imessage.yaml'"
    )
