"""An export from the outside: what is left of it, however its process ends."""

import sys
from pathlib import Path

import pytest

from pipeline.errors import ExpectationNotMet, TryLater
from pipeline.export import run
from pipeline.export.messages import Order

ORDER = Order(
    base="", base_name="org/base", revision=None, adapter="", form="adapter", quant="f16", folder="", name="tiny",
    system=None, temperature=0.8, chats=(),
)  # fmt: skip
START = (
    "import json, pathlib, sys; folder = pathlib.Path(json.loads(sys.stdin.readline())['folder']);"
    "(folder / 'half').write_text('half');"
)
NOTE = "print(json.dumps({'type': 'note', 'text': 'writing'}), flush=True);"
DONE = "print('a library speaks'); print(json.dumps({'type': 'done', 'lines': ['proved']}))"
REFUSED = "print(json.dumps({'type': 'refused', 'kind': 'proof', 'where': 'export', 'what': 'no', 'fix': 'Mend it.'}))"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to, beside what a killed export left."""
    order_base = tmp_path / "runs"
    left = order_base / ".export-adapter.x1.tmp"
    left.mkdir(parents=True)
    (left / "adapter_model.safetensors").write_text("half")
    return order_base / "export-adapter"


def does(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(run, "COMMAND", (sys.executable, "-c", START + what))


def quiet(_: str) -> None:
    """Says nothing."""


def test_what_is_proved_gets_its_name_and_what_a_killed_export_left_goes(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(monkeypatch, NOTE + DONE)
    notes: list[str] = []
    assert run.export_to(target, ORDER, notes.append) == ("proved",)
    assert notes == ["writing"]
    assert [path.name for path in target.parent.iterdir()] == ["export-adapter"]
    assert (target / "half").stat().st_mode & 0o777 == 0o600


def test_what_is_refused_leaves_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does(monkeypatch, REFUSED)
    with pytest.raises(ExpectationNotMet, match=r"^export: no\. Mend it\.$"):
        run.export_to(target, ORDER, quiet)
    assert list(target.parent.iterdir()) == []


def test_a_process_that_dies_leaves_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(TryLater) as refused:
        run.export_to(target, ORDER, quiet)
    assert str(refused.value) == (
        "export: the process that does it has ended (SIGKILL). Close other programs, then run it again."
    )
    assert list(target.parent.iterdir()) == []


def test_an_interruption_ends_the_process_and_leaves_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does(monkeypatch, NOTE + "sys.stdin.read()")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.export_to(target, ORDER, interrupt)
    assert list(target.parent.iterdir()) == []
