"""What the Hugging Face Hub says no with, in words that tell what to do."""

from pathlib import Path

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pipeline.errors import FinetuneError, InputError, TryLater
from pipeline.models.hub_cache import HubName

AGAIN = "Check the network, then run the same command again: what has come is kept."
_PASSING_STATUS = (408, 425, 429)
_UNREACHED = (httpx2.TransportError, LocalEntryNotFoundError)


def said(error: BaseException) -> str:
    """An error's own words on one line, or what kind it is."""
    first = str(error).strip().splitlines()[:1]
    return first[0][:200] if first else type(error).__name__


def may_pass(error: Exception) -> bool:
    """Whether the same request may go well in a moment."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status in _PASSING_STATUS or status >= 500
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.UnsupportedProtocol)


def is_away(error: Exception) -> bool:
    """Whether the Hub could not be asked, or could not answer."""
    if isinstance(error, LocalEntryNotFoundError):
        return error.__cause__ is None or not isinstance(error.__cause__, HfHubHTTPError) or may_pass(error.__cause__)
    return may_pass(error)


def explained(
    name: HubName, error: Exception, endpoint: str, *, has_token: bool, pinned: bool = False
) -> FinetuneError:
    """The error to show.

    Args:
        endpoint: where the Hub is.
        has_token: the request had one.
        pinned: the commit is one that this run has trained with before.
    """
    where, page = f"base model {name.repo}", f"{endpoint}/{name.repo}"
    token = f"a token of yours ({endpoint}/settings/tokens)"
    if isinstance(error, GatedRepoError):
        whose = "the token that is set has no access to it" if has_token else "no token is set"
        fix = f"Accept its terms at {page}, set HF_TOKEN to {token}, then run the same command again."
        return InputError(where, f"is gated: its authors want to be asked first, and {whose}", fix=fix)
    if isinstance(error, RevisionNotFoundError):
        return _no_revision(name, page, pinned)
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, DisabledRepoError):
        return InputError(where, "is disabled on the Hub, by its authors or by the Hub", fix="Choose another model.")
    if status in (401, 403) and has_token and not isinstance(error, RepositoryNotFoundError):
        return InputError(
            where, f"the Hub refuses the token that is set (HTTP {status})", fix=f"Set HF_TOKEN to {token}."
        )
    if isinstance(error, RepositoryNotFoundError | RemoteEntryNotFoundError) or status in (401, 403, 404):
        private = "or it is not for the token that is set" if has_token else "or it is private"
        beside = f"; for the folder that is here, write ./{name.repo}" if Path(name.repo).is_dir() else ""
        fix = f"Check its name at {page}{'' if has_token else f'; for a private one set HF_TOKEN to {token}'}{beside}."
        return InputError(where, f"there is no such model on the Hub, {private}", fix=fix)
    if is_away(error):
        return TryLater(where, f"the Hub at {endpoint} does not answer ({said(error)})", fix=AGAIN)
    if status is not None:
        return TryLater(where, f"the Hub at {endpoint} answered with HTTP {status}", fix="Run the same command later.")
    what = f"what the Hub at {endpoint} answers makes no sense ({type(error).__name__}: {said(error)})"
    return TryLater(where, what, fix="Check HF_ENDPOINT, or run the same command later.")


def _no_revision(name: HubName, page: str, pinned: bool) -> InputError:
    where = f"base model {name.repo}"
    if pinned:
        return InputError(
            where,
            "the commit that this run has trained with is not on the Hub any more",
            got=name.revision,
            fix="Run `finetune forget CONFIG create_job`, and the next run takes what is there today.",
        )
    fix = f"Name a branch, a tag or a whole commit id that is there: {page}/commits/main."
    return InputError(where, "has no such revision", got=name.revision, fix=fix)
