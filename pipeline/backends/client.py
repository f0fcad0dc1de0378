"""One backend for a run: its identity, its clients, its server if it is ours.

openai takes longer to import than a run with nothing to do may take, so it is imported where it is used.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pipeline import failpoints
from pipeline.backends.embedded import EmbeddedServer, embedded_identity
from pipeline.backends.hosts import refuse_wrong_host
from pipeline.backends.lent import LentServer, lend, take_back
from pipeline.backends.profiles import Profile, profile_of
from pipeline.backends.quoting import quote
from pipeline.config.settings import Backend
from pipeline.errors import InputError, TryLater
from pipeline.network import Transient, blaming_the_environment, unproxied
from pipeline.process.clock import Clock
from pipeline.process.privacy import remember_key, withhold_account
from pipeline.terminal.libraries import quieten_logging

if TYPE_CHECKING:
    import httpx2
    import openai
    import tenacity

T = TypeVar("T")
_ATTEMPTS = 5
SERVER_DIR = "server"


class Connection:
    """A backend that has been reached, or is about to be. The embedded server starts at first use."""

    def __init__(
        self,
        backend: Backend,
        run_dir: Path,
        clock: Clock,
        model: str | None = None,
        owner: str | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is started yet.

        Args:
            model: may be a local model's path or a name of the Hub, which the embedded server is told when it starts.
            owner: the run at work in `run_dir`, if that is another process: its embedded server is used.
            say: is told what is passed over in the backend's answers.
        """
        self._say = say
        self._owner = owner
        self._model = model
        self._backend = backend
        self._clock = clock
        self._run_dir = run_dir
        self._data_dir = run_dir / SERVER_DIR
        self._server: EmbeddedServer | LentServer | None = None
        self._client: openai.OpenAI | None = None
        self._http: httpx2.Client | None = None
        self.profile: Profile = profile_of(backend)

    @property
    def identity(self) -> str:
        """Whose file and job ids these are: the embedded store's UUID, or the host, organisation and project."""
        if self._backend.kind == "embedded":
            return embedded_identity(self._data_dir)
        account = [os.environ.get(name, "") for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")]
        return ":".join(part for part in (_host_of(self.base_url), *account) if part)

    @property
    def base_url(self) -> str:
        """Where the API is, with its version."""
        if self._backend.kind == "embedded":
            return self._running().base_url
        return self.profile.base_url or ""

    @property
    def key(self) -> str:
        """The bearer key.

        Raises:
            InputError: the environment has none.
        """
        if self.profile.key_env is None:
            key = self._running().key
            remember_key(key)
            return key
        refuse_wrong_host(self.profile)
        key = os.environ.get(self.profile.key_env, "").strip()
        if not key:
            raise InputError(
                f"environment {self.profile.key_env}",
                f"not set, and {self.profile.title} needs a key",
                fix=f"export {self.profile.key_env}=…, or train on this machine with --set backend.kind=embedded.",
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(
                f"environment {self.profile.key_env}",
                "not a key: keys are plain letters, digits and signs",
                fix="Set it to the key itself.",
            )
        remember_key(key)
        return key

    @property
    def http(self) -> "httpx2.Client":
        """The transport of the SDK's clients.

        Raises:
            InputError: the environment's proxies or certificates cannot be used.
        """
        from pipeline.backends.transport import Client

        if self._http is None:
            quieten_logging()
            if self._backend.kind == "embedded":
                withhold_account()
            with blaming_the_environment():
                self._http = Client(
                    self._clock,
                    self._say,
                    # A proxy has no business between us and a server of our own.
                    trust_env=self._backend.kind != "embedded",
                    mounts=unproxied(self.profile.base_url or ""),
                )
        return self._http

    @property
    def client(self) -> "openai.OpenAI":
        """The plain SDK without its retries: it would repeat a POST whose answer it lost, and pay again."""
        import openai

        if self._client is None:
            self._client = openai.OpenAI(
                base_url=self.base_url,
                api_key=self.key,
                timeout=self._backend.timeout_s,
                max_retries=0,
                http_client=self.http,
            )
        return self._client

    def client_at(self, base_url: str, key: str) -> "openai.OpenAI":
        """The SDK for another API of the same provider, with a key of its own; nothing of the account goes along."""
        import openai

        remember_key(key)
        none = dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), openai.omit)
        return openai.OpenAI(
            base_url=base_url,
            api_key=key,
            timeout=self._backend.timeout_s,
            max_retries=0,
            http_client=self.http,
            default_headers=none,  # type: ignore[arg-type]
        )

    def ask(self, where: str, request: Callable[["openai.OpenAI"], T]) -> T:
        """Make a request that changes nothing, a few times if need be; its failure becomes a message for the user."""
        import tenacity

        retrying = tenacity.Retrying(
            sleep=self._clock.sleep,
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            retry=tenacity.retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            answer: T = retrying(self.look, where, request)
            return answer
        except Transient as trouble:
            if trouble.cause is None:
                raise TryLater(where, f"{self.profile.title}: {trouble}", fix="Run again later.") from None
            raise self.explain(where, trouble.cause) from None

    def look(self, where: str, request: Callable[["openai.OpenAI"], T]) -> T:
        """Make a request that polling repeats.

        Raises:
            Transient: it failed in a way that may pass.
            FinetuneError: it will not pass.
        """
        import openai

        from pipeline.backends.refusals import transient

        failpoints.hit("request.before")
        try:
            answer = request(self.client)
        except openai.APIError as error:
            failpoints.hit("request.failed")
            passing = transient(error)
            if passing is None:
                raise self.explain(where, error) from None
            self.check()
            raise passing from None
        failpoints.hit("request.answered")
        return answer

    def look_at(self, where: str, remote_id: str, get: Callable[["openai.OpenAI"], T], since: float) -> T:
        """Look at one file or job, as polling does.

        Args:
            since: monotonic time of the first look. Read after write: some servers do not show at once what they have
                just made, so for `settle_s` a 404 is nothing to worry about.

        Raises:
            Transient: it failed in a way that may pass, or what came is not the thing asked for.
            FinetuneError: it will not pass.
        """
        import openai

        def checked(client: openai.OpenAI) -> T:
            try:
                thing = get(client)
            except openai.NotFoundError as error:
                if self._clock.monotonic() - since < self.profile.settle_s:
                    raise Transient(f"{remote_id} is not to be seen yet", error) from None
                raise
            if getattr(thing, "id", None) != remote_id or not isinstance(getattr(thing, "status", None), str):
                raise Transient("the server's answer makes no sense")
            return thing

        return self.look(where, checked)

    @contextlib.contextmanager
    def listening(self, where: str) -> Iterator[None]:
        """For the block that takes in a streamed answer, through the SDK or through LangChain.

        Raises:
            FinetuneError: the backend refuses, fails midway or makes no sense.
        """
        import openai

        try:
            yield
        except openai.APIError as error:
            raise self.explain(where, error) from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            # What LangChain makes of a strange answer.
            raise TryLater(where, "the backend's answer makes no sense", fix="Run again later.") from None

    def explain(self, where: str, error: Exception | None) -> Exception:
        """The user's message for `error`; a server of ours that has died comes first."""
        from pipeline.backends.refusals import explain

        self.check()
        return explain(where, error, self.profile, self.base_url, self.quote)

    def quote(self, said: str) -> str:
        """The server's own words, without the chats that may be in them."""
        return quote(said, self._run_dir / "05_train.jsonl")

    def open(self) -> None:
        """Make sure that there is a key and, if the server is ours, that it answers."""
        _ = self.key

    def use_model(self, name: str) -> None:
        """The base model, as it is found out only now: before the embedded server starts."""
        self._model = name

    def check_model(self) -> None:
        """See that a base model on this machine's disk can be trained, before anything is sent or created.

        Raises:
            InputError: it cannot; names what is wrong with it.
        """
        if self._model is not None and self._backend.kind == "embedded" and self._backend.trainer == "lora":
            from pipeline.models import model_check

            model_check.check(self._model)

    def check(self) -> None:
        """Notice an embedded server that has died."""
        if self._server is not None:
            self._server.check()

    def close(self) -> None:
        """Close the client and stop the server if it is ours."""
        if self._http is not None:
            self._http.close()
            self._http = self._client = None
        if self._server is not None:
            if self._owner is None:
                take_back(self._data_dir)
            self._server.stop()
            self._server = None

    def _running(self) -> EmbeddedServer | LentServer:
        if self._server is None and self._owner is not None:
            self._server = LentServer(self._data_dir, self._owner)
        elif self._server is None:
            self._server = EmbeddedServer(self._data_dir, self._backend, self._model)
            lend(self._data_dir, self._server.base_url, self._server.key)
        return self._server


def _host_of(base_url: str) -> str:
    """HOST or HOST:PORT, and never a user's name or password."""
    return urlsplit(base_url).netloc.rpartition("@")[2]


def _may_pass(error: BaseException) -> bool:
    from pipeline.backends.refusals import is_endless

    return isinstance(error, Transient) and not is_endless(error.cause)


def _wait(retry: "tenacity.RetryCallState") -> float:
    import tenacity

    trouble = retry.outcome.exception() if retry.outcome else None
    asked = trouble.retry_after_s if isinstance(trouble, Transient) else None
    return tenacity.wait_exponential_jitter(multiplier=0.5, max=8)(retry) if asked is None else min(asked, 60.0)
