"""A streamed answer of a broken or hostile backend, as `chat` takes it, and the smoke test through LangChain."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.backends import transport
from pipeline.backends.client import Connection
from pipeline.backends.ledger import Ledger
from pipeline.commands import chat
from pipeline.commands.conversation import Conversation, Typing
from pipeline.config.settings import Config
from pipeline.dataset.funnel import Tally, funnel
from pipeline.durable import Artifact
from pipeline.errors import InputError, TryLater
from pipeline.process import privacy
from pipeline.process.signals import Signals
from pipeline.state.file import State
from pipeline.steps import smoke_test
from pipeline.steps.outputs import Convert, PollJob
from pipeline.steps.step import Work
from pipeline.terminal.display import TextDisplay
from tests.backends.test_transport import KEY, TickingClock
from tests.conftest import FakeClock
from tests.fault_server import Fault, FaultServer, fault_server

FIX = "Check backend.base_url, then run again."
Ask = Callable[[FakeClock], str]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(privacy, "_keys", set())
    with fault_server() as running:
        yield running


@pytest.fixture(params=["chat", "smoke_test"])
def ask(request: pytest.FixtureRequest, server: FaultServer, tmp_path: Path) -> Iterator[Ask]:
    """Have the model answer; the text that is kept of it."""
    config = Config.model_validate(
        {
            "name": "x",
            "backend": {"kind": "compatible", "base_url": server.base_url, "timeout_s": 5},
            "create_job": {"model": "m"},
            "smoke_test": {"prompts": ["Your motto?"], "compare_base": False, "max_tokens": 2},
        }
    )
    connections = []

    def ask(clock: FakeClock) -> str:
        display, state, connection = (
            TextDisplay(None, clock),
            State.load(tmp_path),
            Connection(config.backend, tmp_path, clock),
        )
        connections.append(connection)
        work = Work(tmp_path, display, clock, connection, Ledger(state, connection, clock, Signals(), print), go_on="")
        if request.param == "chat":
            talk = Conversation("tuned", "m", "tuned", None, 0.0, list, tmp_path)
            talk.history.append({"role": "user", "content": "Your motto?"})
            return chat.answer(talk, config, work, Typing())
        made = funnel(0, {}, Tally(), Tally())
        converted = Convert(Artifact("05_train.jsonl", "", 0), None, 1, 0, 9, 9, 9, 9, False, {}, made, None, True)
        smoke_test.run(config, PollJob("tuned", 1, None), converted, None, work)
        (exchange,) = json.loads((tmp_path / "10_smoke_test.json").read_text())
        return str(exchange["tuned"]["text"])

    yield ask
    for connection in connections:
        connection.close()


def says(server: FaultServer, raw: bytes, kind: str = "says", content_type: str = "text/event-stream") -> None:
    # LangChain asks again, twice, if not even the headers make sense.
    server.faults.append(Fault("chat", kind, raw=raw, content_type=content_type, times=3))


def chunk(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"data: " + b"[" * 200_000 + b"\n\n", "it is nested more than 64 levels deep"),
        (b"data: {\n\n", "it is no JSON"),
        (b'data: "\xff\xfe"\n\n', "it is no JSON object"),
        (b"data: null\n\n", "it is no JSON object"),
        (b'data: "x"\n\n', "it is no JSON object"),
        (b'data: {"created": ' + b"9" * 5000 + b"}\n\n", "it is no JSON"),
        (b'data: {"choices": {"a": 1}}\n\n', "it has no choices"),
        (b'data: {"choices": [5]}\n\n', "one of its choices is none"),
        (b'data: {"choices": [{"delta": 5}]}\n\n', "one of its choices is none"),
        (chunk(content=7), "a piece of it is no text"),
        (chunk(content="a") + chunk(content=[{"type": "text", "text": "x"}]), "a piece of it is no text"),
        (b"", "it is empty"),
        (b": alive\n\ndata: [DONE]\n\n", "it is empty"),
        (b"data: " + b"x" * 1_100_000 + b"\n\n", "it has a line of more than 1 MB"),
        (chunk(content="word " * 1000) * 2, "it goes on long after the 2 tokens that were asked for"),
    ],
)
def test_a_stream_that_makes_no_sense_is_told_as_that(
    ask: Ask, server: FaultServer, clock: FakeClock, raw: bytes, why: str
) -> None:
    says(server, raw)
    with pytest.raises(TryLater) as caught:
        ask(clock)
    assert str(caught.value).partition(": ")[2] == f"what the server at base_url answers makes no sense ({why}). {FIX}"


def test_an_answer_that_is_no_stream_is_told_as_that(ask: Ask, server: FaultServer, clock: FakeClock) -> None:
    says(server, b'{"choices": [{"message": {"content": "x"}}]}', content_type="application/json")
    with pytest.raises(TryLater) as caught:
        ask(clock)
    assert "(it is no stream)" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (b'"x"', "x"),
        (b'{"message": "overloaded"}', "overloaded"),
        (b'{"message": ["a"]}', "it gives no reason"),
        (b'{"message": "no $AUTHORIZATION"}', "no Bearer [key]"),
        (b"[1]", "it gives no reason"),
    ],
)
def test_an_error_in_a_stream_is_told_in_the_servers_words(
    ask: Ask, server: FaultServer, clock: FakeClock, error: bytes, said: str
) -> None:
    says(server, chunk(content="Slow") + b'data: {"error": ' + error + b"}\n\n")
    with pytest.raises(TryLater) as caught:
        ask(clock)
    assert str(caught.value).partition(": ")[2] == (
        f"the server at base_url answered with an error ({said}). Run again later."
    )


@pytest.mark.parametrize(
    "raw",
    [
        chunk(role="assistant", content="") + chunk(content="Slow") + chunk(content=" and steady."),
        chunk(content="Slow and steady.", tool_calls=5, role=7) + b"data: [DONE]\n\n",
        b"event: ping\ndata: \n\n: alive\nretry: x\n\n" + chunk(content="Slow and steady."),
        chunk(content="Slow and steady.") + b'data: {"choices": [], "usage": "x"}\n\n',
        chunk(content="Slow and steady.") + b'data: {"usage": {"prompt_tokens": "x"}}\n\n',
        chunk(content="Slow and steady.") + b'data: {"choices": [{"delta": null, "finish_reason": 5}]}\n\n',
        chunk(content="Slow and steady.").replace(b": {", b":{").replace(b"\n", b"\r\n"),
        b'data: {"choices":\ndata: [{"delta": {"content": "Slow and steady."}}]}\n\n',
    ],
)
def test_a_stream_is_understood_whatever_else_is_in_it(
    ask: Ask, server: FaultServer, clock: FakeClock, raw: bytes
) -> None:
    says(server, raw)
    assert ask(clock) == "Slow and steady."


def test_halves_of_characters_and_keys_in_an_answer_are_not_kept(
    ask: Ask, server: FaultServer, clock: FakeClock
) -> None:
    says(server, b'data: {"choices": [{"delta": {"content": "\\ud800 $AUTHORIZATION"}}]}\n\n')
    assert ask(clock) == "\ufffd Bearer [key]"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (chunk(content="word " * 10), "it goes on long after the 2 tokens that were asked for"),
        (b"x" * 100_000, "it has a line of more than 1 MB"),
        (b": still there\n\n" * 100_000, "it is longer than 2 MB"),
        (chunk(content=""), "it goes on long after the 2 tokens that were asked for"),
    ],
    ids=["words", "a line", "signs of life", "nothing"],
)
def test_a_stream_that_never_ends_is_cut_by_its_size(
    ask: Ask, server: FaultServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, raw: bytes, why: str
) -> None:
    monkeypatch.setattr(transport, "MOST_JSON", 2_000_000)
    says(server, raw, "endless")
    with pytest.raises(TryLater) as caught:
        ask(clock)
    assert f"({why})" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b":\n", "it did not end within 50 s"),
        (b"event: ping\n\n", "it did not end within 50 s"),
        (chunk(content=""), "it did not end within 1 h"),
    ],
    ids=["signs of life", "events without data", "nothing"],
)
def test_a_stream_in_drops_is_cut_by_its_time(ask: Ask, server: FaultServer, raw: bytes, why: str) -> None:
    says(server, raw, "endless")
    with pytest.raises(TryLater) as caught:
        ask(TickingClock(5))
    assert f"({why})" in str(caught.value)


def test_chat_says_that_an_answer_is_empty(
    ask: Ask, server: FaultServer, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    says(server, chunk(role="assistant", content=""))
    assert ask(clock) == ""
    said = capsys.readouterr()
    assert said.err in ("tuned answered with nothing.\n", "")
    assert bool(said.err) == ("Your motto?" not in said.out)


def test_prompts_go_to_no_other_host(ask: Ask, server: FaultServer, clock: FakeClock) -> None:
    with fault_server() as other:
        place = ("location", f"{other.base_url}/chat/completions")
        server.faults.append(Fault("chat", 308, headers=(place,), times=3))
        with pytest.raises(InputError) as caught:
            ask(clock)
        assert other.requests.total() == 0
    assert str(caught.value).partition(": ")[2] == (
        f"{server.base_url} sends requests on to {other.base_url.removesuffix('/v1')} (308), and that is not followed. "
        "If you trust that place, set backend.base_url to the address of the API there."
    )
