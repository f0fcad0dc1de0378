"""Chat: what is said, how it is counted, what is refused, and when it stops."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from pipeline.errors import InputError, TryLater
from pipeline.inference.generation import ContextLengthError
from pipeline.inference.protocol import Finish, ModelRef, Piece, Prompt, Sampling
from pipeline.models.messages import ChatMessage
from pipeline.server import generations
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import BASE, WAIT_S, connect, finish, start_job

HELLO = [{"role": "user", "content": "What is the golden thread?"}]
REPLY = "I am a language model, so I have no motto of my own."


def _create(client: openai.OpenAI, **changes: object) -> openai.types.chat.ChatCompletion:
    request: dict[str, object] = {"model": BASE, "messages": HELLO, **changes}
    return client.chat.completions.create(**request)  # type: ignore[call-overload,no-any-return]  # keywords as a dict


def _stream(client: openai.OpenAI, **changes: object) -> list[openai.types.chat.ChatCompletionChunk]:
    return list(_create(client, stream=True, **changes))  # type: ignore[arg-type]  # a stream, not a completion


def test_an_answer_in_one_piece(client: openai.OpenAI) -> None:
    answer = _create(client)

    assert answer.id.startswith("chatcmpl-")
    assert answer.model == BASE
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", REPLY, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 13, 18)


def test_a_stream_adds_up_to_the_answer(client: openai.OpenAI) -> None:
    chunks = _stream(client)

    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant"] + [None] * (len(chunks) - 1)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == REPLY
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


def test_usage_comes_last_in_a_stream_that_asks_for_it(client: openai.OpenAI) -> None:
    *chunks, last = _stream(client, n=2, stream_options={"include_usage": True})

    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (5, 26, 31)
    ends = [(c.choices[0].index, c.choices[0].finish_reason) for c in chunks if c.choices[0].finish_reason]
    assert ends == [(0, "stop"), (1, "stop")]


def test_a_stream_ends_with_done_in_plain_server_sent_events(client: openai.OpenAI, shared: MockServer) -> None:
    answer = httpx.post(
        f"{shared.base_url}/chat/completions",
        json={"model": BASE, "messages": HELLO, "stream": True},
        headers={"Authorization": f"Bearer {shared.api_key}"},
    )

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    assert all(line == "" or line.startswith("data: ") for line in answer.text.split("\n"))


def test_stop_and_length_end_an_answer(client: openai.OpenAI) -> None:
    stopped = _create(client, stop=["no motto", "model,"]).choices[0]
    cut = _create(client, max_completion_tokens=3).choices[0]
    cut_too = _create(client, max_tokens=3).choices[0]

    assert (stopped.message.content, stopped.finish_reason) == ("I am a language ", "stop")
    assert (cut.message.content, cut.finish_reason) == ("I am a", "length")
    assert cut == cut_too
    assert _create(client, stop=" model").choices[0].message.content == "I am a language"


def test_text_parts_and_every_neutral_parameter_are_accepted(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": " it?"}]
    answer = _create(
        client,
        messages=[
            {"role": "developer", "content": "Be brief.", "name": "boss"},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": "A thread.", "refusal": None, "annotations": [], "tool_calls": None},
            {"role": "user", "content": "Why?"},
        ],
        temperature=0,
        top_p=0.5,
        seed=7,
        presence_penalty=-2,
        frequency_penalty=2,
        n=1,
        user="me",
        store=False,
        tools=[],
        logprobs=False,
        response_format={"type": "text"},
        verbosity="medium",
        safety_identifier="me",
        prompt_cache_key="here",
        stream=False,
        stream_options=None,
    )

    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(["Be", "brief.", "What", "is", "it?", "A", "thread.", "Why?"])


@pytest.mark.parametrize(
    ("changes", "message", "param", "code"),
    [
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "`tools` is not supported by this server.",
            "tools",
            "unsupported_parameter",
        ),
        (
            {"tool_choice": "auto"},
            "`tool_choice` is not supported by this server.",
            "tool_choice",
            "unsupported_parameter",
        ),
        (
            {"response_format": {"type": "json_object"}},
            "`response_format` is not supported by this server.",
            "response_format",
            "unsupported_parameter",
        ),
        ({"top_logprobs": 2}, "`top_logprobs` goes with `logprobs: true` only.", "top_logprobs", None),
        (
            {"logprobs": True, "top_logprobs": 21},
            "top_logprobs: Input should be less than or equal to 20.",
            "top_logprobs",
            "integer_above_max_value",
        ),
        (
            {"modalities": ["text", "audio"]},
            "`modalities` is not supported by this server.",
            "modalities",
            "unsupported_parameter",
        ),
        ({"audio": {"voice": "x"}}, "`audio` is not supported by this server.", "audio", "unsupported_parameter"),
        (
            {"logit_bias": {"1": 1}},
            "`logit_bias` is not supported by this server.",
            "logit_bias",
            "unsupported_parameter",
        ),
        (
            {"extra_body": {"colour": "red"}},
            "Unrecognized request argument supplied: colour",
            "colour",
            "unknown_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "colour": "red"}]},
            "Unrecognized request argument supplied: messages[0].colour",
            "messages[0].colour",
            "unknown_parameter",
        ),
        ({"user": 1}, "user: Input should be a valid string.", "user", "invalid_type"),
        (
            {"stop": ["a", "b", "c", "d", "e"]},
            "stop: Input should be a valid string, or List should have at most 4 items after validation, not 5.",
            "stop",
            "array_above_max_length",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type: Input should be 'text'.",
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            {"messages": [*HELLO, {"role": "tool", "content": "x", "tool_call_id": "1"}]},
            "messages[1].role: Input should be 'system', 'developer', 'user' or 'assistant'.",
            "messages[1].role",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "user"}]},
            "messages[0].content: Field required.",
            "messages[0].content",
            "missing_required_parameter",
        ),
        (
            {"messages": []},
            "messages: List should have at least 1 item after validation, not 0.",
            "messages",
            "empty_array",
        ),
        (
            {"temperature": 2.5},
            "temperature: Input should be less than or equal to 2.",
            "temperature",
            "decimal_above_max_value",
        ),
        ({"temperature": "1"}, "temperature: Input should be a valid number.", "temperature", "invalid_type"),
        ({"n": 0}, "n: Input should be greater than or equal to 1.", "n", "integer_below_min_value"),
        (
            {"stream_options": {"include_usage": True}},
            "`stream_options` goes with `stream: true` only.",
            "stream_options",
            None,
        ),
        (
            {"max_tokens": 1, "max_completion_tokens": 1},
            "Give `max_completion_tokens` or `max_tokens`, not both.",
            "max_tokens",
            None,
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, changes: dict[str, object], message: str, param: str, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        _create(client, **changes)

    assert refused.value.body == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def test_an_answer_can_be_sent_back_as_it_came(client: openai.OpenAI) -> None:
    said = _create(client).choices[0].message

    for sent_back in (said, said.model_dump()):
        again = _create(client, messages=[*HELLO, sent_back, {"role": "user", "content": "Why?"}])
        assert again.choices[0].message.content == REPLY


def test_logprobs_name_every_token_of_the_answer(client: openai.OpenAI) -> None:
    whole = _create(client, logprobs=True, top_logprobs=1, stop=" motto").choices[0]
    bare = _create(client, logprobs=True, max_tokens=1).choices[0]
    chunks = [chunk.choices[0] for chunk in _stream(client, logprobs=True, top_logprobs=1, stop=" motto")]

    assert whole.logprobs is not None
    assert whole.logprobs.content is not None
    assert [token.token for token in whole.logprobs.content] == re.findall(r"\s*\S+", whole.message.content or "")
    assert all(bytes(token.bytes or ()).decode() == token.token for token in whole.logprobs.content)
    assert [(t.top_logprobs[0].token, t.logprob) for t in whole.logprobs.content[:2]] == [("I", 0.0), (" am", 0.0)]
    assert bare.logprobs is not None
    assert bare.logprobs.content is not None
    assert bare.logprobs.content[0].top_logprobs == []
    streamed = [token for choice in chunks if choice.logprobs for token in choice.logprobs.content or ()]
    assert streamed == whole.logprobs.content


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        _create(client, model="ft:gone/away:org::1", stream=stream)

    assert refused.value.body == {
        "message": "The model `ft:gone/away:org::1` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_a_tuned_model_and_its_checkpoints_answer_in_their_own_voice(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(steps=2, replies={"tuned": "Slow and steady.", "base": "I have no motto."})
    job = finish(client, start_job(client).id)
    checkpoint = client.fine_tuning.jobs.checkpoints.list(job.id).data[0].fine_tuned_model_checkpoint

    answers = [
        _create(client, model=name).choices[0].message.content for name in (job.fine_tuned_model, checkpoint, BASE)
    ]

    assert answers == ["Slow and steady.", "Slow and steady.", "I have no motto."]


def test_langchain_streams_from_it(shared: MockServer) -> None:
    model = ChatOpenAI(
        model=BASE, base_url=shared.base_url, api_key=SecretStr(shared.api_key), temperature=0, stream_usage=True
    )

    chunks = list(model.stream("What is the golden thread?"))

    assert "".join(str(chunk.content) for chunk in chunks) == REPLY
    assert model.invoke("Hello", max_tokens=2).content == "I am"


class Panic(BaseException):
    """As libraries in Rust raise it."""


class Talker:
    """An engine that says "on" until nobody listens any more, or fails."""

    def __init__(self) -> None:
        self.talking = threading.Semaphore(0)
        self.heard_out = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.breaks_off: Exception | None = None  # after its first word
        self.silent = False
        self.unloaded: list[Path] = []
        self.warmed_up: list[str | None] = []

    def generate(
        self,
        model: ModelRef,  # noqa: ARG002  the engine's interface
        messages: Sequence[ChatMessage],  # noqa: ARG002
        sampling: Sampling,  # noqa: ARG002
        cancelled: Callable[[], bool],
    ) -> Iterator[Piece | Finish]:
        if self.error is not None:
            raise self.error
        self.talking.release()
        nap = threading.Event()
        while not cancelled():
            if not self.silent:
                yield Piece("on ")
            if self.breaks_off is not None:
                raise self.breaks_off
            nap.wait(0.005)  # as long as a token takes
        self.heard_out.release()

    def complete(
        self,
        model: ModelRef,
        prompt: Prompt,  # noqa: ARG002
        sampling: Sampling,
        cancelled: Callable[[], bool],
        *,
        echo: bool,  # noqa: ARG002
    ) -> Iterator[Piece | Finish]:
        return self.generate(model, [], sampling, cancelled)

    def warm_up(self, base_model: str | None) -> None:
        self.warmed_up.append(base_model)

    def unload(self, adapter: Path) -> None:
        self.unloaded.append(adapter)


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def endless(talker: Talker, tmp_path: Path) -> Iterator[MockServer]:
    """A server whose models never stop talking."""
    talking = ServerSettings(tmp_path / "store", "sk-talk", trainer="scripted")
    with serving(talking, engine=talker) as server, serve_in_thread(server):
        yield MockServer(server.base_url, "sk-talk", tmp_path / "store")


def test_a_client_that_leaves_a_stream_stops_the_engine(endless: MockServer, talker: Talker) -> None:
    with connect(endless) as client:
        stream = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "x"}], stream=True)
        assert [next(stream).choices[0].delta.content for _ in range(3)] == ["", "on ", "on "]
        stream.close()

        assert talker.heard_out.acquire(timeout=WAIT_S)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_before_the_first_word_stops_the_engine(
    endless: MockServer, talker: Talker, stream: bool
) -> None:
    talker.silent = True
    with connect(endless) as client, pytest.raises(openai.APITimeoutError):
        _create(client, stream=stream, timeout=httpx.Timeout(0.2).read)

    assert talker.talking.acquire(timeout=WAIT_S)
    assert talker.heard_out.acquire(timeout=WAIT_S)


def test_a_stopping_server_ends_its_streams_with_an_error(talker: Talker, tmp_path: Path) -> None:
    talking = ServerSettings(tmp_path / "store", "sk-talk", trainer="scripted")
    with serving(talking, engine=talker) as server, serve_in_thread(server):
        client = connect(MockServer(server.base_url, "sk-talk", tmp_path))
        stream = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "x"}], stream=True)
        next(stream)
        server.tell_to_stop()

        with pytest.raises(openai.APIError, match=r"^The server is shutting down\.$"):
            list(stream)
        client.close()


def test_too_many_waiting_chats_are_asked_to_come_again(
    endless: MockServer, talker: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "CHATS_WAITING", -7)  # with the eight at once, one is enough
    with connect(endless) as client:
        stream = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "x"}], stream=True)
        with pytest.raises(openai.RateLimitError) as refused:
            _create(client)
        stream.close()
        assert talker.heard_out.acquire(timeout=WAIT_S)

    assert refused.value.body == {
        "message": "Too many chats are waiting. Try again.",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert refused.value.response.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("error", "status", "message", "code"),
    [
        (
            ContextLengthError(2048, 3000),
            400,
            "messages: this model's context holds at most 2048 tokens, got 3000 tokens. "
            "Please reduce the length of the messages.",
            "context_length_exceeded",
        ),
        (InputError("base model", "not installed", fix="Run pip."), 400, "base model: not installed. Run pip.", None),
        (TryLater("model", "busy", fix="Wait."), 500, "model: busy. Wait.", None),
        (ValueError("secret chat text"), 500, "The server had an error while processing your request.", None),
        (Panic("secret chat text"), 500, "The server had an error while processing your request.", None),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_engine_raises_becomes_a_status(
    endless: MockServer,
    talker: Talker,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    status: int,
    message: str,
    code: str | None,
    stream: bool,
) -> None:
    talker.error = error

    with connect(endless) as client, pytest.raises(openai.APIStatusError) as refused:
        _create(client, stream=stream)

    assert refused.value.status_code == status
    assert isinstance(refused.value.body, dict)
    assert (refused.value.body["message"], refused.value.body["code"]) == (message, code)
    assert "secret" not in caplog.text
    assert ("ValueError" in caplog.text) == isinstance(error, ValueError)
    assert ("RuntimeError" in caplog.text) == isinstance(error, Panic)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("base model x", "was deleted", fix="Ask another."), "base model x: was deleted. Ask another."),
        (RuntimeError("secret chat text"), "The server had an error while processing your request."),
        (MemoryError(), "The server had an error while processing your request."),
    ],
)
def test_what_breaks_off_a_stream_is_its_last_event(
    endless: MockServer, talker: Talker, caplog: pytest.LogCaptureFixture, error: Exception, message: str
) -> None:
    talker.breaks_off = error

    answer = httpx.post(
        f"{endless.base_url}/chat/completions",
        json={"model": BASE, "messages": HELLO, "stream": True},
        headers={"Authorization": f"Bearer {endless.api_key}"},
    )

    *_, last, nothing = answer.text.split("\n\n")
    assert nothing == ""
    assert json.loads(last.removeprefix("data: ")) == {
        "error": {"message": message, "type": "server_error", "param": None, "code": None}
    }
    assert "secret" not in caplog.text
    assert (type(error).__name__ in caplog.text) == (not isinstance(error, InputError))


def test_a_bug_is_not_taken_for_the_end_of_the_server(
    endless: MockServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    with connect(endless) as client, pytest.raises(openai.InternalServerError) as refused:
        _create(client)

    assert refused.value.status_code == 500
    assert "RuntimeError" in caplog.text


def test_several_clients_talk_at_once(client: openai.OpenAI) -> None:
    answers: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_create(client).choices[0].message.content)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [REPLY] * 20


def test_the_engine_warms_up_for_a_job_and_later_for_the_model_it_made(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "sk-talk", trainer="scripted")
    first, second = Talker(), Talker()

    with (
        serving(settings, engine=first) as server,
        serve_in_thread(server),
        connect(MockServer(server.base_url, "sk-talk", tmp_path)) as client,
    ):
        finish(client, start_job(client).id)
    with serving(settings, engine=second) as server, serve_in_thread(server):
        pass

    assert (first.warmed_up, second.warmed_up) == ([None], [BASE])


def test_a_deleted_model_and_its_checkpoints_are_forgotten_by_the_engine(endless: MockServer, talker: Talker) -> None:
    with connect(endless) as client:
        job = finish(client, start_job(client).id)
        adapters = set((endless.data_dir / "models").iterdir())
        assert job.fine_tuned_model is not None
        client.models.delete(job.fine_tuned_model)

    assert len(adapters) == 4
    assert set(talker.unloaded) == adapters
