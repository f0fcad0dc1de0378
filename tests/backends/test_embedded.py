"""The embedded server: up for one run, gone with it, its store the same next time."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.backends.embedded import EmbeddedServer, embedded_identity
from pipeline.config.settings import Backend
from pipeline.errors import FinetuneError, TryLater

SCRIPTED = Backend(trainer="scripted")
START = """
import os, sys
from pathlib import Path
from pipeline.backends.embedded import EmbeddedServer
from pipeline.config.settings import Backend
server = EmbeddedServer(Path(sys.argv[1]), Backend(trainer="scripted"))
print(server.pid, flush=True)
sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_store_keeps_its_identity_and_every_run_has_another_key(tmp_path: Path) -> None:
    data_dir = tmp_path / "server"
    assert embedded_identity(data_dir) == "embedded:none"
    first = EmbeddedServer(data_dir, SCRIPTED)
    first.stop()
    identity = embedded_identity(data_dir)
    second = EmbeddedServer(data_dir, SCRIPTED)
    second.stop()
    assert embedded_identity(data_dir) == identity != "embedded:none"
    assert first.key != second.key
    for path in data_dir.rglob("*"):
        if path.is_file():
            assert first.key.encode() not in path.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment of another process in /proc")
def test_a_server_is_told_no_key_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    server = EmbeddedServer(tmp_path / "server", SCRIPTED)
    told, asked = (Path(f"/proc/{server.pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
    server.stop()
    assert server.key.encode() in told
    assert b"sk-canary" not in told
    assert server.key.encode() not in asked


def test_a_server_that_dies_is_noticed(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "server", SCRIPTED)
    server.check()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    with pytest.raises(TryLater) as caught:
        server.check()
    assert str(caught.value) == (
        f"embedded server: stopped unexpectedly (SIGKILL); its log is {tmp_path}/server/server.log. "
        "Run the same command again: nothing accepted is lost, and training goes on from its checkpoint."
    )
    server.stop()


def test_a_script_that_makes_no_sense_is_told_as_the_server_tells_it(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"stesp": 3}')
    with pytest.raises(FinetuneError) as caught:
        EmbeddedServer(tmp_path / "server", Backend(trainer="scripted", script=str(script)))
    assert caught.value.exit_code == 2
    assert str(script) in str(caught.value)
    assert "stesp" in str(caught.value)


def _start_code(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Have every Python that is started from here run `code` first, as a start-up file of the user's does."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path(__file__).parents[2]}")


@pytest.mark.parametrize(
    ("ends", "how"),
    [
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("os.kill(os.getpid(), 40)", "signal 40"),
        ("os._exit(130)", "exit code 130"),
        ("os._exit(0)", "exit code 0"),
    ],
)
def test_a_server_that_is_ended_while_it_starts_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, how: str
) -> None:
    _start_code(monkeypatch, tmp_path / "site", f"import os\n{ends}")
    with pytest.raises(TryLater) as caught:
        EmbeddedServer(tmp_path / "server", SCRIPTED)
    assert str(caught.value) == (
        f"embedded server: was ended while starting ({how}); its log is {tmp_path}/server/server.log. "
        "Run the same command again: nothing accepted is lost, and training goes on from its checkpoint."
    )


@pytest.mark.parametrize(
    "printed", ["hello", '{"a": 1}', "\x00\xff\n" + "[" * 100_000], ids=["a word", "an object", "noise"]
)
def test_what_others_print_before_the_server_speaks_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    _start_code(
        monkeypatch, tmp_path / "site", f"import sys\nsys.stdout.buffer.write({printed.encode('latin1')!r} + b'\\n')"
    )
    server = EmbeddedServer(tmp_path / "server", SCRIPTED)
    server.stop()
    assert server.base_url.startswith("http://127.0.0.1:")


def test_a_server_that_says_nothing_but_nonsense_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.backends.embedded.LEAVING_S", 0.1)
    _start_code(monkeypatch, tmp_path / "site", "import sys\nwhile True: sys.stdout.buffer.write(b'no\\n')")
    with pytest.raises(TryLater) as caught:
        EmbeddedServer(tmp_path / "server", SCRIPTED)
    assert str(caught.value) == (
        f"embedded server: says nothing that makes sense; its log is {tmp_path}/server/server.log. "
        "Run the same command again: nothing accepted is lost, and training goes on from its checkpoint."
    )


def test_a_machine_without_room_for_another_process_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(TryLater) as caught:
        EmbeddedServer(tmp_path / "server", SCRIPTED)
    assert str(caught.value) == (
        "embedded server: cannot be started (Resource temporarily unavailable). "
        "End what you can do without, or allow more (ulimit -a), then run the same command again."
    )


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc to see that a process is gone")
def test_the_server_dies_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "server")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    # The store's lock is free once the server is gone; a successor waits for that, so it starts.
    EmbeddedServer(tmp_path / "server", SCRIPTED).stop()
    assert not is_alive(pid)
