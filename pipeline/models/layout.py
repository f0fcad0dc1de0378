"""What a chat template writes around the contents, made the same for training and for serving.

Templates of models that can think are not: Qwen3's puts an empty thought before the answer that is asked for, and
before the last of a conversation's answers, but leaves it out before the earlier ones. A model that learns all answers
of a conversation at once would see most of them where it is never asked for one. So the empty thought stands before
each answer, in training and in serving alike, as it does in TRL's templates for training (trl/chat_templates).
"""

import functools
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.models.chat_template import ChatTemplate
from pipeline.models.messages import ChatMessage, Role
from pipeline.models.template_process import placeholder

PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")  # private use characters: no template writes them

THINK, END_THINK = "<think>", "</think>"
_THOUGHT = re.compile(rf"\s*(?:{THINK}\s*)?(?:{END_THINK}\s*)?")

# White space around a content: what the template leaves of it tells whether it takes off all, line breaks, or nothing.
_EDGE = "\n\t\n"
_TAKEN_BEFORE: dict[str, str | None] = {_EDGE: "", "\t\n": "\n", "": None}
_TAKEN_AFTER: dict[str, str | None] = {_EDGE: "", "\n\t": "\n", "": None}


class _Thought(NamedTuple):
    """What stands between the header of an assistant's turn and its content.

    Attributes:
        written: what the template writes there, now this, now that; the longest first.
        wanted: what belongs there: a thought that has ended, or nothing.
    """

    written: tuple[str, ...] = ()
    wanted: str = ""


class Layout:
    """One template's way to write conversations."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    def render(self, roles: Sequence[str], *, answer_next: bool) -> str:
        """A conversation with a placeholder for each content; no answer is begun with a thought that has not ended.

        Raises:
            InputError: as ChatTemplate.render.
        """
        rendered = self._template.render(roles, answer_next=answer_next)
        if not self._thought.wanted:
            return rendered
        parts = PLACEHOLDER.split(rendered)
        for at in range(1, len(parts), 2):
            if roles[int(parts[at])] == "assistant":
                parts[at - 1] = self._with_ended_thought(parts[at - 1])
            parts[at] = placeholder(int(parts[at]))
        if answer_next:
            parts[-1] = self._with_ended_thought(parts[-1])
        return "".join(parts)

    def content(self, message: ChatMessage) -> str:
        """A message's content without the white space that the template takes off its ends."""
        before, after = self._taken.get(message.role, ("", ""))
        text = message.content
        if before != "":
            text = text.lstrip(before)
        return text if after == "" else text.rstrip(after)

    @functools.cached_property
    def thinks(self) -> bool:
        """Whether the template knows thoughts."""
        return any(THINK in header or END_THINK in header for header in self._headers)

    def _with_ended_thought(self, header: str) -> str:
        for written in self._thought.written:
            if header.endswith(written):
                header = header[: len(header) - len(written)]
                break
        return header + self._thought.wanted

    @functools.cached_property
    def _headers(self) -> list[str]:
        """What comes before an assistant's content: the last of a conversation, an earlier one, one to be written."""
        last = self._around(("user", "assistant"))
        earlier = self._around(("user", "assistant", "user", "assistant"))
        asked = self._around(("user",), answer_next=True)
        return [parts[1] for parts in (last, earlier, asked) if parts]

    @functools.cached_property
    def _thought(self) -> _Thought:
        if not self.thinks:
            return _Thought()
        same = min(self._headers, key=len)
        written = sorted({header[len(same) :] for header in self._headers}, key=len, reverse=True)
        if not all(header.startswith(same) for header in self._headers) or not all(map(_THOUGHT.fullmatch, written)):
            return _Thought()  # they differ in more than that
        wanted = written[0]
        if (same + wanted).count(THINK) > (same + wanted).count(END_THINK):
            wanted += f"\n{END_THINK}\n\n"  # as Qwen3's and DeepSeek's templates end an empty one
        return _Thought(tuple(filter(None, written)), wanted)

    @functools.cached_property
    def _taken(self) -> dict[Role, tuple[str | None, str | None]]:
        """By role, what the template takes off before and after a content, as `str.strip` is told it; "" is nothing."""
        roles: tuple[Role, ...] = ("system", "user", "assistant")
        if not self._around(roles):
            roles = ("user", "assistant")
        before: dict[Role, str | None] = {}
        after: dict[Role, str | None] = {}
        around = zip(self._around(roles), self._around(roles, edge=_EDGE), strict=False)
        nothing: list[tuple[str, str | None]] = [("", None)]
        for at, (text, padded) in enumerate(around):
            ends = list(_TAKEN_AFTER.items()) if at else nothing
            begins = list(_TAKEN_BEFORE.items()) if at < len(roles) else nothing
            for (left, taken_after), (right, taken_before) in itertools.product(ends, begins):
                if left + text + right == padded:
                    if at:
                        after[roles[at - 1]] = taken_after
                    if at < len(roles):
                        before[roles[at]] = taken_before
        return {role: (before.get(role, ""), after.get(role, "")) for role in roles}

    def _around(self, roles: Sequence[str], *, answer_next: bool = False, edge: str = "") -> list[str]:
        """What the template writes before, between and after the contents; nothing if it does not write it in order."""
        try:
            parts = PLACEHOLDER.split(self._template.render(roles, answer_next=answer_next, edge=edge))
        except InputError:  # whoever asks for such a conversation is told
            return []
        return parts[::2] if parts[1::2] == list(map(str, range(len(roles)))) else []
