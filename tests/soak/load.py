"""The load of the soak: pollers, chats and trainings, and what they saw."""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import openai

from tests.server.harness import BASE, examples
from tests.soak.servers import Served

POLLERS = 64
CHATS = 8
WINDOW_S = 10.0  # the clients poll ours and the bare app in turns
TIMEOUT_S = 120.0


@dataclass
class Tally:
    """What happened. Times in milliseconds."""

    polls: list[float] = field(default_factory=list)
    bare_polls: list[float] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)
    chat_tokens: int = 0
    steps: int = 0
    jobs: int = 0
    memory_mb: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Load:
    """Everything at once, until the time is up."""

    def __init__(self, server: Served, bare_url: str, interval_s: float) -> None:
        self.tally = Tally()
        self._server = server
        self._bare_url = bare_url
        self._interval_s = interval_s
        self._client = openai.AsyncOpenAI(
            base_url=server.base_url, api_key=server.key, max_retries=0, timeout=TIMEOUT_S
        )
        self._job = ""  # the one that is polled
        self._over = asyncio.Event()
        self._tls = ssl.create_default_context()  # not used, but each client would take long to make its own

    async def run(self, seconds: float, say: Callable[[str], None]) -> None:
        """Train a first model, then load the server for so long."""
        file = (await self._client.files.create(file=("train.jsonl", examples()), purpose="fine-tune")).id
        tuned = await self._train(file, n_epochs=1)
        await asyncio.gather(*(self._answer(model) for model in (BASE, tuned)))  # both are in memory now
        self.tally = Tally()
        say(f"polling, chatting and training for {seconds:.0f} s ...")
        workers = [
            self._trainings(file),
            *(self._poller(number) for number in range(POLLERS)),
            *(self._chat((BASE, tuned)[number % 2]) for number in range(CHATS)),
            self._memory(),
        ]
        tasks = [asyncio.create_task(self._counted(worker)) for worker in workers]
        await asyncio.sleep(seconds)
        self._over.set()
        await self._client.fine_tuning.jobs.cancel(self._job)
        _, late = await asyncio.wait(tasks, timeout=TIMEOUT_S)
        self.tally.errors += ["did not end in time"] * len(late)
        await self._client.close()

    async def _counted(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  every kind is a finding
            self.tally.errors.append(f"{type(error).__name__}: {error}")

    async def _train(self, file: str, n_epochs: int) -> str:
        """Train to the end, or until the time is up; returns the model."""
        job = await self._client.fine_tuning.jobs.create(
            model=BASE, training_file=file, hyperparameters={"n_epochs": n_epochs}
        )
        self._job = job.id
        while job.status not in ("succeeded", "failed", "cancelled"):
            await asyncio.sleep(1)
            job = await self._client.fine_tuning.jobs.retrieve(job.id)
        if job.status == "failed":
            raise RuntimeError(f"the job failed: {job.error}")
        events = await self._client.fine_tuning.jobs.list_events(job.id, limit=10_000)
        self.tally.steps += sum(event.message.startswith("Step ") for event in events.data)
        self.tally.jobs += 1
        return job.fine_tuned_model or ""

    async def _trainings(self, file: str) -> None:
        while not self._over.is_set():
            await self._train(file, n_epochs=50)

    async def _poller(self, number: int) -> None:
        await asyncio.sleep(number * self._interval_s / POLLERS)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=self._tls) as http:
            while not self._over.is_set():
                is_ours = time.monotonic() // WINDOW_S % 2 == 0
                url = f"{self._server.base_url}/fine_tuning/jobs/{self._job}" if is_ours else self._bare_url
                began = time.perf_counter()
                answer = await http.get(url, headers={"Authorization": f"Bearer {self._server.key}"})
                taken = 1000 * (time.perf_counter() - began)
                if answer.status_code != 200:
                    self.tally.errors.append(f"polling was answered {answer.status_code}")
                (self.tally.polls if is_ours else self.tally.bare_polls).append(taken)
                await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.1))

    async def _chat(self, model: str) -> None:
        while not self._over.is_set():
            await self._answer(model)

    async def _answer(self, model: str) -> None:
        began, first = time.perf_counter(), None
        reason, usage = None, None
        stream = await self._client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Tell me a story about a tortoise and a hare."}],
            max_completion_tokens=32,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content and first is None:
                first = time.perf_counter() - began
            reason = chunk.choices[0].finish_reason if chunk.choices else reason
            usage = chunk.usage or usage
        if reason is None or usage is None:
            self.tally.errors.append("a stream broke off")
            return
        self.tally.first_words.append(1000 * (first or time.perf_counter() - began))
        self.tally.chat_tokens += usage.completion_tokens

    async def _memory(self) -> None:
        url = self._server.base_url.removesuffix("/v1") + "/metrics"
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
            while not self._over.is_set():
                text = (await http.get(url, headers={"Authorization": f"Bearer {self._server.key}"})).text
                line = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
                self.tally.memory_mb.append(float(line.split()[1]) / 1e6)
                await asyncio.sleep(2)
