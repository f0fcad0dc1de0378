"""What Ollama is told of a model: a Modelfile (ollama/docs/modelfile.md).

How it is read (ollama/parser/parser.go): a value in three quotes ends where a line ends in three quotes, quotes
elsewhere in it are its own, and characters that are not printable are left out of it without a word.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.export.frames import Frames

_KEPT = "\n\r\t"


class Modelfile(NamedTuple):
    """Its text, and what had to be written in another way than usual, a line each."""

    text: str
    notes: tuple[str, ...]


def modelfile(model: str, frames: Frames, stops: Sequence[str], temperature: float, system: str | None) -> Modelfile:
    """Write one; `model` is the path of its weights."""
    notes = []
    usual, line = None, []
    if system and frames.system is not None:
        if _is_read_back(system):
            line = [f"SYSTEM {_quoted(system)}"]
        else:
            usual = system
            notes.append(
                "Modelfile: the system prompt stands in TEMPLATE, since SYSTEM would lose some of its characters"
            )
    lines = [f"FROM {model}", f"TEMPLATE {_quoted(frames.go(usual))}", f"PARAMETER temperature {temperature:g}"]
    for stop in stops:
        if _is_read_back(stop):
            lines.append(f"PARAMETER stop {_quoted(stop)}")
        else:
            notes.append(f"Modelfile: the stop string {stop!r} is left out, since it would lose some of its characters")
    return Modelfile("\n".join([*lines, *line]) + "\n", tuple(notes))


def _is_read_back(text: str) -> bool:
    return all(char.isprintable() or char in _KEPT for char in text) and not re.search(r'"""\s*[\r\n]', text)


def _quoted(text: str) -> str:
    return f'"""{text}"""'
