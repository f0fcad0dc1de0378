"""Regular expressions meet texts that others wrote: none may take more than linear time, whatever the text."""

import ast
import functools
import itertools
import math
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.dataset import tokens

PACKAGE = Path(tokens.__file__).parents[1]
METHODS = {"search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
MADE_OF_PARTS = {
    "pipeline/archives/imessage/typedstream.py": "a name and a fixed end",
    "pipeline/archives/telegram/source.py": "a choice of words of our own",
    "pipeline/archives/whatsapp/chats.py": "fixed words around a file's name",
    "pipeline/archives/whatsapp/headers.py": "parts of our own, each of bounded length",
    "pipeline/archives/whatsapp/own_words.py": "one set of characters",
    "pipeline/models/layout.py": "one mark of our own, or another",
    "pipeline/fetch/http.py": "digits, eighteen at most",
    "pipeline/config/settings.py": "the user's own, compiled to see whether it is one",
    "pipeline/dataset/redact.py": "a choice of the user's own words, as they are",
    "pipeline/dataset/tokens.py": "a choice of fixed words",
    "pipeline/server/http/envelope.py": "one of our own routes",
    "pipeline/steps/smoke_test.py": "the user's own",
    "pipeline/wording.py": "one set of characters, and a repeat of six at most",
}
"""Where a pattern is made while running, and of what."""

TINY, SHORT, LONG = 20, 1_000, 8_000
"""Characters. Eight times as many take eight times as long, or 64 times if it is quadratic."""

MOST = 4_000
"""Texts for one pattern. Lists of words in forty languages would make a million, most of them alike: of more than this,
a choice is tried, the same in every run."""


class Found(NamedTuple):
    """A pattern, and how it is used."""

    where: str
    pattern: re.Pattern[str]
    methods: tuple[str, ...]


def calls_of_re(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name != "escape":
                yield name, node


def methods_of(tree: ast.Module, call: ast.Call) -> tuple[str, ...]:
    """How a compiled pattern is used, by the name that it is assigned to; every way where that is not to be seen."""
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call:
                uses = {
                    node.attr
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
                }
                return tuple(sorted(uses & METHODS)) or ("search",)
    return ("search",)


def patterns() -> Iterator[Found]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function, call in calls_of_re(tree):
            if not isinstance(call.args[0], ast.Constant):
                assert name in MADE_OF_PARTS, f"{name}:{call.lineno} is made while running: can its text be foreign?"
                continue
            arguments = [call.args[0], *(each for each in call.args[1:] if "re." in ast.unparse(each))]
            compiled = eval(f"re.compile({', '.join(map(ast.unparse, arguments))})", {"re": re})
            if isinstance(compiled.pattern, str):
                methods = methods_of(tree, call) if function == "compile" else (function,)
                yield Found(f"{name}:{call.lineno}", compiled, methods)


PATTERNS = list(patterns())


def samples(tree: Any) -> Iterator[str]:
    """What can stand in a text that a pattern matches: characters of its sets, its literals, its runs of literals."""
    run = ""
    for operation, argument in tree:
        name = str(operation)
        if name == "LITERAL":
            run += chr(argument)
            yield chr(argument)
            continue
        if run:
            yield run
            run = ""
        if name == "IN":
            yield from members(argument)
        elif name in ("ANY", "NOT_LITERAL"):
            yield "x"
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from samples(branch)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from samples(argument[2])
        elif name == "SUBPATTERN":
            yield from samples(argument[3])
        elif name in ("ATOMIC_GROUP",):
            yield from samples(argument)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from samples(argument[1])
        elif name == "GROUPREF_EXISTS":
            for each in argument[1:]:
                yield from samples(each or [])
    if run:
        yield run


def members(found: Any) -> Iterator[str]:
    of_category = {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a", "CATEGORY_NOT_SPACE": "x"}
    for operation, argument in found:
        match str(operation):
            case "LITERAL":
                yield chr(argument)
            case "RANGE":
                yield chr(argument[0])
            case "CATEGORY":
                yield of_category.get(str(argument), "x")
            case "NEGATE":
                yield "x"


def beginning(tree: Any) -> Iterator[str]:
    """Texts that a pattern matches up to each of its repeats, so that a long text gets that far into it."""
    so_far = ""
    for operation, argument in tree:
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield so_far
        so_far += example([(operation, argument)])
    yield so_far


def example(tree: Any) -> str:
    """A text that a pattern may match, as short as can be."""
    made = ""
    for operation, argument in tree:
        match str(operation):
            case "LITERAL":
                made += chr(argument)
            case "IN":
                made += next(members(argument), "x")
            case "ANY" | "NOT_LITERAL":
                made += "x"
            case "BRANCH":
                made += example(argument[1][0])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                made += example(argument[2]) * max(1, argument[0])
            case "SUBPATTERN":
                made += example(argument[3])
            case "ATOMIC_GROUP":
                made += example(argument)
            case "GROUPREF_EXISTS":
                made += example(argument[1])
    return made


def flattened(tree: Any) -> list[Any]:
    """The pattern's pieces in a row, groups opened, of each choice the first."""
    row: list[Any] = []
    for operation, argument in tree:
        if str(operation) == "SUBPATTERN":
            row += flattened(argument[3])
        elif str(operation) == "GROUPREF_EXISTS":
            row += flattened(argument[1])
        else:
            row.append((operation, argument))
    return row


def attacks(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """Texts, by length: something that the pattern knows over and over, after a beginning, before what spoils it."""
    tree = list(re._parser.parse(pattern.pattern, pattern.flags))  # type: ignore[attr-defined]
    known = dict.fromkeys([*samples(tree), " ", "x", "1"])
    whole = example(tree)
    beginnings = list(dict.fromkeys(["", *beginning(flattened(tree))]))
    pumps = dict.fromkeys([*known, *map("".join, itertools.permutations(known, 2)), whole, whole[:-1], *beginnings])
    ends = dict.fromkeys(["", "\0", *(whole[at:] for at in range(max(0, len(whole) - 2), len(whole)))])
    parts = beginnings, list(filter(None, pumps)), list(ends)
    texts: Iterable[tuple[str, ...]] = itertools.product(*parts)
    if math.prod(map(len, parts)) > MOST:
        draw = random.Random(pattern.pattern)
        texts = (tuple(map(draw.choice, parts)) for _ in range(MOST))
    for first, pump, end in texts:
        yield functools.partial(_repeated, first, pump, end)


def _repeated(first: str, pump: str, end: str, size: int) -> str:
    return first + pump * (size // len(pump)) + end


def seconds(pattern: re.Pattern[str], method: str, text: str) -> float:
    """Of the processor, to go through a text."""
    go: Callable[[str], object] = getattr(pattern, method)
    if method in ("sub", "subn"):
        go = functools.partial(pattern.sub, "")
    begin = time.process_time()
    found = go(text)
    if method == "finditer":
        assert isinstance(found, Iterator)
        for _ in found:
            pass
    return time.process_time() - begin


def slow_text(pattern: re.Pattern[str], method: str) -> str | None:
    """The beginning of a text for which the pattern takes more than linear time; None if none was found."""
    linear = 0.0005  # what most take is some 0.00002
    for attack in attacks(pattern):
        if seconds(pattern, method, attack(TINY)) > 0.002 and seconds(pattern, method, attack(TINY)) > 0.002:
            return attack(TINY)
        short, long = attack(SHORT), attack(LONG)
        if seconds(pattern, method, short) > linear:
            quick = min(seconds(pattern, method, short) for _ in range(3))
            slow = min(seconds(pattern, method, long) for _ in range(3))
            if slow > 24 * quick:
                return short[:60]
            # Some patterns take that long for every text: the next one is measured if it takes longer still.
            linear = max(linear, 1.2 * quick)
    return None


@pytest.mark.parametrize("found", PATTERNS, ids=lambda found: found.where)
def test_no_text_takes_a_pattern_more_than_linear_time(found: Found) -> None:
    for method in found.methods:
        assert slow_text(found.pattern, method) is None, f"{found.pattern.pattern} with {method}"


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"\s*\u200e<[^<>\n]*>$|\s<This message was edited>$", "sub"),
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", "sub"),
        (r"(?:\w+,?)+;", "match"),
        (r"//.*@", "sub"),
        (r"\w+: \w+", "search"),
        (r"[ab]+[ac]+!", "fullmatch"),
    ],
)
def test_patterns_that_take_more_are_found_out(pattern: str, method: str) -> None:
    assert slow_text(re.compile(pattern), method) is not None


def test_all_the_patterns_of_the_package_are_looked_at() -> None:
    assert len(PATTERNS) > 30
