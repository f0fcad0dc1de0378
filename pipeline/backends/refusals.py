"""What a backend's refusal means and what to do about it, in one message."""

import contextlib
import time
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

import openai

from pipeline.backends.answers import Endless, Nonsense
from pipeline.backends.closing import SWITCH
from pipeline.backends.profiles import Profile
from pipeline.errors import BackendFailed, FinetuneError, InputError, MakesNoSense, TryLater
from pipeline.network import Transient, retry_after
from pipeline.state.file import CREATE_JOB, DEPLOY

_NOT_ALLOWED = ("not allowed", "not permitted", "no longer", "wind", "not available", "does not have access to fine")
_MAY_PASS = (408, 409, 429)
_MAY_BE_DONE = (303, 408, 409)  # See Other is the answer to a request that was carried out
_DISK_FULL = 507  # Insufficient Storage, as the embedded server says


def never_sent(error: openai.APIError) -> bool:
    """Whether the request surely did not reach the server: no connection was made at all."""
    cause = _cause(error)
    return isinstance(error, openai.APIConnectionError) and type(cause).__name__ in ("ConnectError", "ConnectTimeout")


def definitely_refused(error: openai.APIError) -> bool:
    """Whether the server surely did not do what was asked. Anything else may have been done."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code < 500 and error.status_code not in _MAY_BE_DONE
    return never_sent(error)


def is_endless(error: Exception | None) -> bool:
    """Whether the answer was cut after as long as any may take."""
    return isinstance(_cause(error), Endless)


def transient(error: openai.APIError) -> Transient | None:
    """The same error as something that polling outlives, or None if it will not pass by itself."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code >= 500 or error.status_code in _MAY_PASS:
            wait = retry_after(error.response.headers, time.time())
            full = ": its disk is full" if error.status_code == _DISK_FULL else ""
            return Transient(f"the server answered {error.status_code}{full}", error, wait)
        return None
    if isinstance(error, openai.APITimeoutError):
        return Transient("the server did not answer in time", error)
    cause = _cause(error)
    if isinstance(cause, Nonsense):
        return Transient(f"the server's answer makes no sense: {cause}", error)
    if isinstance(error, openai.APIConnectionError):
        return Transient("the server cannot be reached", error)
    return Transient("the server's answer makes no sense", error)


def explain(
    where: str, error: Exception | None, profile: Profile, base_url: str, quote: Callable[[str], str]
) -> FinetuneError:
    """The message for a user. The server's own words go through `quote`; they never hold our key."""
    cause = _cause(error)
    if isinstance(cause, Nonsense):
        return MakesNoSense(
            where,
            f"what {profile.title} answers makes no sense ({cause})",
            fix="Check backend.base_url, then run again.",
        )
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIStatusError | openai.APIConnectionError):
        said = quote(error.message).rstrip(".")  # in the middle of a stream
        return TryLater(where, f"{profile.title} answered with an error ({said})", fix="Run again later.")
    if not isinstance(error, openai.APIStatusError):
        return TryLater(
            where,
            f"{profile.title} cannot be reached at {base_url} ({_reason(error)})",
            fix="Check backend.base_url and the network, then run again.",
        )
    said = quote(_said(error)).rstrip(".")
    status = error.status_code
    if 300 <= status < 400:
        return _sent_elsewhere(where, error, base_url)
    if where == DEPLOY and status in (401, 403):
        return InputError(where, f"{profile.title} does not let us deploy ({said})", fix=profile.may_deploy)
    if error.code == "DeploymentNotFound":
        return InputError(
            where,
            f"{profile.title} has no deployment of that name ({said})",
            fix="Add a section `deploy` to the config, as docs/backends.md shows; if there is one, "
            "`finetune run CONFIG --from deploy`: a developer deployment is gone after 24 hours.",
        )
    if status == 401:
        return InputError(
            where,
            f"{profile.title} refuses the key ({said})",
            fix=f"Set {profile.key_env or 'FINETUNE_SERVER_KEY'} to a valid key.",
        )
    if error.code in ("model_not_found", "model_not_available") or (status in (400, 404) and error.param == "model"):
        return InputError(where, f"{profile.title} has no such model ({said})", fix="Change create_job.model.")
    is_buying = where == CREATE_JOB  # then a refusal is about fine-tuning itself, not about what the key may do
    if status == 403 and not is_buying:
        return InputError(
            where,
            f"{profile.title} does not permit this ({said})",
            fix=f"Check what the key in {profile.key_env or 'FINETUNE_SERVER_KEY'} may do there.",
        )
    if status == 403 or (is_buying and status == 400 and any(w in said.lower() for w in _NOT_ALLOWED)):
        closed = f". {profile.note.rstrip('.')}" if profile.closing else ""
        return InputError(
            where, f"{profile.title} does not let this organisation fine-tune ({said}){closed}", fix=SWITCH
        )
    if status == 429:
        return TryLater(
            where, f"{profile.title} says: too many requests or no credit left ({said})", fix="Run again later."
        )
    if status >= 500 or status in _MAY_PASS:
        return TryLater(where, f"{profile.title} answered {status} ({said})", fix="Run again later.")
    return BackendFailed(
        where, f"{profile.title} answered {status} ({said})", fix="Change what it names, then run again."
    )


def _sent_elsewhere(where: str, error: openai.APIStatusError, base_url: str) -> FinetuneError:
    """Where chats and keys go is the config's to say, never a server's."""
    to = "nowhere"
    with contextlib.suppress(ValueError):  # of a host that is none
        location = error.response.headers.get("location", "")
        target = urlsplit(urljoin(base_url, location))
        if target.netloc and location:
            path = target.path if target[:2] == urlsplit(base_url)[:2] else ""
            to = f"{target.scheme}://{target.netloc.rpartition('@')[2]}{path}"
    return InputError(
        where,
        f"{base_url} sends requests on to {to} ({error.status_code}), and that is not followed",
        fix="If you trust that place, set backend.base_url to the address of the API there.",
    )


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) and message else f"status {error.status_code}"


def _cause(error: BaseException | None) -> BaseException | None:
    """What the SDK's error came of; LangChain wraps that error in another one."""
    cause = error.__cause__ if error else None
    return _cause(cause) if isinstance(cause, openai.APIError) else cause


def _reason(error: Exception | None) -> str:
    cause = _cause(error)
    return " ".join(str(cause or error).split())[:200] or type(cause).__name__
