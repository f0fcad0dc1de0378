"""The process that renders a chat template: `python -m pipeline.models.template_process`.

A template is a program by whoever made the model. jinja2's sandbox keeps it from files and from Python, but not from
taking all time and memory: here the system does, by limits on the process. It sees no chats, only who speaks when.

On stdin one JSON object a line, first a Template and then any number of Requests; on stdout a Rendered for each, after
a MARK: Python's start-up files may print whatever they like.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from pipeline.process.privacy import settle_process

SECONDS = 5
"""Of processor time for one conversation. Ordinary templates take a few microseconds a message."""
MEMORY = 512 * 1024 * 1024
"""Bytes of the whole process, of which Python and jinja2 take a tenth."""
LONGEST, LONGEST_TURN = 1_000_000, 1_000
"""Characters that a template may write by itself: around a conversation, and around each of its turns."""

TODAY = datetime(2024, 7, 26)
"""What every template takes for today: where Llama 3.2's own falls back to. With the real date, the same job would make
other tokens tomorrow, and a model would be asked with another system prompt than it was trained with."""

MARK = b"\x1e"
"""Begins an answer (ASCII's record separator, which JSON has only as an escape)."""


THINKING = {"enable_thinking": False, "thinking": False}
"""What templates call the switch that lets a model think before it answers; those without one do not look at it."""


class Template(msgspec.Struct, frozen=True):
    """A template's source, and the words that it may use besides the conversation, such as `bos_token`."""

    source: str
    words: Mapping[str, object]


class Request(msgspec.Struct, frozen=True):
    """A conversation of these roles, whose contents are placeholders, and whether the assistant is to answer next.

    Attributes:
        edge: white space before and after each placeholder, to see what the template does with it.
    """

    roles: tuple[str, ...]
    answer_next: bool
    edge: str = ""


class Rendered(msgspec.Struct, frozen=True):
    """What came of a request: the text, or why there is none.

    Attributes:
        refused: the template's own words, or jinja2's about the template.
        failed: what else went wrong in it.
    """

    text: str | None = None
    refused: str | None = None
    failed: str | None = None


def placeholder(index: int) -> str:
    """What stands for the content of a message: private use characters, which no template writes."""
    return f"\ue000{index}\ue001"


def main() -> None:
    """Serve until stdin ends."""
    settle_process()
    with contextlib.suppress(OSError, ValueError):  # macOS takes no limit on memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    template = msgspec.json.decode(sys.stdin.buffer.readline(), type=Template)
    compiled: jinja2.Template | None = None
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        _limit_time()
        try:
            compiled = compiled or _environment().from_string(template.source)
            answer = _render(compiled, template.words, request)
        except (jinja2.TemplateSyntaxError, SecurityError) as error:
            answer = Rendered(failed=str(error)[:300])
        except jinja2.TemplateError as error:
            answer = Rendered(refused=str(error)[:300])
        except MemoryError:
            answer = Rendered(failed=f"it takes more than {MEMORY >> 20} MiB of memory")
        except Exception as error:  # noqa: BLE001  whatever a template does: 1/0, say
            answer = Rendered(failed=f"{type(error).__name__}: {str(error)[:300]}")
        sys.stdout.buffer.write(MARK + msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


def _render(template: jinja2.Template, words: Mapping[str, object], request: Request) -> Rendered:
    messages = [
        {"role": role, "content": f"{request.edge}{placeholder(index)}{request.edge}"}
        for index, role in enumerate(request.roles)
    ]
    text = template.render(
        messages=messages, tools=None, documents=None, add_generation_prompt=request.answer_next, **THINKING, **words
    )
    most = LONGEST + LONGEST_TURN * len(messages)
    if len(text) > most:
        return Rendered(
            failed=f"it writes {len(text)} characters around {len(messages)} messages, at most {most} are read"
        )
    return Rendered(text=text)


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _environment() -> ImmutableSandboxedEnvironment:
    """As transformers makes it (utils/chat_template_utils.py), whose import takes seconds and hundreds of megabytes."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise, strftime_now=_strftime_now, dict=_Dict(), namespace=_Namespace)
    return environment


class _Generation(Extension):
    """{% generation %} marks what the assistant says; here it is known otherwise."""

    tags = frozenset({"generation"})  # type: ignore[assignment]  # jinja2 types it as a set, and only looks into it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block without its marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(layout: str) -> str:
    return TODAY.strftime(layout)


class _Dict:
    """`dict(...)`, without what its type would give away."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """As dict's."""
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """`namespace(...)`, whose names do not begin with an underscore."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"{name!r} is no name for a template")
        super().__setitem__(name, value)


if __name__ == "__main__":
    main()
