"""Every error a user can see, one class per exit code.

A message always reads ``<where>: <what>, got <value>. <the command or change that fixes it>``; the value is left out
where there is none to show. Anything else that reaches the command line is a bug of ours (exit 1).
"""

from typing import ClassVar

from pipeline.process.privacy import without_keys
from pipeline.wording import visible

_LONGEST_VALUE = 300  # characters; a name in a config may have half a million


class FinetuneError(Exception):
    """A foreseeable failure: printed as one message, never as a traceback.

    Args:
        where: the config key, file, step or host the failure is about.
        what: what is wrong, or what was expected.
        fix: a whole sentence: the command or the change that mends it.
        got: the offending value as the user would recognise it; never a key, never chat text.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, where: str, what: str, *, fix: str, got: str | None = None) -> None:
        # A backend's own words may hold the key; from here they go to the terminal, to run.log and into the state.
        self.where, self.what, self.fix = where, what, fix = tuple(map(without_keys, (where, what, fix)))
        self.got = got = None if got is None else without_keys(got)
        shown = got if got is None or len(got) <= _LONGEST_VALUE else f"{got[: _LONGEST_VALUE - 1]}…"
        said = f"{where}: {what}{'' if shown is None else f', got {shown}'}"
        super().__init__(visible(f"{said}{'' if said.endswith(('?', '!')) else '.'} {fix}"))


class InputError(FinetuneError):
    """Usage, config or input: a bad archive, an unknown model, no such sender, a wrong key."""

    exit_code = 2


class DecisionNeeded(FinetuneError):
    """Going on could cost money or lose something; the message names the commands to choose from."""

    exit_code = 3


class Locked(FinetuneError):
    """Another run holds this run directory.

    Attributes:
        holder: which, such as "process 12 on host".
    """

    exit_code = 4
    holder = "another run"


class StateDamaged(FinetuneError):
    """The state file or the disk cannot be trusted.

    Attributes:
        newer: the file is whole, but of a newer version; nothing to repair.
    """

    exit_code = 5
    newer = False


class BackendFailed(FinetuneError):
    """The backend said that the file or the job failed or was cancelled."""

    exit_code = 6


class RemoteEnded(BackendFailed):
    """The file or job itself has come to an end that is no success; only another one can help."""


class ExpectationNotMet(FinetuneError):
    """The tuned model answered, but not as smoke_test expects."""

    exit_code = 7


class TryLater(FinetuneError):
    """Nothing is wrong here; the backend or the network does not answer for now."""

    exit_code = 75


class MakesNoSense(TryLater):
    """The backend was reached, and what it says cannot be used."""
