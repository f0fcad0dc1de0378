"""What Ollama is told of a model: a Modelfile (ollama/docs/modelfile.md)."""

from collections.abc import Sequence


def modelfile(model: str, template: str, stops: Sequence[str], temperature: float, system: str | None) -> str:
    """As text.

    Args:
        template: in Go's text/template.
    """
    lines = [f"FROM {model}", f"TEMPLATE {_quoted(template)}", f"PARAMETER temperature {temperature:g}"]
    lines += [f"PARAMETER stop {_short(stop)}" for stop in stops]
    if system:
        lines.append(f"SYSTEM {_quoted(system)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Three quotes stand around several lines; a text that has them itself is told without one."""
    return f'"""{text.replace(chr(34) * 3, chr(34) * 2)}"""' if not text.endswith('"') else f'"""{text} """'


def _short(text: str) -> str:
    return f'"{text}"' if '"' not in text else text
