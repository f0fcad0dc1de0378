"""How a tuned model is made to answer where it does not by itself; the ledger calls it, once for each."""

import os
import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

from pipeline.backends.client import Connection
from pipeline.backends.effects import Found
from pipeline.backends.listing import NO_LIST, NoList
from pipeline.config.settings import Config, Deploy
from pipeline.errors import InputError
from pipeline.network import Transient, unproxied

if TYPE_CHECKING:
    import openai

ARM_TOKEN = "AZURE_ARM_TOKEN"
API_VERSION = "2024-10-01"
# The documentation writes the first in lower case; the other two are the names that ARM's own list of SKUs has.
SKUS = {"standard": "Standard", "global": "GlobalStandard", "developer": "DeveloperTier"}
FEES_USD = {"standard": 1.70, "global": 1.70, "developer": 0.0}
"""An hour, used or not. Microsoft Learn, "Plan and manage costs", fine-tuned models, 2026-03-19; the page wins."""
FEES_OF = "2026-03-19"
RESOURCE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+", re.IGNORECASE
)
_AZ = ("az", "account", "get-access-token", "--query", "accessToken", "--output", "tsv")
_AZ_S = 60.0


class Made(NamedTuple):
    """What was made, by the name that it answers to."""

    id: str


class Tuned(NamedTuple):
    """A tuned model as its job left it. `step` is that of the checkpoint to take; None is the last one."""

    model: str
    job: str
    base: str
    step: int | None


class Standing(NamedTuple):
    """How a deployment stands: as the provider says it, with its reason, and what that means."""

    said: str
    reason: str = ""
    is_up: bool = False
    has_failed: bool = False


class Hosting(Protocol):
    """One way to deploy. `client` is the run's own, for the API that also trains."""

    where: str
    """Kept in the ledger, so that a deployment can be removed when the config has no section for it any more."""

    def look(self, client: "openai.OpenAI") -> Found:
        """Those of ours that are there."""

    def make(self, client: "openai.OpenAI") -> Made:
        """Ask for it."""

    def standing(self, client: "openai.OpenAI", name: str) -> Standing:
        """How it stands now."""

    def remove(self, client: "openai.OpenAI", name: str) -> None:
        """Undo it."""


class AzureHosting:
    """By Azure's Resource Manager: PUT, GET and DELETE of a deployment, by a name that is computed.

    Source: Microsoft Learn, "Deploy a customized model" (REST), 2026-02-11.
    """

    def __init__(self, connection: Connection, settings: Deploy, where: str, name: str, tuned: Tuned | None) -> None:
        """Without `tuned` it can only be removed.

        Args:
            where: the resource's id, from /subscriptions on.
        """
        self.where, self._name, self._tuned, self._settings = where, name, tuned, settings
        self._connection = connection
        self._arm: openai.OpenAI | None = None

    def look(self, client: "openai.OpenAI") -> Found:  # noqa: ARG002, D102 - see Hosting
        import openai

        try:
            found = self._get(self._name)
        except openai.NotFoundError:
            return Found([])
        model = _dig(found, "properties", "model", "name")
        return Found([self._name] if self._tuned is None or model in (None, self._tuned.model) else [])

    def make(self, client: "openai.OpenAI") -> Made:  # noqa: ARG002, D102
        if self._tuned is None:
            raise ValueError("only to be removed")
        body = {
            "sku": {"name": SKUS[self._settings.sku], "capacity": self._settings.capacity},
            "properties": {"model": {"format": "OpenAI", "name": self._tuned.model, "version": "1"}},
        }
        made: Any = self._client().put(self._url(self._name), cast_to=object, body=body)
        return Made(self._name if isinstance(made, dict) else "")

    def standing(self, client: "openai.OpenAI", name: str) -> Standing:  # noqa: ARG002, D102
        found = self._get(name)
        state = _dig(found, "properties", "provisioningState") or "unknown"
        reason = _dig(found, "properties", "error", "message") or ""
        return Standing(state, reason, state == "Succeeded", state in ("Failed", "Canceled"))

    def remove(self, client: "openai.OpenAI", name: str) -> None:  # noqa: ARG002, D102
        self._client().delete(self._url(name), cast_to=object)

    def _get(self, name: str) -> object:
        return self._client().get(self._url(name), cast_to=object)

    def _client(self) -> "openai.OpenAI":
        if self._arm is None:
            self._arm = self._connection.client_at(self._settings.management_url, arm_token())
        return self._arm

    def _url(self, name: str) -> str:
        return f"{self.where}/deployments/{quote(name, safe='')}?api-version={API_VERSION}"


