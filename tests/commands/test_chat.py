"""`finetune chat` as a person has it, on a terminal, and as a pipe has it. The trainer is scripted."""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyte
import pytest

from tests.command import BOUND_S, Workshop
from tests.test_command import message

COLUMNS = 80
ANSWER = "      Tortoise Slow and steady, that's my motto."
PROMPT = "      you"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a model has been trained."""
    folder = tmp_path_factory.mktemp("trained")
    assert Workshop(folder).run("--until", "poll_job").code == 0
    return folder


@pytest.fixture
def shop(trained_once: Path, tmp_path: Path) -> Workshop:
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return Workshop(tmp_path)


class Conversation:
    """On a terminal of 80 columns.

    Attributes:
        sent: all that the terminal got, with its control codes.
    """

    def __init__(self, shop: Workshop, *arguments: str) -> None:
        self.sent = ""
        self._screen = pyte.Screen(COLUMNS, 20)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "chat", "run.yaml", *arguments],
            cwd=shop.folder,
            env={**shop.env, "COLUMNS": str(COLUMNS), "TERM": "xterm", "NO_COLOR": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def shown(self) -> list[str]:
        """What a person sees now; the model's name, which is random, made shorter."""
        lines = "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")
        return [re.sub(r"ft:smollm2-135m-instruct:personal:ci:[0-9a-f]+", "ft:NAME", line) for line in lines]

    def until(self, *lines: str) -> None:
        """Read until the screen ends so."""
        while self.shown[-len(lines) :] != list(lines):
            assert self._read(), self.shown

    def until_in(self, line: str) -> None:
        """Read until a line begins so."""
        while not any(shown.startswith(line) for shown in self.shown):
            assert self._read(), self.shown

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> tuple[int, list[str]]:
        """The exit status, and what stays on the screen."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(BOUND_S), self.shown

    def _read(self) -> bool:
        assert select.select([self._ours], [], [], BOUND_S)[0], self.shown
        try:
            piece = os.read(self._ours, 4096)
        except OSError:  # Linux says EIO once the other side is closed
            return False
        self.sent += piece.decode(errors="replace")
        self._stream.feed(piece)
        return bool(piece)


INTRODUCTION = [
    "You talk to ft:NAME. /help lists what else",
    "can be typed; Ctrl-D ends the conversation.",
    '      It is told: "You are speaking to hare."',
]


def test_a_conversation_begins_with_whom_one_talks_to_and_an_empty_line_is_asked_again(shop: Workshop) -> None:
    talk = Conversation(shop)
    talk.until(*INTRODUCTION, PROMPT)
    talk.type("\n")
    talk.until(PROMPT, PROMPT)
    talk.type("Hello\n")
    talk.until(f"{PROMPT}    Hello", ANSWER, PROMPT)
    talk.type("\x04")
    assert talk.end() == (0, [*INTRODUCTION, PROMPT, f"{PROMPT}    Hello", ANSWER, PROMPT])


def test_ctrl_c_at_the_prompt_ends_the_conversation_without_a_word(shop: Workshop) -> None:
    talk = Conversation(shop)
    talk.until(PROMPT)
    talk.process.send_signal(signal.SIGINT)
    assert talk.end() == (130, [*INTRODUCTION, PROMPT])
    assert talk.sent.endswith("\r\n")


def test_another_signal_at_the_prompt_is_told_on_a_line_of_its_own(shop: Workshop) -> None:
    talk = Conversation(shop)
    talk.until(PROMPT)
    talk.process.send_signal(signal.SIGTERM)
    assert talk.end() == (143, [*INTRODUCTION, PROMPT, "stopped by SIGTERM."])


def test_ctrl_c_ends_an_answer_and_with_it_the_conversation(shop: Workshop) -> None:
    script = shop.script(replies={"seconds_per_word": 0.5})
    talk = Conversation(shop, script, "--message", "Hello")
    talk.until("      Tortoise Slow")
    talk.process.send_signal(signal.SIGINT)
    code, shown = talk.end()
    assert code == 130
    assert re.fullmatch(r"      Tortoise Slow( and)?", "\n".join(shown))
    assert talk.sent.endswith("\r\n")


def test_what_is_typed_during_an_answer_is_shown_after_it_and_answered(shop: Workshop) -> None:
    talk = Conversation(shop, shop.script(replies={"seconds_per_word": 0.5}))
    talk.until(PROMPT)
    talk.type("Hello\n")
    talk.until("      Tortoise Slow")
    talk.type("And again\n")
    talk.until(f"{PROMPT}    Hello", ANSWER, f"{PROMPT}    And again", ANSWER, PROMPT)
    talk.type("\x04")
    assert talk.end()[0] == 0


def test_a_line_that_begins_with_a_slash_is_a_command_in_a_terminal_and_speech_in_a_pipe(shop: Workshop) -> None:
    talk = Conversation(shop)
    talk.until(PROMPT)
    talk.type("/temperature 0.5\n")
    talk.until(f"{PROMPT}    /temperature 0.5", "The temperature is 0.5.", PROMPT)
    talk.type("/checkpoint 1\n")
    talk.until_in("You talk to ft:NAME:ckpt-step-")
    talk.type("Hello\n")
    talk.until_in("      epoch 1 Slow and steady")
    talk.type("\x04")
    assert talk.end()[0] == 0
    piped = shop.finetune("chat", "run.yaml", stdin="/help\n")
    assert (piped.code, piped.err, piped.out) == (0, "", f"{ANSWER}\n")


def test_a_terminal_shows_that_an_answer_is_waited_for(shop: Workshop) -> None:
    talk = Conversation(shop, "--message", "Hello")
    assert talk.end() == (0, [ANSWER])
    assert re.search(r"      Tortoise . 0:00:00", talk.sent)


def test_a_pipe_gets_the_answers_and_nothing_else(shop: Workshop) -> None:
    log = (shop.run_dir / "run.log").read_bytes()
    said = shop.finetune("chat", "run.yaml", "--message", "Hello")
    assert (said.code, said.err, said.out) == (0, "", f"{ANSWER}\n")
    several = shop.finetune("chat", "run.yaml", stdin="Hello\n\nAnd again\n")
    assert (several.code, several.err, several.out) == (0, "", f"{ANSWER}\n{ANSWER}\n")
    assert (shop.run_dir / "run.log").read_bytes() == log


def test_a_pipe_needs_nothing_that_draws(shop: Workshop) -> None:
    shop.env["PYTHONPROFILEIMPORTTIME"] = "1"
    said = shop.finetune("chat", "run.yaml", "--message", "Hello")
    imported = {line.rpartition("|")[2].strip() for line in said.err.splitlines()}
    assert "openai" in imported
    assert "rich" not in imported


def test_without_a_tuned_model_chat_says_how_to_get_one(tmp_path: Path) -> None:
    refused = Workshop(tmp_path).finetune("chat", "run.yaml")
    assert (refused.code, refused.out) == (2, "")
    message(refused.err, "chat: there is no tuned model yet. Train one with `python -m pipeline run run.yaml`.")


def test_help_says_how_a_conversation_ends(tmp_path: Path) -> None:
    assert "Talk to the tuned model, until Ctrl-D." in Workshop(tmp_path).finetune("chat", "--help").out


@pytest.mark.parametrize("said", [b"h\xe9llo\n", b"cut in a letter \xc3", b"a\0b\n", b"x" * 1_000_000 + b"\n"])
def test_whatever_is_piped_in_is_answered(shop: Workshop, said: bytes) -> None:
    command = [sys.executable, "-m", "pipeline", "chat", "run.yaml"]
    told = subprocess.run(command, cwd=shop.folder, env=shop.env, input=said, capture_output=True, check=False)
    assert (told.returncode, told.stderr, told.stdout.decode()) == (0, b"", f"{ANSWER}\n")


def test_an_argument_that_is_no_text_is_refused_in_a_sentence(shop: Workshop) -> None:
    command = [sys.executable.encode(), b"-m", b"pipeline", b"chat", b"run.yaml", b"--message", b"\xffoops"]
    told = subprocess.run(command, cwd=shop.folder, env=shop.env, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr == (
        "error: command line: not UTF-8, got \\xffoops. Write it in UTF-8; rename the file if it is a file's.\n"
    )
