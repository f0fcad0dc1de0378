"""What a chat template writes around the contents as the model was trained with it, as a Jinja and as a Go template.

A model's own template may write something else than it was trained with: today's date, or a thought to be begun.
Ollama's are Go's text/template over .System and .Messages (ollama/docs/template.md), where .Messages has the system
prompt as well.
"""

import itertools
import json
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.models.hub_cache import title
from pipeline.models.layout import PLACEHOLDER, Layout
from pipeline.models.messages import ChatMessage, Role
from pipeline.models.tokenizer_files import load_template

_CHECKED: tuple[tuple[tuple[Role, ...], bool], ...] = (
    (("user",), True),
    (("user", "assistant"), False),
    (("user", "assistant", "user", "assistant", "user"), True),
    (("user", "assistant", "user", "assistant"), False),
    (("system", "user"), True),
    (("system", "user", "assistant"), False),
    (("system", "user", "assistant", "user", "assistant", "user"), True),
)
_OPENED: tuple[tuple[tuple[Role, ...], bool], ...] = (
    (("assistant", "user"), True),
    (("assistant", "user", "assistant"), False),
    (("assistant", "user", "assistant", "user"), True),
)


class Frames(NamedTuple):
    """The texts between the contents.

    Attributes:
        lead: before the first user's turn, where there is no system prompt.
        system: before and after the system prompt; None where the template takes none.
        answer: between a user's turn and the assistant's next one, which `header` begins where it is asked for.
        next: between an assistant's turn and the user's next one.
        end: after the last turn, the assistant's.
        trims: by role, whether white space is taken off the left and the right: "", "\\n", or None for all.
        opened: before the first turn where it is the assistant's, without a system prompt and after one; None where
            the template takes no such conversation.
    """

    lead: str
    system: tuple[str, str] | None
    answer: str
    header: str
    next: str
    end: str
    trims: dict[str, tuple[str | None, str | None]]
    opened: tuple[str | None, str | None] = (None, None)

    def around(self, roles: tuple[Role, ...], *, answer_next: bool) -> list[str] | None:
        """What stands before, between and after the contents; None where it takes no such conversation."""
        turns = list(roles)
        parts: list[str | None] = [self.lead]
        if turns[0] == "system":
            if self.system is None:
                return None
            parts, turns = list(self.system), turns[1:]
        if turns[:1] == ["assistant"]:
            parts[-1] = self.opened[len(parts) - 1]
        for before, after in itertools.pairwise(turns):
            parts.append(self.answer if (before, after) == ("user", "assistant") else self.next)
        parts.append(self.header if answer_next else self.end)
        written = [part for part in parts if part is not None]
        return written if len(written) == len(parts) else None

    def jinja(self) -> str:
        """As transformers and llama.cpp take it."""

        def said(text: str) -> str:
            return f"{{{{- {json.dumps(text, ensure_ascii=False)} -}}}}"

        def content(variable: str, role: str) -> str:
            shown = f"{variable}['content']"
            for side, chars in zip(("lstrip", "rstrip"), self.trims.get(role, ("", "")), strict=True):
                if chars != "":
                    shown += f".{side}({'' if chars is None else json.dumps(chars)})"
            return f"{{{{- {shown} -}}}}"

        def refused(what: str) -> str:
            return f"{{{{- raise_exception({json.dumps(what)}) -}}}}"

        def opening(by_user: str, opened: str | None) -> str:
            by_assistant = refused("with this model the user speaks first") if opened is None else said(opened)
            return f"{{%- if opens -%}}{by_assistant}{{%- else -%}}{said(by_user)}{{%- endif -%}}"

        if self.system is None:
            system = refused("this model takes no system prompt")
        else:
            before, after = self.system
            system = said(before) + content("messages[0]", "system") + opening(after, self.opened[1])
        return (
            "{%- set has_system = messages[0]['role'] == 'system' -%}"
            + "{%- set turns = messages[1:] if has_system else messages -%}"
            + "{%- set opens = turns|length > 0 and turns[0]['role'] == 'assistant' -%}"
            + f"{{%- if has_system -%}}{system}{{%- else -%}}{opening(self.lead, self.opened[0])}{{%- endif -%}}"
            + "{%- for turn in turns -%}{%- if turn['role'] == 'assistant' -%}{%- if not loop.first -%}"
            + said(self.answer)
            + "{%- endif -%}"
            + content("turn", "assistant")
            + "{%- else -%}{%- if not loop.first -%}"
            + said(self.next)
            + "{%- endif -%}"
            + content("turn", "user")
            + "{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
            + said(self.header)
            + "{%- else -%}"
            + said(self.end)
            + "{%- endif -%}"
        )

    def go(self, system: str | None = None) -> str:
        """As Ollama takes it, on one line of printable characters.

        Args:
            system: the system prompt where the conversation has none.
        """

        def said(text: str) -> str:
            return f"{{{{ {_go_string(text)} }}}}"

        def opening(by_user: str, opened: str | None) -> str:
            # Go's templates cannot refuse: what stands before the user's first turn is the nearest that there is.
            by_assistant = said(by_user if opened is None else opened)
            return f'{{{{ if eq $opener "assistant" }}}}{by_assistant}{{{{ else }}}}{said(by_user)}{{{{ end }}}}'

        lead = opening(self.lead, self.opened[0])
        if self.system is not None:
            before, after = self.system
            usual = f"{{{{ if not $system }}}}{{{{ $system = {_go_string(system)} }}}}{{{{ end }}}}" if system else ""
            lead = (
                f"{{{{ $system := .System }}}}{usual}{{{{ if $system }}}}{said(before)}{{{{ $system }}}}"
                f"{opening(after, self.opened[1])}{{{{ else }}}}{lead}{{{{ end }}}}"
            )
        return (
            '{{ $opener := "" }}{{ range .Messages }}{{ if and (eq $opener "") (ne .Role "system") }}'
            f"{{{{ $opener = .Role }}}}{{{{ end }}}}{{{{ end }}}}{lead}"
            "{{ $first := true }}{{ $asked := true }}{{ range .Messages }}"
            f'{{{{ if eq .Role "assistant" }}}}{{{{ if not $first }}}}{said(self.answer)}{{{{ end }}}}'
            "{{ .Content }}{{ $first = false }}{{ $asked = false }}"
            f'{{{{ else if eq .Role "user" }}}}{{{{ if not $first }}}}{said(self.next)}{{{{ end }}}}{{{{ .Content }}}}'
            "{{ $first = false }}{{ $asked = true }}{{ end }}{{ end }}"
            f"{{{{ if $asked }}}}{said(self.header)}{{{{ end }}}}"
        )


