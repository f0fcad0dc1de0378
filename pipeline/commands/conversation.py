"""A conversation with a model, and what may be typed in it: who answers, how freely, and what was said so far."""

import contextlib
import datetime
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline.durable import atomic_writer
from pipeline.errors import FinetuneError, InputError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

HELP = """\
/reset          forget what was said
/base           talk to the base model; again: to the tuned one
/checkpoint N   talk to the model as it was after epoch N
/temperature T  0 says the likeliest, always the same; 0.8 is like a person; 2 is wild
/system TEXT    tell it something else; without a text: nothing
/save [FILE]    keep what was said, readable by you alone
/help           this list
Ctrl-D          end the conversation"""


@dataclass
class Conversation:
    """What an answer depends on.

    Attributes:
        tuned, base: the names of the models on the backend.
        called: the label of the tuned model's answers: the person's name, where it is known.
        checkpoints: asks the backend for the models after each epoch, first to last.
        folder: where what was said is kept, unless a path says otherwise.
    """

    tuned: str
    base: str
    called: str
    system: str | None
    temperature: float
    checkpoints: Callable[[], list[str]]
    folder: Path
    model: str = ""
    label: str = ""
    history: "list[ChatCompletionMessageParam]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._talk_to(self.tuned, self.called)

    @property
    def messages(self) -> "list[ChatCompletionMessageParam]":
        """What the model is asked with."""
        if not self.system:
            return self.history
        return [{"role": "system", "content": self.system}, *self.history]

    def command(self, line: str) -> str:
        """Do what a line that begins with a slash says.

        Returns:
            What to tell of it.
        """
        name, _, argument = line.partition(" ")
        does = {
            "/help": lambda _: HELP,
            "/reset": self._reset,
            "/base": self._base,
            "/checkpoint": self._checkpoint,
            "/temperature": self._set_temperature,
            "/system": self._set_system,
            "/save": self._save,
        }.get(name)
        if does is None:
            return f"There is no {name}; /help lists what there is."
        try:
            return does(argument.strip())
        except FinetuneError as error:
            return str(error)

    def _talk_to(self, model: str, label: str) -> str:
        self.model, self.label = model, label
        return f"You talk to {model}."

    def _reset(self, _: str) -> str:
        self.history.clear()
        return "What was said is forgotten."

    def _base(self, _: str) -> str:
        return self._talk_to(self.tuned, self.called) if self.model == self.base else self._talk_to(self.base, "base")

    def _checkpoint(self, number: str) -> str:
        models = self.checkpoints()
        if not models:
            return "The backend keeps no models of single epochs."
        if not (number.isdecimal() and 1 <= int(number) <= len(models)):
            return f"/checkpoint takes the number of an epoch, 1 to {len(models)}."
        return self._talk_to(models[int(number) - 1], f"epoch {int(number)}")

    def _set_temperature(self, value: str) -> str:
        with contextlib.suppress(ValueError):
            if 0 <= float(value) <= 2:
                self.temperature = float(value)
                return f"The temperature is {self.temperature:g}."
        return f"/temperature takes a number from 0 to 2; it is {self.temperature:g}."

    def _set_system(self, text: str) -> str:
        self.system = text or None
        return f'It is told: "{text}"' if text else "It is told nothing."

    def _save(self, name: str) -> str:
        if not self.history:
            return "Nothing was said yet."
        path = (
            Path(name).expanduser() if name else self.folder / f"chat-{datetime.datetime.now():%Y-%m-%d-%H%M%S}.jsonl"
        )
        if path.exists():
            raise InputError("/save", f"{path} exists already", fix="Name another file.")
        try:
            with atomic_writer(path) as file:
                file.write(msgspec.json.encode({"model": self.model, "messages": self.messages}) + b"\n")
        except OSError as error:
            raise InputError(
                "/save", f"{path} cannot be written ({error.strerror})", fix="Name another file."
            ) from None
        return f"Kept in {path}."


class Typing:
    """What is typed while an answer appears: not shown then, for it would stand in the midst of the answer."""

    def __init__(self) -> None:
        self._unseen = 0

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """Have the terminal show nothing of what is typed; without a terminal, do nothing."""
        try:
            import termios

            fd = sys.stdin.fileno()
            before = termios.tcgetattr(fd)
        except (ImportError, OSError, ValueError, termios.error):
            yield
            return
        quiet = [*before]
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(fd, termios.TCSANOW, quiet)
        try:
            yield
        finally:
            self._unseen = _waiting(fd)
            termios.tcsetattr(fd, termios.TCSANOW, before)

    def was_unseen(self, line: str) -> bool:
        """Whether this line, the next one read, was typed while nothing was shown."""
        unseen, self._unseen = self._unseen, max(0, self._unseen - len(line.encode(errors="replace")) - 1)
        return unseen > 0


def _waiting(fd: int) -> int:
    """Bytes of whole lines that were typed and not read yet."""
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    return 0
