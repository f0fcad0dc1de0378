"""Values that break things, and how a valid document is spoilt with them."""

from typing import Any

from hypothesis import strategies as st

NASTY: list[object] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, 5e-324, float("nan"), float("inf"), -0.0,
    "", "\0", "\ud800", "\udfff\ud800", "💥" * 100, "x" * 70_000, "../../etc/passwd", "auto", "file-", "ft:::",
    [], {}, [[]], [None], {"": None}, {"\ud800": "\ud800"}, {"type": "text"}, {"role": "user"},
]  # fmt: skip

FOREIGN = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"[" * 5000, b"\r\n", b"9" * 5000]

json_values = st.recursive(
    st.sampled_from(NASTY) | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def paths(value: object, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value inside a document lies."""
    found = [prefix]
    if isinstance(value, dict):
        items: list[tuple[Any, object]] = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in items:
        found += paths(inner, (*prefix, key))
    return found


def _changed(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], new)
    return copy


@st.composite
def spoilt(draw: st.DrawFn, valid: Any) -> Any:
    """A valid document with up to three of its values replaced, or keys added."""
    document = valid
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(document)))
        new = draw(json_values)
        target = document
        for key in path:
            target = target[key]
        if isinstance(target, dict) and draw(st.booleans()):
            new = {**target, draw(st.text(max_size=10) | st.sampled_from(sorted(map(str, target)) or [""])): new}
        document = _changed(document, path, new)
    return document


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes, cut off, flipped, repeated, or with something foreign in them."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["cut", "flip", "insert", "repeat", "remove"])):
            case "cut":
                del data[at:]
            case "flip" if data:
                data[at] = draw(st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.sampled_from(FOREIGN) | st.binary(max_size=16))
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case _:
                del data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


__all__ = ["NASTY", "json_values", "mutated", "paths", "spoilt"]
