"""How this program was called, so that what a message tells the user to do can be typed as it stands."""

import dataclasses
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.wording import visible

_NAMED = re.compile(r"`finetune (\w+)( CONFIG)?")


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One call of the command.

    Attributes:
        config: the path as it was given; None before it is known.
        overrides: KEY=VALUE, as given with --set.
    """

    config: Path | None = None
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Path, overrides: Sequence[str] | None) -> "Invocation":
        """From a command's own arguments."""
        return cls(config, tuple(overrides or ()))

    def command(self, name: str) -> str:
        """The line that calls another command with the same config."""
        return f"{_program()} {' '.join(map(quoted, [name, *self._arguments()]))}"

    def typable(self, message: str) -> str:
        """`message` with the commands in it, which are written as in the README, as they can be typed here."""
        return _NAMED.sub(self._spelt, message)

    def _spelt(self, named: re.Match[str]) -> str:
        if named[2] is None or self.config is None:
            return f"`{_program()} {named[1]}{named[2] or ''}"
        return f"`{self.command(named[1])}"

    def _arguments(self) -> list[str]:
        settings = [word for override in self.overrides for word in ("--set", override)]
        return [*([str(self.config)] if self.config else []), *settings]


def quoted(word: str) -> str:
    """A word as a shell takes it; what cannot be seen as $'…', which bash and zsh understand."""
    if visible(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_in_bytes(character) for character in word) + "'"


def _in_bytes(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if visible(character) == character:
        return character
    # Python puts U+DC80 to U+DCFF in the place of bytes that are no UTF-8 (PEP 383); other halves come from nowhere.
    how = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors=how))


def require_text(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make sure that what the user gives can be written down: in the state, in a message, in a request.

    Raises:
        InputError: an argument, or the value of a variable of ours, is not UTF-8.
    """
    ours = [(f"environment {name}", value) for name, value in environment.items() if name.startswith("FINETUNE_")]
    for where, value in [*(("command line", each) for each in arguments), *ours]:
        if not is_text(value):
            shown = os.fsencode(value).decode(errors="backslashreplace")
            raise InputError(where, "not UTF-8", got=shown, fix="Write it in UTF-8; rename the file if it is a file's.")


def is_text(value: str) -> bool:
    """Whether a value of the system is UTF-8; Python puts surrogates in the place of other bytes (PEP 383)."""
    return not any("\ud800" <= each <= "\udfff" for each in value)


def _program() -> str:
    """By name if that is on the PATH, else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m pipeline"
    found = shutil.which(called.name)
    return called.name if found and Path(found).resolve() == called.resolve() else os.path.relpath(called)