class NebiusHosting:
    """By activating a checkpoint as a model of one's own: POST /v0/models, then GET until it is active.

    Source: Nebius' cookbook, post-training/fine-tuning-1. The name that was asked for gets an ending there, so that a
    deployment whose answer was lost is found in the list, by the name before that ending. That there is a list is not
    documented; where there is none the ledger asks the user.
    """

    where = "v0/models"

    def __init__(self, connection: Connection, name: str, tuned: Tuned | None) -> None:
        self._root = re.sub(r"/v\d+/?$", "", connection.base_url.rstrip("/"))
        self._name, self._tuned, self._connection = name, tuned, connection

    def look(self, client: "openai.OpenAI") -> Found:  # noqa: D102 - see Hosting
        import openai

        try:
            listed: Any = client.get(f"{self._root}/v0/models", cast_to=object)
        except openai.APIStatusError as error:
            if error.status_code in NO_LIST:
                raise NoList from None
            raise
        rows = listed.get("data", listed.get("models")) if isinstance(listed, dict) else None
        if not isinstance(rows, list):
            raise Transient("the server's list makes no sense")
        names = [_dig(row, "name") or _dig(row, "id") or "" for row in rows if _dig(row, "status") != "error"]
        return Found([name for name in names if self._is_ours(name)])

    def _is_ours(self, name: str) -> bool:
        """Whether a model is called BASE-LoRA:OURS or BASE-LoRA:OURS-JuNN; the service adds the last four letters."""
        last = name.rpartition(":")[2] if ":" in name else ""
        return last == self._name or (last.startswith(f"{self._name}-") and "/" not in last)

    def make(self, client: "openai.OpenAI") -> Made:  # noqa: D102
        if self._tuned is None:
            raise ValueError("only to be removed")
        body = {
            "name": self._name,
            "base_model": self._connection.profile.serving_name(self._tuned.base),
            "source": f"{self._tuned.job}:{self._checkpoint(client, self._tuned)}",
            "description": "finetune",
        }
        made = client.post(f"{self._root}/v0/models", cast_to=object, body=body)
        return Made(_dig(made, "name") or "")

    def standing(self, client: "openai.OpenAI", name: str) -> Standing:  # noqa: D102
        found = client.get(self._url(name), cast_to=object)
        status = _dig(found, "status") or "unknown"
        return Standing(status, _dig(found, "status_reason") or "", status == "active", status == "error")

    def remove(self, client: "openai.OpenAI", name: str) -> None:  # noqa: D102
        client.delete(self._url(name), cast_to=object)

    def _url(self, name: str) -> str:
        return f"{self._root}/v0/models/{quote(name, safe='/:')}"

    @staticmethod
    def _checkpoint(client: "openai.OpenAI", tuned: Tuned) -> str:
        found = list(client.fine_tuning.jobs.checkpoints.list(tuned.job))
        if not found:
            raise InputError(
                "deploy", f"{tuned.job} has no checkpoint to activate", fix="Look at the job in the dashboard."
            )
        wanted = [each for each in found if each.step_number == tuned.step]
        return max(wanted or found, key=lambda each: (each.step_number or 0, each.created_at or 0)).id


def hosting_of(config: Config, connection: Connection, name: str, tuned: Tuned | None, where: str = "") -> Hosting:
    """How the configured backend deploys.

    Args:
        where: what the ledger has of an earlier deployment; without it the config says.

    Raises:
        InputError: it does not deploy, or the config lacks what that takes.
    """
    profile, settings = connection.profile, config.deploy or Deploy()
    if profile.deploys == "activation":
        return NebiusHosting(connection, name, tuned)
    if profile.deploys == "arm":
        return AzureHosting(connection, settings, where or resource_of(settings), name, tuned)
    raise InputError(
        "deploy",
        f"goes with backend.kind azure or nebius; a model of {profile.title} answers as soon as it is trained",
        got=config.backend.kind,
        fix="Take the section deploy away.",
    )


def resource_of(settings: Deploy) -> str:
    """The Azure resource that deployments are made in, as the portal shows its id.

    Raises:
        InputError: it is not given, is none, or the token would travel in the clear.
    """
    given = (settings.resource or "").rstrip("/")
    if not RESOURCE.fullmatch(given):
        raise InputError(
            "deploy.resource",
            "expected the id of your Azure OpenAI resource",
            got=given or "nothing",
            fix="Copy it from the portal (Overview, JSON View): /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.CognitiveServices/accounts/NAME.",
        )
    if urlsplit(settings.management_url).scheme != "https" and not unproxied(settings.management_url):
        raise InputError(
            "deploy.management_url",
            "the token for it would travel in the clear",
            got=settings.management_url,
            fix="Use https.",
        )
    return given


def fee_of(config: Config, connection: Connection) -> float:
    """US dollars an hour that a deployment costs as long as it stands, used or not."""
    settings = config.deploy or Deploy()
    return FEES_USD[settings.sku] if connection.profile.deploys == "arm" else 0.0


def refuse_fee(config: Config, connection: Connection) -> None:
    """Hold `deploy.max_usd_per_hour`.

    Raises:
        InputError: it would cost more.
    """
    fee, most = fee_of(config, connection), (config.deploy or Deploy()).max_usd_per_hour
    if fee > most:
        raise InputError(
            "deploy.max_usd_per_hour",
            f"this deployment costs about ${fee:.2f} for each hour that it stands, used or not (prices of {FEES_OF})",
            got=f"${most:.2f}",
            fix="Raise it, or keep deploy.sku: developer, which has no such fee and is gone after 24 hours.",
        )


def check(config: Config, connection: Connection) -> None:
    """See that the backend deploys, that the fee is allowed, and that there is what it takes; nothing is sent.

    Raises:
        InputError: one of them is not so.
    """
    hosting_of(config, connection, "", None)
    refuse_fee(config, connection)
    if connection.profile.deploys == "arm":
        arm_token()


def arm_token(ask: "Callable[[], str] | None" = None) -> str:
    """A token for Azure's Resource Manager: from the environment, else from the `az` that is logged in.

    Raises:
        InputError: neither has one.
    """
    token = os.environ.get(ARM_TOKEN, "").strip() or (ask or _ask_az)()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"environment {ARM_TOKEN}",
            "not set, and `az account get-access-token` gives none; a deployment is made by Azure's Resource Manager, "
            "which takes no API key",
            fix=f"Run `az login`, or set {ARM_TOKEN} to a token for https://management.azure.com.",
        )
    return token


def _ask_az() -> str:
    try:
        done = subprocess.run(_AZ, capture_output=True, text=True, timeout=_AZ_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _dig(value: object, *path: str) -> str | None:
    """The text at a path in an answer; None where there is none."""
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
