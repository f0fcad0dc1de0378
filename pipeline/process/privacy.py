"""What this process must not let out: chats by switches of the environment, in core dumps, in readable files; keys.

Observability tools are set up once for a whole machine or container, and would take private chats along unasked.
"""

import contextlib
import os
import re
import resource
from collections.abc import Callable, Iterator

_PREFIXES = (
    # langsmith.utils.get_env_var, langchain_core.callbacks.manager and langchain_core.utils._gateway read these.
    "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_",
    # transformers.integrations and trl report to these where they are installed.
    "WANDB_", "MLFLOW_", "COMET_", "NEPTUNE_", "CLEARML_", "DVCLIVE_", "SWANLAB_", "TRACKIO_", "AIM_",
    "OTEL_", "TRACELOOP_", "LANGFUSE_", "SENTRY_", "LOGFIRE_",
)  # fmt: skip
_NAMES = (
    "OPENAI_LOG",  # the SDK prints requests, with all that is in them
    "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_PROXY",  # where requests go is the config's to say
    "OPENAI_API_TYPE", "OPENAI_API_VERSION",
    "LC_OUTPUT_VERSION",  # langchain_openai then asks another API, or gives answers another form
    "HF_DEBUG",
    "HF_ENDPOINT",  # see `for_the_hub`, as for the tokens
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
    "SSLKEYLOGFILE",  # Python's ssl writes the keys there by which whatever is sent can be read
)  # fmt: skip
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_OF_THE_HUB = ("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # huggingface_hub.constants takes either
_ALONE = {
    **{name: "1" for name in _OFFLINE if name not in _OFFLINE_SWITCHES},
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_XET": "1",  # what is cut short there begins anew; plain HTTP goes on
    "HF_HUB_VERBOSITY": "error",
}
_TRACING = (
    "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_HANDLER",
)  # fmt: skip
_ACCOUNT = ("OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID")
_NEVER_TRACING = ("LANGCHAIN_HANDLER", "LANGSMITH_GATEWAY", "LANGCHAIN_WANDB", "LANGCHAIN_COMET")
"""LangChain refuses to work with the first; the second redirects requests; the others send to more than LangSmith."""

_given: dict[str, str] = {}
_withheld: dict[str, str] = {}
_asked_offline: list[str] = []
"""What the user's own switches said, once ours stand in their place."""
_umask: int | None = None
_keys: set[str] = set()
HIDDEN_KEY = "[key]"
_SHORTEST_KEY = 8  # characters; a shorter one is a placeholder such as "none", and also a part of other words
_BEARER = re.compile(r"(?i)(\bbearer\s+)(?=[^\s\"',;]*\d)[^\s\"',;]{16,}")


def withhold() -> None:
    """Take such variables out of the environment of this process and its children, and keep Hugging Face offline."""
    if not _given:
        _given.update(os.environ)
    for name in [name for name in os.environ if name.startswith(_PREFIXES) or name in _NAMES]:
        _withheld[name] = os.environ.pop(name)
        if name.endswith("_TOKEN"):
            remember_key(_withheld[name])
    if not _asked_offline:
        _asked_offline.extend(os.environ.get(name, "") for name in _OFFLINE_SWITCHES)
    os.environ.update(_OFFLINE)


def as_given() -> dict[str, str]:
    """The environment that the user gave this command, for another command of theirs: it withholds by itself."""
    return dict(_given or os.environ)


def is_offline() -> bool:
    """Whether the user wants nothing asked of the Hugging Face Hub (HF_HUB_OFFLINE)."""
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in _asked_offline)


def for_the_hub() -> dict[str, str]:
    """The environment for the one process that fetches a model: it may know the user's token and address of the Hub.

    No other process does. Telemetry stays off there, too, and no other keys are in it.
    """
    found = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    for name in _OFFLINE_SWITCHES:
        found.pop(name, None)
    ours = {name: value for name, value in _withheld.items() if name in _OF_THE_HUB}
    return {**found, **ours, **_ALONE}


def ordinary_umask() -> int:
    """What this process was started with: the user's Hugging Face cache may be shared with others."""
    return -1 if _umask is None else _umask


def withhold_account() -> None:
    """Keep to the embedded backend's own key: a header for another one may replace it, or be none that can be sent."""
    for name in _ACCOUNT:
        os.environ.pop(name, None)


@contextlib.contextmanager
def tracing(wanted: bool, note: Callable[[str], None]) -> Iterator[None]:
    """For the block in which LangChain works: traced as the environment says if that is wanted, else not at all.

    Args:
        note: is told if the environment asks for what is not wanted.
    """
    withhold()
    asked = [name for name in _TRACING if _withheld.get(name, "").lower() not in ("", "0", "false")]
    if not wanted:
        from langsmith import tracing_context

        if asked:
            note(f"{asked[0]} is set, but prompts and answers go to no tracer. smoke_test.tracing: true sends them.")
        with tracing_context(enabled=False):
            yield
        return
    ours = {name: value for name, value in _withheld.items() if _is_for_tracing(name, value)}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _is_for_tracing(name: str, value: str) -> bool:
    if name.startswith(_NEVER_TRACING) or (name == "LANGCHAIN_TRACING" and value != "true"):
        return False
    return name.startswith(("LANGSMITH_", "LANGCHAIN_", "OTEL_"))


def settle_process() -> None:
    """Make files 0600 and folders 0700 by default, and leave no core dump, which would hold chats and keys.

    Processes that are started from here inherit both.
    """
    global _umask
    before = os.umask(0o077)
    _umask = before if _umask is None else _umask
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def remember_key(key: str) -> None:
    """`key` is in use: `without_keys` hides it from now on."""
    if key:
        _keys.add(key)


def without_keys(text: str) -> str:
    """`text` without the keys in use and without other bearer tokens: servers repeat what they are sent."""
    for key in sorted(_keys, key=len, reverse=True):  # one may begin with another
        if key in text:
            hidden = key if len(key) >= _SHORTEST_KEY else f"Bearer {key}"
            text = text.replace(hidden, hidden.removesuffix(key) + HIDDEN_KEY)
    return _BEARER.sub(rf"\1{HIDDEN_KEY}", text)