def frames_of(directory: Path) -> Frames:
    """Find out what a base model's template writes, and see that it always does.

    Raises:
        InputError: what it writes depends on more than who speaks.
    """
    layout = Layout(load_template(directory))
    lead, header = _parts(layout, ("user",), answer_next=True)
    _, answer, following, _ = _parts(layout, ("user", "assistant", "user"), answer_next=True)
    *_, end = _parts(layout, ("user", "assistant"), answer_next=False)
    system = None
    try:
        before, after, _ = _parts(layout, ("system", "user"), answer_next=True)
        system = (before, after)
    except InputError:  # Gemma 1 and 2, Mistral 0.1
        pass
    trims = {role: _trim(layout, role) for role in ("system", "user", "assistant")}
    found = Frames(lead, system, answer, header, following, end, trims)
    for roles, answer_next in _CHECKED:
        if roles[0] == "system" and system is None:
            continue
        if found.around(roles, answer_next=answer_next) != _parts(layout, roles, answer_next=answer_next):
            raise InputError(
                f"base model {title(directory)}",
                "what its chat template writes depends on more than who speaks, so no other program could be told it",
                got=", ".join(roles),
                fix="Export with `--to adapter`.",
            )
    return found._replace(opened=(_opened(layout, found, ()), _opened(layout, found, ("system",))))


def _opened(layout: Layout, found: Frames, system: tuple[Role, ...]) -> str | None:
    """What stands before the assistant's first turn; None where the template refuses, drops or changes such a turn."""
    opening: str | None = None
    try:
        for turns, answer_next in _OPENED:
            roles = (*system, *turns)
            parts = _parts(layout, roles, answer_next=answer_next)
            if opening is None:
                opening = parts[len(system)]
            if found._replace(opened=(opening, opening)).around(roles, answer_next=answer_next) != parts:
                return None
    except InputError:  # Gemma, Mistral
        return None
    return opening


def _go_string(text: str) -> str:
    """As Go's source and templates write it; a Modelfile loses what is not printable (ollama/parser/parser.go)."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def _parts(layout: Layout, roles: tuple[Role, ...], *, answer_next: bool) -> list[str]:
    return PLACEHOLDER.split(layout.render(roles, answer_next=answer_next))[::2]


def _trim(layout: Layout, role: Role) -> tuple[str | None, str | None]:
    left, _, right = layout.content(ChatMessage(role, "\n\t\nx\n\t\n")).partition("x")
    kinds: dict[str, str | None] = {"\n\t\n": "", "\t\n": "\n", "\n\t": "\n", "": None}
    return kinds[left], kinds[right]
