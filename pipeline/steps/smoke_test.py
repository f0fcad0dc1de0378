"""Step 10: talk to the tuned model, and to its base model beside it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from pipeline.config.settings import Config, Expectation, Prompt
from pipeline.dataset.preset import inference_prompt
from pipeline.durable import atomic_writer
from pipeline.errors import ExpectationNotMet
from pipeline.process.privacy import tracing, without_keys
from pipeline.steps.outputs import Convert, Deploy, PollJob, SmokeTest
from pipeline.steps.step import Step, Work

if TYPE_CHECKING:
    from langchain_core.callbacks import UsageMetadataCallbackHandler

TRANSCRIPT = "10_smoke_test.json"


class Answer(msgspec.Struct):
    """What one model said to one prompt. `tokens` is None where the backend does not count."""

    model: str
    text: str
    tokens: int | None
    seconds: float


class Exchange(msgspec.Struct):
    """One prompt, the tuned model's answer and the base model's; `unmet` says what was expected and did not come."""

    system_prompt: str | None
    prompt: str
    temperature: float
    tuned: Answer
    base: Answer | None
    unmet: list[str]


def run(config: Config, tuned: PollJob, converted: Convert, deployed: Deploy | None, work: Work) -> SmokeTest:
    """Ask every prompt, stream the answers, keep the transcript.

    Raises:
        ExpectationNotMet: an answer is not as `expect` says; the transcript is kept all the same.
    """
    system = inference_prompt(config, converted.system_prompt)
    with work.connection.listening("smoke_test"), tracing(config.smoke_test.tracing, work.display.note):
        model = deployed.name if deployed else tuned.model
        exchanges = [_exchange(prompt, system, config, model, work) for prompt in config.smoke_test.prompts]
    with atomic_writer(work.run_dir / TRANSCRIPT) as file:
        file.write(msgspec.json.format(msgspec.json.encode(exchanges), indent=2) + b"\n")
    unmet = [f"prompt {n}: {what}" for n, exchange in enumerate(exchanges, start=1) for what in exchange.unmet]
    if unmet:
        raise ExpectationNotMet(
            "smoke_test",
            f"{tuned.model} did not answer as expected ({'; '.join(unmet)})",
            fix=f"Read {work.run_dir / TRANSCRIPT}; change the data, the training or smoke_test.prompts.",
        )
    answers = sum(1 if exchange.base is None else 2 for exchange in exchanges)
    return SmokeTest(file.artifact(TRANSCRIPT), answers)


def _exchange(prompt: Prompt, system: str | None, config: Config, model: str, work: Work) -> Exchange:
    import openai

    settings = config.smoke_test
    if system:
        work.display.speaker("system")
        work.display.speech(system)
    work.display.speaker("user")
    work.display.speech(prompt.prompt)
    tuned = _answer("tuned", model, prompt.prompt, system, config, work)
    base = None
    if settings.compare_base:
        try:
            known_as = work.connection.profile.serving_name(config.create_job.model)
            base = _answer("base", known_as, prompt.prompt, system, config, work)
        except (openai.NotFoundError, openai.BadRequestError, openai.PermissionDeniedError):
            work.display.note(f"{work.connection.profile.title} does not serve {config.create_job.model} itself")
    unmet = _unmet(prompt.expect, tuned) if prompt.expect else []
    return Exchange(system, prompt.prompt, settings.temperature, tuned, base, unmet)


def _answer(label: str, model: str, prompt: str, system: str | None, config: Config, work: Work) -> Answer:
    from langchain_core.callbacks import UsageMetadataCallbackHandler

    usage = UsageMetadataCallbackHandler()
    pieces = []
    start = work.clock.monotonic()
    work.display.speaker(label)
    for piece in _stream(model, prompt, system, config, work, usage):
        work.display.speech(piece)
        pieces.append(piece)
    counted = [use["output_tokens"] for use in usage.usage_metadata.values()]
    text = without_keys("".join(pieces))  # one may have come in pieces
    return Answer(model, text, sum(counted) if counted else None, round(work.clock.monotonic() - start, 3))


def _stream(
    model: str, prompt: str, system: str | None, config: Config, work: Work, usage: "UsageMetadataCallbackHandler"
) -> Iterator[str]:
    """The answer as it comes, through LangChain as an application would ask for it."""
    import openai
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    settings = config.smoke_test
    asked = [("system", "{system_prompt}")] if system else []
    template = ChatPromptTemplate.from_messages([*asked, ("human", "{input}")])
    # The connection's own transport, so that here too the environment's proxies go with hosted backends only.
    chat = ChatOpenAI(
        http_client=work.connection.http,
        http_async_client=openai.DefaultAsyncHttpxClient(trust_env=False),  # never used
        http_socket_options=(),  # with some, langchain_openai warns of proxies, of which that transport knows already
        openai_proxy=None,
        model=model,
        base_url=work.connection.base_url,
        api_key=lambda: work.connection.key,
        temperature=settings.temperature,
        max_completion_tokens=settings.max_tokens,
        timeout=config.backend.timeout_s,
        stream_usage=True,
    )
    chain = template | chat | StrOutputParser()
    values = {"system_prompt": system, "input": prompt}
    yield from chain.stream(values, config={"callbacks": [usage]})


def _unmet(expect: Expectation, answer: Answer) -> list[str]:
    unmet = []
    if expect.non_empty and not answer.text.strip():
        unmet.append("the answer is empty")
    if expect.regex is not None and not re.search(expect.regex, answer.text):
        unmet.append(f"no match for {expect.regex!r}")
    if expect.max_tokens is not None and answer.tokens is not None and answer.tokens > expect.max_tokens:
        unmet.append(f"{answer.tokens} tokens, expected at most {expect.max_tokens}")
    return unmet


STEP = Step(
    name="smoke_test",
    version=1,
    needs=("poll_job", "convert"),
    declares=("smoke_test", "create_job.model"),
    also_reads=("backend.timeout_s",),
    output=SmokeTest,
    run=run,
    remote=True,
    maybe=("deploy",),
)
