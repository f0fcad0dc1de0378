"""Who works on which job."""

import json
import threading
from collections.abc import Callable

from pipeline.server import responses
from pipeline.server.logs import logger
from pipeline.server.records import JobRecord
from pipeline.server.storage.database import Database
from pipeline.server.storage.rows import damaged_column, read_job


class Claims:
    """The jobs that somebody works on: threads of this process, which alone serves the store."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.Lock()
        self._claimed: set[str] = set()

    def take(self, status: responses.Status, fail: Callable[[JobRecord, responses.JobError], None]) -> JobRecord | None:
        """Claim the oldest job in `status` that nobody holds.

        Args:
            fail: called with each older one whose row is damaged; it must not stay in `status`.
        """
        sql = "SELECT * FROM jobs WHERE status = ? AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT 1"
        with self._lock:
            while rows := self._db.rows(sql, (status, json.dumps(list(self._claimed)))):
                job = read_job(rows[0])
                if (column := damaged_column(rows[0])) is None:
                    self._claimed.add(job.id)
                    return job
                logger.warning("the record of %s in the store is damaged, and the job fails", job.id)
                what = f"The record of this job in the server's store is damaged ({column})."
                fail(job, responses.JobError("server_error", f"{what} Please create the job again.", None))
        return None

    def let_go(self, job_id: str) -> None:
        """Let others claim it."""
        with self._lock:
            self._claimed.discard(job_id)
