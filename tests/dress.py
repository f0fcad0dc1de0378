"""The fault server dressed as Azure OpenAI and as Nebius: where they differ from OpenAI, by what is documented of them.

Sources: Microsoft Learn, "Customize a model with fine-tuning" and "Deploy a customized model" (2026); Nebius' cookbook,
post-training/fine-tuning-1, whose notebook holds the answers that it got.
"""

import codecs
import hashlib
import re
import urllib.parse
from typing import Any

from tests.fault_server import FaultServer, Refused

Json = dict[str, Any]
ARM_TOKEN = "arm-token-7f3a90c2d1"
RESOURCE = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/tortoise"


class Azure:
    """Azure OpenAI, and Azure's Resource Manager on the same port.

    Attributes:
        deployer: whether the token's role suffices to deploy.
        requests: each job as it was asked for.
    """

    def __init__(self) -> None:
        self.deployer = True
        self.requests: list[Json] = []

    def begin(self, job: Json, request: Json) -> None:
        suffix = request.get("suffix") or ""
        if len(suffix) > 18 or "." in suffix:
            raise Refused(400, "The suffix is invalid.")
        self.requests.append(request)
        job["status"] = "pending"

    def finish(self, job: Json) -> None:
        digest = hashlib.md5(job["training_file"].encode(), usedforsecurity=False).hexdigest()
        job["fine_tuned_model"] = f"{job['model']}.ft-{digest}"

    def store(self, file: Json, content: bytes) -> None:
        if not content.startswith(codecs.BOM_UTF8):
            file |= {"status": "error", "status_details": "The file is not UTF-8 with a byte order mark."}

    def serves(self, server: FaultServer, model: str) -> bool:
        row = server.deployments.get(model)
        return row is not None and bool(row["properties"]["provisioningState"] == "Succeeded")

    def admit(self, authorization: str, url: urllib.parse.SplitResult) -> None:
        if authorization != f"Bearer {ARM_TOKEN}":
            raise Refused(401, "The access token is invalid.", "InvalidAuthenticationToken")
        if not self.deployer:
            raise Refused(403, "The client does not have authorization to perform this action.", "AuthorizationFailed")
        if "api-version=" not in url.query:
            raise Refused(400, "The api-version query parameter (?api-version=) is required.")

    def deploy(self, server: FaultServer, url: urllib.parse.SplitResult, request: Json) -> Json:
        name = self.deployment_at(url)
        server.made_deployments += name not in server.deployments
        properties = {**request["properties"], "provisioningState": "Creating"}
        server.deployments[name] = {"name": name, "sku": request["sku"], "properties": properties, "looks": 0}
        return server.deployments[name]

    def deployment_at(self, url: urllib.parse.SplitResult) -> str:
        return urllib.parse.unquote(url.path.rpartition("/deployments/")[2])

    def look_at(self, row: Json, course: tuple[str, ...]) -> None:
        states = course or ("Accepted", "Creating", "Succeeded")
        row["properties"]["provisioningState"] = states[min(row["looks"], len(states) - 1)]
        row["looks"] += 1


class Nebius:
    """Nebius Token Factory: its learning rates are absolute, and a checkpoint is activated as a model of one's own."""

    def __init__(self) -> None:
        self.requests: list[Json] = []

    def begin(self, job: Json, request: Json) -> None:
        self.requests.append(request)
        given = request.get("hyperparameters") or {}
        if "method" in request or "auto" in given.values():
            raise Refused(400, "Unknown hyperparameters.")
        job |= {"status": "running", "metadata": None}

    def finish(self, job: Json) -> None:
        job["fine_tuned_model"] = None
        if self.requests[-1]["hyperparameters"].get("learning_rate_multiplier", 0.0) > 1e-2:
            job |= {"status": "failed", "error": {"code": "diverged", "message": "The loss is not a number."}}

    def store(self, file: Json, content: bytes) -> None:  # noqa: ARG002 - see Dress
        file["status"] = None

    def serves(self, server: FaultServer, model: str) -> bool:
        if model == "meta-llama/Meta-Llama-3.1-8B-Instruct":
            return True
        return bool(server.deployments.get(model, {}).get("status") == "active")

    def admit(self, authorization: str, url: urllib.parse.SplitResult) -> None:
        pass

    def deploy(self, server: FaultServer, url: urllib.parse.SplitResult, request: Json) -> Json:  # noqa: ARG002
        if request["base_model"] != "meta-llama/Meta-Llama-3.1-8B-Instruct":
            raise Refused(400, f"LoRA is not supported for {request['base_model']}.")
        server.made_deployments += 1
        name = f"{request['base_model']}-LoRa:{request['name']}-Ju{server.made_deployments:02}"
        server.deployments[name] = {**request, "name": name, "status": "validating", "looks": 0}
        return server.deployments[name]

    def deployment_at(self, url: urllib.parse.SplitResult) -> str:
        return urllib.parse.unquote(re.split("/v0/models/", url.path)[1])

    def look_at(self, row: Json, course: tuple[str, ...]) -> None:
        states = course or ("unknown", "active")
        row["status"] = states[min(row["looks"], len(states) - 1)]
        row["looks"] += 1
