"""What is counted of a JSON text before it is parsed."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.server.http import bounds
from pipeline.server.http.bounds import MAX_DEPTH, excess

_texts = st.text(st.sampled_from('\\"[]{},:é\n'), max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


def _containers(value: object) -> Iterator[int]:
    """How many values each array and object of `value` holds, an empty one counting as one."""
    if isinstance(value, list | dict):
        yield max(1, len(value))
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


@settings(max_examples=200, deadline=None)
@given(value=_values, ascii_only=st.booleans(), block=st.integers(2, 40))
def test_exactly_the_values_of_a_text_are_counted_however_it_is_cut(
    value: object, ascii_only: bool, block: int
) -> None:
    count = sum(_containers(value))
    text = json.dumps(value, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_BLOCK", block)

        assert excess(text, count) is None
        if count:
            assert excess(text, count - 1) == f"holds more than {count - 1} values"


def test_nesting_is_counted_and_what_looks_like_it_in_a_string_is_not() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert excess(deepest, 1000) is None
    assert excess(f"[{deepest}]", 1000) == "is nested more than 64 levels deep"
    assert excess(json.dumps(["[" * 1000, '\\"["' * 1000]), 1000) is None


def test_what_is_no_json_is_left_to_the_parser() -> None:
    assert excess("]" * 10 + "[" * 1000, 5000) is None
    assert excess('"never closed ' + "[" * 1000, 10) is None
    assert excess("\\" * 1000, 10) is None
