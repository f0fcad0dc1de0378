"""YAML as a config may hold it: bounded before anything is made of it, with every key's line.

A few hundred bytes can say that one list stands in another ten times, and that one in a third, until memory ends. So
the nodes are counted as often as they are referred to, before values are constructed.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.durable import reading
from pipeline.errors import InputError

Path_ = tuple[str | int, ...]

MOST_BYTES = 500_000
MOST_VALUES = 10_000
DEEPEST = 50
LONGEST_NUMBER = 40
"""Characters; what is longer is no number that any key takes, and its conversion takes quadratic time."""

_HALF = re.compile("[\ud800-\udfff]")

_WRONG = (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError, ArithmeticError)
"""What PyYAML raises for texts that are no YAML: beside its own errors those of values under the wrong tag."""


class Loader(yaml.SafeLoader):
    """YAML in which +15551234567 is a telephone number, not an integer, and dates and times of day are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        if first != "+"
    }

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self._where = where
        self._values = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Called by PyYAML for each node, whose text has just been read: here is the end of what is too much."""
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        self._values += not is_key
        if self._values > MOST_VALUES or self._depth > DEEPEST:
            what = _TOO_MANY if self._values > MOST_VALUES else _TOO_DEEP
            raise _refused(self._where, self.line + 1, what)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Called by PyYAML; JSON writes some characters as two halves, which it would leave as they are."""
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if _HALF.search(node.value):
            try:
                node.value = node.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError:
                raise InputError(
                    f"{self._where}:{node.start_mark.line + 1}",
                    "holds half a character, such as \\ud83d alone",
                    fix="Write the character itself.",
                ) from None
        return node

    def number(self, node: yaml.ScalarNode) -> object:
        """What reads as a number; 12:30 is none here, though it is 750 to YAML 1.1."""
        if len(node.value) > LONGEST_NUMBER or ":" in node.value:
            return node.value
        return self.construct_yaml_float(node) if node.tag.endswith("float") else self.construct_yaml_int(node)


for _tag in ("int", "float"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", Loader.number)


class TooMuch(InputError):
    """A document of more values than a config has, or deeper."""


_TOO_MANY = f"more than {MOST_VALUES:,} values, aliases (*) counted each time"
_TOO_DEEP = f"more than {DEEPEST} levels deep, or an alias (*) of what it stands in"


def _refused(where: str, line: int, what: str) -> TooMuch:
    return TooMuch(f"{where}:{line}", what, fix="Write out what is needed, without aliases.")


def short(text: str, most: int = 80) -> str:
    """A text that is to be shown, with its end cut off if it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def read_text(path: Path) -> str:
    """A config's text.

    Raises:
        OSError: it cannot be read; FileNotFoundError: it is not there.
        InputError: it is no file of text, or too large.
    """
    with reading(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(str(path), f"larger than {MOST_BYTES // 1000} kB, which no config is", fix="Give a YAML file.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError(str(path), "cannot be read (not UTF-8 text)", fix="Give a YAML file.") from None


def parse(text: str, where: str) -> tuple[Any, dict[Path_, int]]:
    """The value of a YAML document, and the line of each key and each member of a list in it.

    Args:
        where: what to call the document in errors.

    Raises:
        InputError: it is not YAML, too deep, of too many values, or has a key twice; names the line.
    """
    nodes = _Nodes(where)
    try:
        loader = Loader(text, where)
        root = loader.get_single_node()
        if root is not None:
            nodes.locate(root, ())
        return None if root is None else loader.construct_document(root), nodes.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{where}:{mark.line + 1}" if mark else where
        raise InputError(at, f"not YAML ({short(str(error.problem), 200)})", fix="Mend that line.") from None
    except _WRONG as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error)[:500].split())[:120]
        raise InputError(where, f"not YAML ({reason})", fix="Mend it.") from None


class _Nodes:
    """The nodes of a document, an alias being the whole of what it stands for.

    Attributes:
        lines: where each begins, counted from 1.
    """

    def __init__(self, where: str) -> None:
        self.lines: dict[Path_, int] = {}
        self._where = where
        self._count = 0

    def locate(self, node: yaml.Node, at: Path_, around: int = 1) -> None:
        """Find the lines of all that is in a node."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise _refused(self._where, around, _TOO_MANY)
        if len(at) > DEEPEST:
            raise _refused(self._where, around, _TOO_DEEP)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
                here, line = (*at, name), key.start_mark.line + 1
                if here in self.lines:
                    raise InputError(
                        f"{self._where}:{line}",
                        f"`{short(name)}` stands twice, first on line {self.lines[here]}",
                        fix="Remove one of them.",
                    )
                self.lines[here] = line
                self.locate(value, here, max(line, around))  # what an alias repeats stands further up
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.lines[(*at, index)] = value.start_mark.line + 1
                self.locate(value, (*at, index), max(value.start_mark.line + 1, around))
