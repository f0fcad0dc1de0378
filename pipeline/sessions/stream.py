"""Sessions of any length, block by block: written and read without ever being held whole.

On disk they are the same lines as in session.py. What is read as a stream was written by `write_stream`; the byte
sequences at which a line is cut cannot stand within its texts, where JSON has no bare quotation mark.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import msgspec

from pipeline.errors import InputError
from pipeline.sessions.session import Message, Session

BLOCK = 1 << 20
"""Bytes of a line that are read at a time."""

_MESSAGES = b'"messages":['
_BETWEEN = b'},{"sender":'
_END = b'}],"people":'

_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_session = msgspec.json.Decoder(Session)
_messages = msgspec.json.Decoder(list[Message])


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes | bytearray, /) -> object:
        """Append `data`."""


class Stream(NamedTuple):
    """A session on its way.

    Attributes:
        session: without messages; `people` may still grow while the blocks are read.
        blocks: its messages, in order.
    """

    session: Session
    blocks: Iterator[list[Message]]


def streamed(session: Session) -> Stream:
    """A session that is there, as a stream."""
    return Stream(msgspec.structs.replace(session, messages=[]), iter([session.messages]))


def whole(stream: Stream) -> Session:
    """All of a stream, as a session."""
    messages = [message for block in stream.blocks for message in block]
    return msgspec.structs.replace(stream.session, messages=messages)


def write_stream(file: Sink, stream: Stream) -> int:
    """Write a session as one line; nothing where it has no messages. Returns how many it has."""
    count = 0
    encoded = bytearray()
    for block in stream.blocks:
        if not block:
            continue
        _encoder.encode_into(block, encoded)
        del encoded[-1:]  # the block's own brackets
        if count:
            encoded[:1] = b","
            file.write(encoded)
        else:
            head, _, _ = _encoder.encode(stream.session).partition(_MESSAGES)
            file.write(head + _MESSAGES)
            file.write(memoryview(encoded)[1:].tobytes())
        count += len(block)
    if count:
        _, _, tail = _encoder.encode(stream.session).partition(_MESSAGES)
        file.write(tail + b"\n")
    return count


def read_streams(path: Path) -> Iterator[Stream]:
    """Read sessions as streams; what is not read of one is skipped when the next is asked for.

    Raises:
        InputError: a line is not a session; names the file and where in it.
    """
    with path.open("rb") as file:
        while chunk := file.readline(BLOCK):
            at = file.tell() - len(chunk)
            try:
                if _MESSAGES not in chunk and not chunk.endswith(b"\n"):
                    chunk = _up_to_messages(file, chunk)
                if file.tell() < at + BLOCK or chunk.endswith(b"\n"):
                    yield streamed(_session.decode(chunk))
                else:
                    head, _, rest = chunk.partition(_MESSAGES)
                    session = _session.decode(head + _MESSAGES + b"]}")
                    blocks = _checked(_blocks(file, head, rest, session), f"{path}, byte {at}")
                    yield Stream(session, blocks)
                    for _ in blocks:  # what the caller left
                        pass
            except _WRONG as error:
                raise _not_a_session(f"{path}, byte {at}", error) from None


def _up_to_messages(file: IO[bytes], begun: bytes) -> bytes:
    """A line that begins so, up to its messages or its end."""
    held = bytearray(begun)
    while held.find(_MESSAGES, max(0, len(held) - 2 * BLOCK)) < 0 and not held.endswith(b"\n"):
        more = file.readline(BLOCK)
        if not more:
            break
        held += more
    return bytes(held)


def _checked(blocks: Iterator[list[Message]], where: str) -> Iterator[list[Message]]:
    try:
        yield from blocks
    except _WRONG as error:
        raise _not_a_session(where, error) from None


def _not_a_session(where: str, error: Exception) -> InputError:
    fix = "Run `finetune run CONFIG --from load` to write it anew."
    return InputError(where, f"not a session ({error})", fix=fix)


def _blocks(file: IO[bytes], head: bytes, rest: bytes, session: Session) -> Iterator[list[Message]]:
    """The messages of a long line, of which `rest` has been read; then `session` gets what comes after them."""
    held, seen = bytearray(rest), 0  # a message may be longer than a block: what was searched is not searched again
    while not held.endswith(b"\n"):
        cut = held.rfind(_BETWEEN, max(0, seen - len(_BETWEEN)))
        if cut >= 0:
            yield _messages.decode(b"[" + held[: cut + 1] + b"]")
            del held[: cut + 2]
        seen = len(held)
        more = file.readline(BLOCK)
        if not more:
            break
        held += more
    messages, _, tail = held.rpartition(_END)
    yield _messages.decode(b"[" + messages + b"}]")
    complete = _session.decode(head + _MESSAGES + b'],"people":' + tail)
    for name in Session.__struct_fields__:
        setattr(session, name, getattr(complete, name))
