"""Reads training examples that are ready: OpenAI's JSONL for chat fine-tuning, one example a line.

    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}

Each is checked by OpenAI's rules, and becomes a conversation that carries its line as it stands (`Session.example`).
Other common forms of training data are recognised, and answered with what makes this one of them.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.archives.lines import LONGEST_LINE, decoded, first_line, lines
from pipeline.archives.members import HEAD, Member, Members
from pipeline.archives.reader import Asked, Recognised
from pipeline.archives.told import Told, writable
from pipeline.errors import InputError
from pipeline.models.example_rules import check_example, text_of
from pipeline.sessions.session import LONGEST, OWNER, Message, Session
from pipeline.sessions.stream import Stream

SUFFIXES = (".jsonl", ".ndjson")
_SHOWN = "docs/jsonl.md shows what a line holds."
_DPO = "Run `finetune serve`, and give the file to its API for a job with the method dpo; docs/server.md says how."
_BEGINS = re.compile(rb"""\s*\{\s*"messages"\s*:\s*\[\s*\{\s*"(?:role|content|name|weight)"\s*:""")


class _Example(msgspec.Struct):
    messages: list[dict[str, Any]]


class _Completion(msgspec.Struct):
    prompt: str
    completion: str


class _Pair(msgspec.Struct):
    input: _Example
    preferred_output: list[Any]
    non_preferred_output: list[Any]


class _Said(msgspec.Struct, rename={"who": "from"}):
    who: str
    value: str


class _Conversations(msgspec.Struct):
    conversations: list[_Said]


class _Instruction(msgspec.Struct):
    instruction: str
    output: str


class _Form(NamedTuple):
    """Training data of another form.

    Attributes:
        line: what a line holds.
        what: what that is called.
        jq: makes an example of a line; None where none can be made.
    """

    line: "msgspec.json.Decoder[Any]"
    what: str
    jq: str | None


_FORMS = (
    _Form(
        msgspec.json.Decoder(_Completion),
        "prompts with completions, not chats to learn from",
        '{messages:[{role:"user",content:.prompt},{role:"assistant",content:.completion}]}',
    ),
    _Form(
        msgspec.json.Decoder(_Conversations),
        "training examples in ShareGPT's form",
        '{messages:[.conversations[]|{role:({human:"user",gpt:"assistant"}[.from]//.from),content:.value}]}',
    ),
    _Form(
        msgspec.json.Decoder(_Instruction),
        "training examples in Alpaca's form",
        '{messages:[{role:"user",content:([.instruction,.input]|map(strings|select(length>0))|join("\\n"))},'
        '{role:"assistant",content:.output}]}',
    ),
    _Form(msgspec.json.Decoder(_Pair), "pairs of answers to choose from (DPO), which the ten steps do not train", None),
)

_example = msgspec.json.Decoder(_Example)
_any = msgspec.json.Decoder()


def recognise(members: Members) -> Recognised | None:
    """See readers.Reading.

    Raises:
        InputError: it holds training data of another form.
    """
    if found := _read_of(members):
        return Recognised("training examples in OpenAI's form", f"the keys of the first line of {found[0].name}")
    if members.only is not None:
        _refuse_other_forms(members.only)
    return None


def _read_of(members: Members) -> list[Member]:
    return [each for each in members if (each is members.only or each.suffix in SUFFIXES) and _is_examples(each)]


def _is_examples(member: Member) -> bool:
    line = first_line(member)
    try:
        messages = decoded(line, _example).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _BEGINS.match(line) is not None  # damaged, or longer than what was looked at
    return any("role" in each for each in messages)


def _refuse_other_forms(only: Member) -> None:
    line = first_line(only)
    for form in _FORMS:
        try:
            decoded(line, form.line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        raise InputError(str(only), form.what, fix=_DPO if form.jq is None else _write_with(form.jq))
    text = only.head(HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    if _BEGINS.match(text.removeprefix(b"[")):
        selected = ".[]" if text.startswith(b"[") else "."
        raise InputError(str(only), "training examples, but not one on each line", fix=_write_with(selected))


def _write_with(jq: str) -> str:
    return f"Write each on a line of its own with `jq -c '{jq}' FILE > train.jsonl`, and give that."


def read(members: Members, told: Told, _asked: Asked) -> Iterator[Stream]:
    """See readers.Reading."""
    found = _read_of(members)
    if not found and members.only is not None:
        found = [members.only]  # to say what is wrong with its first line
    told.rows = 0
    for member in found:
        for number, line in lines(member):
            messages = _messages(f"{member}:{number}", line)
            told.rows += len(messages)
            session = Session(f"{member.name}:{number}", "direct", None, [], example=(line or b"").decode())
            yield Stream(session, iter([messages]))
    if not told.rows:
        raise InputError(str(members.path), "no training examples", fix=_SHOWN)


def _messages(where: str, line: bytes | None) -> list[Message]:
    """What a line holds, to be counted and shown; roles but the assistant's are the user's here.

    Raises:
        InputError: it breaks one of OpenAI's rules.
    """
    if line is None:
        raise _wrong(where, f"a line of more than {LONGEST_LINE:,} characters")
    try:
        example = _any.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong(where, str(error)) from None
    except RecursionError:
        raise _wrong(where, "JSON is nested too deeply") from None
    if broken := check_example(example):
        raise _wrong(where, broken)
    found = []
    for number, each in enumerate(example["messages"], start=1):
        is_own, text = each["role"] == "assistant", writable(text_of(each))
        if len(text) > LONGEST:
            raise _wrong(where, f"message {number}: more than a million characters")
        found.append(Message(OWNER if is_own else each["role"], is_own, None, text, "assistant" if is_own else "user"))
    return found


def _wrong(where: str, what: str) -> InputError:
    return InputError(where, f"no training example ({what})", fix=_SHOWN)
