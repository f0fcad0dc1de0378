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


class Frames(NamedTuple):
    """The texts between the contents.

    Attributes:
        lead: before the first user's turn, where there is no system prompt.
        system: before and after the system prompt; None where the template takes none.
        answer: between a user's turn and the assistant's next one, which `header` begins where it is asked for.
        next: between an assistant's turn and the user's next one.
        end: after the last turn, the assistant's.
        trims: by role, whether white space is taken off the left and the right: "", "\\n", or None for all.
    """

    lead: str
    system: tuple[str, str] | None
    answer: str
    header: str
    next: str
    end: str
    trims: dict[str, tuple[str | None, str | None]]

    def around(self, roles: tuple[Role, ...], *, answer_next: bool) -> list[str] | None:
        """What stands before, between and after the contents; None where it takes no system prompt."""
        parts = [self.lead]
        turns = list(roles)
        if turns[0] == "system":
            if self.system is None:
                return None
            parts, turns = list(self.system), turns[1:]
        for before, after in itertools.pairwise(turns):
            parts.append(self.answer if (before, after) == ("user", "assistant") else self.next)
        return [*parts, self.header if answer_next else self.end]

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

        no_system = "{{- raise_exception('this model takes no system prompt') -}}"
        system = (
            no_system
            if self.system is None
            else said(self.system[0]) + content("messages[0]", "system") + said(self.system[1])
        )
        return (
            "{%- if messages[0]['role'] == 'system' -%}"
            + system
            + "{%- set turns = messages[1:] -%}{%- else -%}"
            + said(self.lead)
            + "{%- set turns = messages -%}{%- endif -%}"
            + "{%- for turn in turns -%}{%- if turn['role'] == 'assistant' -%}"
            + said(self.answer)
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

    def go(self, bos: str) -> str:
        """As Ollama takes it, which writes the token that begins a text (`bos`) by itself."""

        def said(text: str) -> str:
            return f"{{{{ {json.dumps(text.removeprefix(bos), ensure_ascii=False)} }}}}"

        lead = said(self.lead)
        if self.system is not None:
            lead = (
                f"{{{{ if .System }}}}{said(self.system[0])}{{{{ .System }}}}{said(self.system[1])}"
                f"{{{{ else }}}}{lead}{{{{ end }}}}"
            )
        return (
            f"{lead}{{{{ $first := true }}}}{{{{ $asked := true }}}}{{{{ range .Messages }}}}"
            f'{{{{ if eq .Role "assistant" }}}}{said(self.answer)}{{{{ .Content }}}}{{{{ $asked = false }}}}'
            f'{{{{ else if eq .Role "user" }}}}{{{{ if not $first }}}}{said(self.next)}{{{{ end }}}}{{{{ .Content }}}}'
            f"{{{{ $first = false }}}}{{{{ $asked = true }}}}{{{{ end }}}}{{{{ end }}}}"
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
    return found


def _parts(layout: Layout, roles: tuple[Role, ...], *, answer_next: bool) -> list[str]:
    return PLACEHOLDER.split(layout.render(roles, answer_next=answer_next))[::2]


def _trim(layout: Layout, role: Role) -> tuple[str | None, str | None]:
    left, _, right = layout.content(ChatMessage(role, "\n\t\nx\n\t\n")).partition("x")
    kinds: dict[str, str | None] = {"\n\t\n": "", "\t\n": "\n", "\n\t": "\n", "": None}
    return kinds[left], kinds[right]
