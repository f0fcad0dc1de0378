"""Talk to the tuned model in the terminal."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.dataset.preset import inference_prompt
from pipeline.display import SPEECH_INDENT
from pipeline.lines import INDENT
from pipeline.runner import Progress
from pipeline.state import State
from pipeline.steps.outputs import Convert, PollJob
from pipeline.steps.step import Work

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


def converse(config: Config, state: State, work: Work, message: str | None) -> None:
    """Say `message` and show the answer, or go on until the end of input.

    Raises:
        FinetuneError: nothing is trained yet, or not on this backend, or the backend refuses.
    """
    import openai

    progress = Progress(state, config, work.connection.identity)
    tuned, converted = progress.output_here("poll_job", "chat"), progress.output("convert")
    if not isinstance(tuned, PollJob) or not isinstance(converted, Convert):
        raise TypeError(f"poll_job made {tuned!r}, convert {converted!r}")
    system = inference_prompt(config, converted.system_prompt)
    history: list[ChatCompletionMessageParam] = [{"role": "system", "content": system}] if system else []
    try:
        for said in [message] if message is not None else _lines(work):
            history.append({"role": "user", "content": said})
            history.append({"role": "assistant", "content": _answer(tuned.model, history, config, work)})
    except openai.APIError as error:
        raise work.connection.explain("chat", error) from None


def _lines(work: Work) -> Iterator[str]:
    work.display.note("Ctrl-D ends the conversation.")
    while True:
        try:
            said = input(f"{INDENT}{'you':<{SPEECH_INDENT}}") if sys.stdin.isatty() else sys.stdin.readline()
        except EOFError:
            sys.stdout.write("\n")  # Ctrl-D leaves the cursor behind the prompt
            return
        if not said:
            return
        if said.strip():
            yield said.strip()


def _answer(model: str, history: "list[ChatCompletionMessageParam]", config: Config, work: Work) -> str:
    stream = work.connection.client.chat.completions.create(
        model=model,
        messages=history,
        temperature=config.smoke_test.temperature,
        max_completion_tokens=config.smoke_test.max_tokens,
        stream=True,
    )
    work.display.speaker("tuned")
    pieces = []
    for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            pieces.append(text)
            work.display.speech(text)
    work.display.end("")
    return "".join(pieces)
