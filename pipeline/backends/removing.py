"""The part of the ledger that takes back what was made on a backend, and writes down that it is gone."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.backends.client import Connection
from pipeline.state.file import DEPLOY, State

if TYPE_CHECKING:
    import openai

    from pipeline.backends.hosting import Hosting


class Removing:
    """What was made, removed; that may be repeated safely, so nothing is written down before."""

    def __init__(self, state: State, connection: Connection) -> None:
        self._state = state
        self._connection = connection

    def delete_file(self, file_id: str) -> None:
        """Remove an uploaded file from the backend; one that is gone already is fine."""
        self._delete("cleanup", lambda client: client.files.delete(file_id))
        self._deleted(file_id)

    def delete_model(self, name: str) -> None:
        """Remove a tuned model from the backend; one that is gone already is fine."""
        self._delete("delete", lambda client: client.models.delete(name))

    def standing(self, besides: str | None = None) -> list[str]:
        """The deployments of this account that we made and did not remove."""
        made, here = self._state.body.remote.values(), self._connection.identity
        return [
            str(each.remote_id) for each in made if each.stands and each.account == here and each.remote_id != besides
        ]

    def where_deployed(self, name: str) -> str:
        """Where a deployment of ours was made, as `Hosting.where` has it."""
        made = self._state.body.remote.values()
        return next((each.made_of for each in made if each.stands and each.remote_id == name and each.made_of), "")

    def undeploy(self, hosting: "Hosting", name: str) -> None:
        """Remove a deployment; one that is gone already is fine."""
        self._delete(DEPLOY, lambda client: hosting.remove(client, name))
        self._deleted(name)

    def _deleted(self, remote_id: str) -> None:
        for attempt in self._state.body.remote.values():
            if attempt.remote_id == remote_id:
                attempt.deleted = True
        self._state.save()

    def _delete(self, where: str, ask: "Callable[[openai.OpenAI], object]") -> None:
        def delete(client: "openai.OpenAI") -> None:
            from openai import NotFoundError

            with contextlib.suppress(NotFoundError):
                ask(client)

        self._connection.ask(where, delete)

    def has_sent(self, *file_ids: str | None) -> bool:
        """Whether we sent one of these files with this account, and have not deleted it since."""
        here, made = self._connection.identity, self._state.body.remote.values()
        sent = {each.remote_id for each in made if each.account == here and not each.deleted}
        return not sent.isdisjoint(filter(None, file_ids))
