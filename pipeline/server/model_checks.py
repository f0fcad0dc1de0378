"""Checks of base models on disk, for requests: one at a time in a thread of their own, and ended with the server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pipeline.errors import InputError
from pipeline.models.model_check import CheckEnded, Checker
from pipeline.server.http.envelope import ApiError


class ModelChecks:
    """A check takes seconds, a core and a gigabyte: no request holds one of the threads that answer all others."""

    def __init__(self) -> None:
        self._checker = Checker()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model-check")

    def recall(self, name: str) -> bool:
        """Whether it is known already that a base model can be trained.

        Raises:
            ApiError: 400, it is known that it cannot.
        """
        try:
            return self._checker.recall(name)
        except InputError as error:
            raise _refusal(error) from None

    async def check(self, name: str) -> None:
        """Wait for a check of a base model; those who ask meanwhile share it.

        Raises:
            ApiError: 400, it cannot be trained; 503, the server is stopping.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._checker.check, name)
        except InputError as error:
            raise _refusal(error) from None
        except CheckEnded:
            raise ApiError(503, "The server is shutting down.") from None

    def end(self) -> None:
        """End the check at work, and refuse all others. Safe in a signal handler."""
        self._checker.end()

    def close(self) -> None:
        """End them, and wait for their thread."""
        self.end()
        self._thread.shutdown(cancel_futures=True)


def _refusal(error: InputError) -> ApiError:
    return ApiError(400, str(error), param="model", code="invalid_model")
