"""How much a JSON text holds, told before it is parsed: a small text can hold millions of values.

A parsed value takes up to 500 bytes of memory and a complaint about it 20 µs, so half a megabyte of `1,1,1` would be
refused only after seconds. The count takes a time that is linear in the text's length and the memory of one block.
"""

import re

MAX_DEPTH = 64  # our own; no field that is taken nests deeper than 5
_BLOCK = 64 * 1024
_BRACKET = re.compile(r"[][{}]")


def excess(text: str, max_values: int) -> str | None:
    """Say in what `text` is too much, such as ``is nested more than 64 levels deep``; None if it is not.

    Of a text that is not JSON, what stands before the first error is counted.

    Args:
        max_values: how many items of arrays and members of objects it may hold, all together.
    """
    values = depth = 0
    in_string = False
    start = 0
    while start < len(text):
        block = text[start : start + _BLOCK]
        if (len(block) - len(block.rstrip("\\"))) % 2 and start + _BLOCK < len(text):
            block = block[:-1]  # an escape is not cut in two
        start += len(block)
        pieces = block.replace("\\\\", "").replace('\\"', "").split('"')
        structure = "".join(pieces[in_string::2])
        in_string ^= len(pieces) % 2 == 0
        values += structure.count(",") + structure.count("[") + structure.count("{")
        if values > max_values:
            return f"holds more than {max_values} values"
        for bracket in _BRACKET.findall(structure):
            depth += 1 if bracket in "[{" else -1
            if depth > MAX_DEPTH:
                return f"is nested more than {MAX_DEPTH} levels deep"
            if depth < 0:
                return None
    return None
