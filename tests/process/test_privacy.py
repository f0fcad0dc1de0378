"""Whatever the environment holds, nothing of the chats leaves the run directory and the backend unasked."""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FinetuneError
from pipeline.process import privacy
from pipeline.terminal.run_log import RunLog
from tests.archives.exports import SPOKEN
from tests.command import BOUND_S, ROOT, Workshop

CANARY = "canary"
CONFIG = f"""
name: ci
backend: {{trainer: scripted, script: script.json}}
download: {{source: chat.txt}}
load: {{source: whatsapp}}
map: {{assistant: Tortoise-{CANARY}}}
convert: {{preset: texting, system_prompt: "system {CANARY}"}}
smoke_test: {{prompts: ["prompt {CANARY}"]}}
"""
SWITCHES = (
    "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_VERBOSE",
    "LANGCHAIN_DEBUG", "LANGCHAIN_HANDLER", "LANGSMITH_OTEL_ENABLED", "LANGSMITH_GATEWAY",
    "MLFLOW_ENABLE_ASYNC_LOGGING", "WANDB_LOG_MODEL", "HF_DEBUG", "SSLKEYLOGFILE",
)  # fmt: skip
ADDRESSES = (
    "LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "WANDB_BASE_URL", "MLFLOW_TRACKING_URI",
    "COMET_URL_OVERRIDE", "CLEARML_API_HOST", "NEPTUNE_CUSTOM_RUN_ENDPOINT", "OPENAI_BASE_URL", "OPENAI_API_BASE",
    "OPENAI_PROXY", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
)  # fmt: skip
NAMED = {
    "OPENAI_LOG": "debug",
    "OPENAI_API_KEY": "sk-of-another",
    "OPENAI_ORG_ID": "Größe",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-of-another\nX-Grüße: ü",
    "LANGSMITH_API_KEY": "lsv2_x",
    "LANGCHAIN_API_KEY": "lsv2_x",
    "LC_OUTPUT_VERSION": "responses/v1",
    "WANDB_API_KEY": "x",
    "WANDB_MODE": "online",
    "TRANSFORMERS_VERBOSITY": "debug",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
    "SSL_CERT_FILE": "/no/where",
    "NO_PROXY": "",
    "no_proxy": "",
}
TRACED = "LANGSMITH_TRACING is set, but prompts and answers go to no tracer. smoke_test.tracing: true sends them."
RECORDS_ADDRESSES = """
import os, sys

def heard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = arguments[1] if event != "socket.getaddrinfo" else arguments[:2]
        with open(os.environ["ADDRESSES"], "a") as file:
            print(event, repr(where), file=file)

sys.addaudithook(heard)
"""


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A server that everything could be sent to, as tracer, proxy or API; yields its address and its requests."""
    heard = []

    class Anything(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.connection.settimeout(5)
            with contextlib.suppress(OSError):
                heard.append(self.connection.recv(65536))
                self.connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()
    thread.join()


def private_chats(folder: Path) -> Workshop:
    """A run whose every word can be told from all others."""
    shop = Workshop(folder)
    shop.config.write_text(CONFIG)
    (folder / "script.json").write_text(json.dumps({"replies": {"tuned": f"tuned {CANARY}", "base": f"base {CANARY}"}}))
    lines = [
        f"{n // 2 + 1:02}/08/2023, 21:{n % 2 + 12} - {speaker}-{CANARY}: {said} {CANARY}\n"
        for n, (speaker, said) in enumerate(SPOKEN)
    ]
    (folder / "chat.txt").write_text("".join(lines))
    return shop


def home_of(shop: Workshop) -> Path:
    """An empty home, and nothing else to write into."""
    home = shop.folder / "home"
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "HF_HOME"):
        (home / name).mkdir(parents=True)
        shop.env[name] = str(home / name)
    return home


def holding_a_canary(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes().lower()]


def test_a_run_and_a_chat_send_nothing_anywhere_but_to_the_embedded_backend(tmp_path: Path) -> None:
    shop = private_chats(tmp_path)
    home = home_of(shop)
    hooked = tmp_path / "hooked"
    hooked.mkdir()
    (hooked / "sitecustomize.py").write_text(RECORDS_ADDRESSES)
    addresses = tmp_path / "addresses"
    addresses.touch()
    with listening() as (address, heard):
        shop.env |= dict.fromkeys(SWITCHES, "true") | dict.fromkeys(ADDRESSES, address) | NAMED
        shop.env |= {"LANGSMITH_RUNS_ENDPOINTS": json.dumps({address: "key"}), "ADDRESSES": str(addresses)}
        shop.env["PYTHONPATH"] = f"{hooked}{os.pathsep}{ROOT}"
        ran = shop.run()
        again = shop.run()
        talked = shop.finetune("chat", "run.yaml", "--message", f"said {CANARY}")
        shown = shop.finetune("inspect", "run.yaml")

    assert (ran.code, ran.err) == (0, "")
    assert [line for line in ran.out.splitlines() if "trac" in line] == [f"      {TRACED}"]
    assert (again.code, "trac" in again.out) == (0, False)
    assert (talked.code, talked.out, talked.err) == (0, f"      Tortoise-{CANARY} tuned {CANARY}\n", "")
    assert (shown.code, shown.err) == (0, "")
    assert heard == []
    connected = [line.split(" ", 1) for line in addresses.read_text().splitlines()]
    elsewhere = [line for line in connected if "127.0.0.1" not in line[1]]
    assert connected
    assert elsewhere == []
    assert holding_a_canary(home) == []
    there = {file.relative_to(tmp_path).parts[0] for file in holding_a_canary(tmp_path)}
    assert there == {"runs", "chat.txt", "run.yaml", "script.json"}


def test_a_run_needs_no_network_at_all(tmp_path: Path) -> None:
    shop = private_chats(tmp_path)
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network namespace needs the commands unshare and ip")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("network namespaces are not permitted here")
    command = [*alone, sys.executable, "-m", "pipeline", "run", "run.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=shop.env, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_tracing_that_the_config_wants_is_as_the_environment_says_and_no_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": "http://127.0.0.1:9", "LANGCHAIN_PROJECT": "p"}
    refused = {
        "LANGSMITH_GATEWAY": "true",
        "LANGCHAIN_HANDLER": "langchain",
        "LANGCHAIN_TRACING": "1",
        "WANDB_MODE": "x",
    }
    for name, value in (asked | refused).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(privacy, "_withheld", {})
    notes: list[str] = []
    with privacy.tracing(True, notes.append):
        assert {name: os.environ[name] for name in (*asked, *refused) if name in os.environ} == asked
    assert [name for name in (*asked, *refused) if name in os.environ] == []
    assert notes == []


def test_what_is_withheld_is_taken_out_and_everything_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "OPENAI_LOG", "WANDB_API_KEY", "OPENAI_API_KEY", "OPENAI_ORG_ID", "HF_HOME"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(privacy, "_withheld", {})
    monkeypatch.setattr(privacy, "_asked_offline", [])
    privacy.withhold()
    assert [name for name in ("LANGSMITH_TRACING", "OPENAI_LOG", "WANDB_API_KEY") if name in os.environ] == []
    assert [os.environ[name] for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "HF_HOME")] == ["x"] * 3
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_token_of_the_hub_is_known_to_the_one_process_that_fetches_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"HF_TOKEN": "hf_of_mine_alone", "HF_ENDPOINT": "https://mirror.example", "HF_HOME": "/models"}
    for name, value in {**theirs, "OPENAI_API_KEY": "sk-x", "HF_DEBUG": "1", "HF_HUB_OFFLINE": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(privacy, "_withheld", {})
    monkeypatch.setattr(privacy, "_asked_offline", [])
    monkeypatch.setattr(privacy, "_keys", set())
    privacy.withhold()
    privacy.withhold()  # once more, and the user's own words are still known
    assert [name for name in ("HF_TOKEN", "HF_ENDPOINT") if name in os.environ] == []
    assert not privacy.is_offline()
    found = privacy.for_the_hub()
    assert {name: found.get(name) for name in theirs} == theirs
    assert not {"OPENAI_API_KEY", "HF_DEBUG", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} & set(found)
    assert [found[name] for name in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")] == ["1"] * 3
    assert privacy.without_keys("it says hf_of_mine_alone") == "it says [key]"


@pytest.mark.parametrize(("said", "is_offline"), [("1", True), ("true", True), ("ON", True), ("0", False), ("", False)])
def test_a_user_may_forbid_that_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch, said: str, is_offline: bool) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", said)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(privacy, "_asked_offline", [])
    privacy.withhold()
    assert privacy.is_offline() == is_offline


def test_langchain_is_told_not_to_trace_though_a_library_has_switched_that_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import langsmith
    from langsmith.utils import tracing_is_enabled

    langsmith.configure(enabled=True)
    notes: list[str] = []
    try:
        assert tracing_is_enabled()
        monkeypatch.setattr(privacy, "_withheld", {})
        with privacy.tracing(False, notes.append):
            assert not tracing_is_enabled()
    finally:
        langsmith.configure(enabled=None)
    assert notes == []


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Those in use."""
    used: set[str] = set()
    monkeypatch.setattr(privacy, "_keys", used)
    return used


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad key: Bearer sk-SECRETKEY123456.", "bad key: Bearer [key]."),
        ("sk-SECRETKEY123456sk-SECRETKEY123456", "[key][key]"),
        ("sk-SECRETKEY123456-and-more", "[key]"),
        ("none of it: Bearer none", "none of it: Bearer [key]"),
        ("another's: bearer abcdefgh-123456789", "another's: bearer [key]"),
        ("Bearer authentication-is-required", "Bearer authentication-is-required"),
        ("no key at all", "no key at all"),
    ],
)
def test_keys_in_use_and_other_bearer_tokens_are_hidden(keys: set[str], text: str, shown: str) -> None:
    for key in ("sk-SECRETKEY123456", "sk-SECRETKEY123456-and-more", "none", ""):
        privacy.remember_key(key)
    assert privacy.without_keys(text) == shown


def test_neither_an_error_nor_the_log_holds_a_key(keys: set[str], tmp_path: Path) -> None:
    keys.add("sk-SECRETKEY123456")
    error = FinetuneError("at sk-SECRETKEY123456", "no sk-SECRETKEY123456", fix="Not sk-SECRETKEY123456.", got="sk-x1")
    assert (error.where, error.what, error.fix) == ("at [key]", "no [key]", "Not [key].")
    assert str(error) == "at [key]: no [key], got sk-x1. Not [key]."
    with contextlib.closing(RunLog(tmp_path, print)) as log:
        log.write("it said sk-SECRETKEY123456")
    assert (tmp_path / "run.log").read_text() == "it said [key]\n"
