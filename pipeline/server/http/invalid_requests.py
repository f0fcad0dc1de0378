"""What is wrong with a request that does not fit its model: in words, by the field's path, and by OpenAI's code."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

UNREADABLE = "We could not parse the JSON body of your request."
NO_OBJECT = "The body must be a JSON object, sent with `Content-Type: application/json`."

# Kinds of pydantic's errors, and codes of the live API (seen in published logs).
_CODES = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "string_too_short": "empty_string",
    "string_too_long": "string_above_max_length",
    "literal_error": "invalid_value",
    "finite_number": "invalid_value",
}
_LENGTHS = {"List": ("empty_array", "array_above_max_length"), "Dictionary": ("", "object_above_max_properties")}
_LIMITS = {"ge": "below_min", "gt": "below_min", "le": "above_max", "lt": "above_max"}
# Of a field that takes one of several types each type complains, and these only say that a value is of another one.
_OTHER_TYPE = ("invalid_type", "invalid_value")

Problem = Mapping[str, Any]  # Any: as pydantic hands it out


class Complaint(msgspec.Struct, frozen=True):
    """The one thing that a refusal names."""

    message: str
    param: str | None = None
    code: str | None = None


def complaint(found: Sequence[Problem], body: object) -> Complaint:
    """Say what to mend first; never repeats what stood there.

    Args:
        found: what pydantic complains of; a `loc` begins with where the value stood: ``body``, ``query``.
        body: the body as it was parsed.
    """
    problems = [(_field(problem["loc"], problem["type"], body), problem) for problem in found]
    param = _deepest([field for field, _ in problems])
    if param is None:
        # Of an object nothing can be named where a key of it is no text, such as half a surrogate pair.
        return Complaint(UNREADABLE if isinstance(body, dict) else NO_OBJECT)
    own = [problem for field, problem in problems if field == param]
    codes = [_code(problem) for problem in own]
    code = next((code for code in codes if code not in _OTHER_TYPE), codes[0])
    if code == "unknown_parameter":
        return Complaint(f"Unrecognized request argument supplied: {param}", param, code)
    # The branches of a union each complain about the same field: say what every one of them would take.
    complaints = dict.fromkeys(str(problem["msg"]) for problem in own)
    return Complaint(f"{param}: {', or '.join(complaints)}.", param, code)


def _code(problem: Problem) -> str:
    kind, limits = str(problem["type"]), problem.get("ctx", {})
    if kind in ("too_short", "too_long"):
        return _LENGTHS[limits["field_type"]][kind == "too_long"]
    for name, side in _LIMITS.items():
        if name in limits:
            return f"{'decimal' if isinstance(limits[name], float) else 'integer'}_{side}_value"
    return _CODES.get(kind, "invalid_type")


def _deepest(fields: list[str | None]) -> str | None:
    """The first field that is wrong, or what inside it is: of a list that might have been a string, say the item."""
    inside = [field for field in fields if field is not None and field.startswith(fields[0] or "")]
    return max(inside, key=lambda field: field.count(".") + field.count("["), default=None)


def _field(loc: Sequence[str | int], kind: str, body: object) -> str | None:
    """The path of a field as OpenAI writes it, ``messages[0].role``; union branches in `loc` are not part of it."""
    path = ""
    value = body
    for part in loc[1:]:
        inside = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if not inside and loc[0] == "body" and not (kind == "missing" and part == loc[-1]):
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        value = value[part] if inside else None  # type: ignore[index]  # `inside` has looked
    return path.removeprefix(".") or None
