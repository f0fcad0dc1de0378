"""OpenAI's rules for one example of a chat fine-tuning file.

Source: OpenAI API reference, chat fine-tuning input (FineTuneChatRequestInput and the chat message schemas). An example
may end with a user's turn: it teaches nothing after its last assistant turn, but no documented rule forbids it.
"""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.wording import visible

_EXAMPLE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
_PREFERENCE_KEYS = ("input", "preferred_output", "non_preferred_output")
_MESSAGE_KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "weight", "refusal", "audio", "tool_calls", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
_SPEAKERS = ("system", "user", "assistant")
_LISTS = ("tools", "functions")


def check_example(example: object) -> str | None:
    """Return the first rule that `example`, one decoded line of JSON, breaks; None if it is good.

    The reason quotes no content. Where one message is at fault it begins with "message N: ", counted from 1.
    """
    if not isinstance(example, dict):
        return "not an object"
    if unknown := example.keys() - _EXAMPLE_KEYS:
        return f"unknown key {_shown(min(unknown, key=str))}"
    for key in _LISTS:
        if example.get(key) is not None and not isinstance(example[key], list):
            return f"`{key}` is not a list"
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        return "`messages` is not a list with at least one message"
    for number, message in enumerate(messages, start=1):
        if broken := _broken_in_message(message):
            return f"message {number}: {broken}"
    if not any(message["role"] == "assistant" and message.get("weight") != 0 for message in messages):
        return "no assistant message to learn from"
    return None


def check_preference(example: object) -> str | None:
    """Return the first rule that `example`, one decoded line of JSON, breaks as a pair of answers for DPO.

    Like `check_example`. Source: OpenAI's guide to direct preference optimisation: one prompt, and the last message of
    the assistant in two versions.
    """
    if not isinstance(example, dict):
        return "not an object"
    for key in _PREFERENCE_KEYS:
        if key not in example:
            return f"no `{key}`"
    if unknown := example.keys() - set(_PREFERENCE_KEYS):
        return f"unknown key {_shown(min(unknown, key=str))}"
    asked = example["input"]
    if not isinstance(asked, dict):
        return "`input` is not an object"
    if unknown := asked.keys() - _EXAMPLE_KEYS:
        return f"unknown key {_shown(min(unknown, key=str))} in `input`"
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return "`input.messages` is not a list with at least one message"
    for number, message in enumerate(messages, start=1):
        if broken := _broken_in_message(message):
            return f"message {number} of `input`: {broken}"
    for key in ("preferred_output", "non_preferred_output"):
        if broken := _broken_in_answer(example[key]):
            return f"`{key}`: {broken}"
    return None


def _broken_in_answer(answer: object) -> str | None:
    if not isinstance(answer, list) or len(answer) != 1:
        return "not a list of one message"
    if broken := _broken_in_message(answer[0]):
        return broken
    return None if answer[0]["role"] == "assistant" else "its message is not the assistant's"


def _broken_in_message(message: object) -> str | None:
    if not isinstance(message, dict):
        return "not an object"
    role = message.get("role")
    if role in _SPEAKERS and len(message) == 2 and isinstance(message.get("content"), str):
        return None  # nearly every one
    if not isinstance(role, str) or role not in _MESSAGE_KEYS:
        return f"`role` is not one of {', '.join(_MESSAGE_KEYS)}"
    if "weight" in message and role != "assistant":
        return "`weight` is for assistant messages only"
    if unknown := message.keys() - _MESSAGE_KEYS[role]:
        return f"unknown key {_shown(min(unknown, key=str))} for role {role}"
    if role == "assistant":
        return _broken_in_assistant(message)
    return _broken_in_content(message) or _broken_in_reference(message, role)


def _broken_in_assistant(message: dict[str, object]) -> str | None:
    weight = message.get("weight")
    if weight is not None and (type(weight) is not int or weight not in (0, 1)):
        return "`weight` is neither 0 nor 1"
    calls = message.get("tool_calls")
    if calls is not None and (not isinstance(calls, list) or not calls):
        return "`tool_calls` is not a list with at least one call"
    has_call = bool(calls) or message.get("function_call") is not None or message.get("refusal") is not None
    if message.get("content") is None and has_call:
        return None
    return _broken_in_content(message)


def _broken_in_content(message: dict[str, object]) -> str | None:
    content = message.get("content")
    if content is None:
        return "no `content`"
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not content:
        return "`content` is neither text nor a list of parts"
    return None if all(map(_is_part, content)) else "a part of `content` has no `type`, or is text without `text`"


def _is_part(part: object) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    return part["type"] != "text" or isinstance(part.get("text"), str)


def _broken_in_reference(message: dict[str, object], role: str) -> str | None:
    """A tool's answer names the call, a function's the function; other names are optional."""
    needed = {"tool": "tool_call_id", "function": "name"}.get(role)
    if needed is not None and not isinstance(message.get(needed), str):
        return f"no `{needed}`, which role {role} needs"
    return None if isinstance(message.get("name"), str | None) else "`name` is not text"


def _shown(key: object) -> str:
    text = visible(str(key))
    return f"`{text if len(text) <= 40 else text[:39] + '…'}`"


def text_of(message: Mapping[str, Any]) -> str:
    """What a person reads of a message that keeps the rules: its text, and in brackets what else is in it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [{"type": "text", "text": content}]
    said = [part["text"] if part["type"] == "text" else f"[{part['type']}]" for part in parts]
    for call in [*(message.get("tool_calls") or ()), message.get("function_call")]:
        if call is not None:
            said.append(f"[calls {json.dumps(call, ensure_ascii=False)}]")
    if message.get("refusal"):
        said.append(str(message["refusal"]))
    return "".join(said)
