"""`finetune doctor`: each finding with what mends it."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pyte
import pytest
import typer
from typer.core import TyperGroup

from pipeline.cli import VERBS, app
from pipeline.commands import doctor
from pipeline.process import privacy
from pipeline.testing import mock_openai
from tests.archives.exports import chat_db, chat_db_without_its_log
from tests.command import BOUND_S, ROOT, Workshop
from tests.hub import SHA, serving


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def told(out: str) -> dict[str, str]:
    """What was said of each thing, with its level and its fix on one line."""
    joined = re.sub(r"\n {18}", " -> ", out)
    return {line[6:16].strip(): f"{line[:4].strip()}: {line[18:]}" for line in joined.splitlines() if line[4:6] == "  "}


def test_without_a_config_it_looks_at_what_training_here_needs(shop: Workshop) -> None:
    done = shop.finetune("doctor")
    found = told(done.out)
    assert (done.code, done.err) == (0, "")
    assert list(found) == ["Python", "folder", "disk", "memory", "keys", "packages", "base model", "device"]
    assert found["folder"] == f"ok: {shop.folder} can be written to, has locks and keeps files private"
    assert found["keys"] == "ok: none set; training on this machine needs none"
    assert found["packages"] == "ok: all are installed"
    assert re.fullmatch(r"ok: trains on .+, in (float32|bfloat16)", found["device"])
    assert sorted(path.name for path in shop.folder.iterdir()) == ["run.yaml"]


def test_what_it_waits_for_is_shown_in_a_terminal_as_long_as_it_waits(shop: Workshop) -> None:
    ours, theirs = pty.openpty()
    command, env = [sys.executable, "-m", "pipeline", "doctor"], {**shop.env, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, cwd=shop.folder, env=env, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen, seen = pyte.Screen(100, 40), []
    stream = pyte.ByteStream(screen)
    while select.select([ours], [], [], BOUND_S)[0]:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says EIO once the other side is closed
            break
        if not piece:
            break
        stream.feed(piece)
        seen.append([line.rstrip() for line in screen.display])
    os.close(ours)
    assert process.wait(BOUND_S) == 0
    waiting = "      device      asking torch, which takes some seconds …"
    assert any(waiting in lines for lines in seen)
    assert "asking" not in "".join(seen[-1])
    *_, device, ready = filter(None, seen[-1])
    assert (device.startswith("ok    device      trains on "), ready.startswith("Ready")) == (True, True)


def test_a_model_of_the_hub_is_looked_for_and_not_fetched(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as hub:
        hub.add("org/m", tiny_model)
        hub.add("org/gated", tiny_model)
        hub.gated.add("org/gated")
        for name, value in hub.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(privacy, "_withheld", {})
        monkeypatch.setattr(privacy, "_asked_offline", [])
        privacy.withhold()
        size = sum(path.stat().st_size for path in tiny_model.iterdir())
        assert doctor._base_model("org/m") == doctor.Finding(
            "ok", "base model", f"org/m is on the Hub; the first run fetches it ({round(size / 1000)} kB)"
        )
        gated = doctor._base_model("org/gated")
        assert (gated.level, gated.said) == (
            "fail",
            "org/gated: is gated: its authors want to be asked first, and no token is set",
        )
        assert not (tmp_path / "home").exists()
        assert {path.rpartition("/")[2] for method, path, _, _ in hub.asked if method == "GET"} == {"main", SHA}


def test_every_command_that_overrides_keys_says_so_alike() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = [group.get_command(typer.Context(group), verb) for verb in VERBS]
    options = [option for command in commands if command for option in command.params if "--set" in option.opts]
    assert len(options) > 8
    assert {getattr(option, "help", "") for option in options} == {"Override a key: --set create_job.seed=7."}


def test_a_scripted_config_needs_no_torch(shop: Workshop) -> None:
    done = shop.finetune("doctor", "run.yaml")
    assert done.code == 0
    assert list(told(done.out)) == ["Python", "config", "folder", "disk", "memory"]


def test_mistakes_of_the_config_and_a_missing_archive_are_found(shop: Workshop) -> None:
    broken = shop.finetune("doctor", "run.yaml", "--set", "map.assitant=x", "--set", "backend.trainer=sorcerer")
    assert broken.code == 2
    assert "fail  config      --set map.assitant: unknown key. Did you mean `assistant`?\n" in broken.out
    assert "fail  config      --set backend.trainer: " in broken.out
    assert broken.out.endswith(" to mend first.\n")
    missing = shop.finetune("doctor", "run.yaml", "--set", "download.source=nowhere.db")
    assert missing.code == 2
    assert told(missing.out)["archive"] == "fail: nowhere.db is not there -> Check `download.source`."


def test_a_database_that_was_copied_without_its_log_is_a_warning(shop: Workshop) -> None:
    chat_db_without_its_log(shop.folder)
    done = shop.finetune("doctor", "run.yaml", "--set", "download.source=chat.db")
    assert (done.code, told(done.out)["archive"]) == (
        0,
        "warn: chat.db can be read, but its newest messages may be missing: there is no chat.db-wal beside it -> "
        "Copy it again, together with chat.db-wal and chat.db-shm if they lie beside the original.",
    )
    whole = chat_db(shop.folder).name
    fine = shop.finetune("doctor", "run.yaml", "--set", f"download.source={whole}")
    assert told(fine.out)["archive"] == f"ok: {whole} can be read"


def test_a_hosted_backend_is_asked_one_cheap_question(shop: Workshop) -> None:
    with mock_openai({}) as server:
        backend = f"backend={{kind: compatible, base_url: {server.base_url}}}"
        hosted = ("doctor", "run.yaml", "--set", backend)
        assert told(shop.finetune(*hosted).out)["key"] == (
            "fail: environment OPENAI_API_KEY is not set, and the server at base_url needs a key -> "
            "export OPENAI_API_KEY=…, or train on this machine with --set backend.kind=embedded."
        )
        shop.env["OPENAI_API_KEY"] = server.api_key
        good = shop.finetune(*hosted)
        shop.env["OPENAI_API_KEY"] = "sk-wrong-and-secret"
        wrong = shop.finetune(*hosted)
    away = shop.finetune(*hosted)
    assert good.code == 0
    assert told(good.out)["backend"] == "ok: the server at base_url answers; nothing was asked that costs"
    assert server.api_key not in good.out
    assert wrong.code == 2
    assert told(wrong.out)["backend"].startswith("fail: the server at base_url: ")
    assert "secret" not in wrong.out
    assert away.code == 0
    assert told(away.out)["backend"] == (
        "warn: the server at base_url does not answer (the server cannot be reached) -> Try again later."
    )
    assert away.out.endswith("Ready, with a warning.\n")


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    (finding,) = doctor._directory(Path("/proc/self" if sys.platform == "linux" else "/System"))
    assert (finding.level, finding.fix) == ("fail", "Work in a folder of your own.")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run x.yaml --from po", ["poll_file", "poll_job"]),
        ("run x.yaml --only smo", ["smoke_test"]),
        ("forget x.yaml c", ["convert", "create_job"]),
        ("resolve x.yaml up", ["upload"]),
        ("run x.yaml --set create_job.hyperparameters.n", ["create_job.hyperparameters.n_epochs="]),
        ("doc", ["doctor"]),
    ],
)
def test_the_shell_completes_steps_keys_and_commands(typed: str, offered: list[str]) -> None:
    words = f"finetune {typed}"
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_FINETUNE_COMPLETE": "complete_bash",
    }
    code = "import sys; sys.argv[0] = 'finetune'; from pipeline.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == offered


def test_an_archive_that_is_a_pipe_or_in_nobodys_home_is_a_finding(shop: Workshop) -> None:
    os.mkfifo(shop.folder / "pipe")
    piped = shop.finetune("doctor", "run.yaml", "--set", "download.source=pipe")
    assert (piped.code, told(piped.out)["archive"].partition(" ->")[0]) == (
        2,
        "fail: pipe: cannot be read (Not a file)",
    )
    lost = shop.finetune("doctor", "run.yaml", "--set", "download.source=~nobody-of-that-name/chat.db")
    assert lost.code == 2
    assert told(lost.out)["archive"] == (
        "fail: ~nobody-of-that-name/chat.db: this machine knows no such home directory -> Write the whole path."
    )
