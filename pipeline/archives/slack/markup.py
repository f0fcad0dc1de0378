"""What Slack's texts mean: mentions, links and escaped characters as people see them.

The text of a message is escaped once, as a whole: & < > stand as entities, and what is left of < > is markup. So both
are read in one pass; a second would read "&amp;lt;" as "<", which nobody typed.
"""

import re
from collections.abc import Callable, Iterator

_MARKS = re.compile(r"<([^<>\n]{1,4000})>|&(amp|lt|gt);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
_EVERYBODY = frozenset({"here", "channel", "everyone", "group"})

Name = Callable[[str], str | None]
"""A name for an id."""


def readable(text: str, user: Name, channel: Name) -> str:
    """A text as Slack shows it.

    Args:
        user: names somebody by their id; None if nobody is known by it.
        channel: names a channel.
    """

    def shown(mark: re.Match[str]) -> str:
        if entity := mark[2]:
            return _ENTITIES[entity]
        return _shown(mark[1], user, channel)

    return _MARKS.sub(shown, text)


def _shown(mark: str, user: Name, channel: Name) -> str:
    what, _, label = mark.partition("|")
    label = _unescaped(label)
    match what[:1]:
        case "@":
            return "@" + (user(what[1:]) or label.removeprefix("@") or what[1:])
        case "#":
            return "#" + (label.removeprefix("#") or channel(what[1:]) or what[1:])
        case "!":
            return _command(what[1:], label)
    return label or _unescaped(what).removeprefix("mailto:").removeprefix("tel:")


def _command(what: str, label: str) -> str:
    name, _, rest = what.partition("^")
    if name in _EVERYBODY:
        return f"@{name}"
    if name == "subteam":
        return "@" + (label.removeprefix("@") or rest.partition("^")[0])
    return label or (f"@{name}" if name != "date" else "")


def _unescaped(text: str) -> str:
    return _MARKS.sub(lambda mark: _ENTITIES.get(mark[2] or "", mark[0]), text) if "&" in text else text


def text_of_blocks(blocks: object, user: Name, channel: Name) -> str:
    """The text of a message that has it in its blocks alone."""
    pieces = (_block(each, user, channel) for each in blocks) if isinstance(blocks, list) else ()
    return "\n".join(piece for piece in pieces if piece)


def _block(block: object, user: Name, channel: Name) -> str:
    if not isinstance(block, dict):
        return ""
    if block.get("type") == "rich_text":
        return _rich(block.get("elements"), user, channel)
    text = block.get("text")
    if isinstance(text, dict) and isinstance(text.get("text"), str):
        return readable(text["text"], user, channel)
    return ""


def _rich(elements: object, user: Name, channel: Name) -> str:
    parts: list[str] = []
    for each in elements if isinstance(elements, list) else ():
        if not isinstance(each, dict):
            continue
        if each.get("type") == "rich_text_list":
            items = each.get("elements")
            parts += [_line(item, user, channel) for item in items] if isinstance(items, list) else []
        else:
            parts.append(_line(each, user, channel))
    return "\n".join(part.strip("\n") for part in parts if part.strip())


def _line(section: object, user: Name, channel: Name) -> str:
    elements = section.get("elements") if isinstance(section, dict) else None
    return "".join(_inline(elements, user, channel)) if isinstance(elements, list) else ""


def _inline(elements: list[object], user: Name, channel: Name) -> Iterator[str]:
    for each in elements:
        if not isinstance(each, dict):
            continue
        match each.get("type"):
            case "user":
                yield "@" + (user(str(each.get("user_id"))) or str(each.get("user_id")))
            case "channel":
                yield "#" + (channel(str(each.get("channel_id"))) or str(each.get("channel_id")))
            case "usergroup":
                yield f"@{each.get('usergroup_id')}"
            case "broadcast":
                yield f"@{each.get('range')}"
            case "emoji":
                yield f":{each.get('name')}:"
            case "date":
                yield str(each.get("fallback") or "")
            case "link":
                yield str(each.get("text") or each.get("url") or "")
            case _:
                yield str(each.get("text") or "")
