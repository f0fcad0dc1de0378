"""Every store and every queue there is; the tests beside this file name none of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.server.interfaces import Queue
from pipeline.server.queue.supervisor import Supervisor
from pipeline.server.settings import ServerSettings
from pipeline.server.storage.store import Store
from tests.server.interfaces.material import Storage, WallClock
from tests.server.memory_queue import MemoryQueue
from tests.server.memory_store import MemoryStore


@pytest.fixture
def wall() -> WallClock:
    return WallClock()


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, wall: WallClock) -> Iterator[Storage]:
    if request.param == "memory":
        yield MemoryStore(tmp_path / "store", clock=wall)
        return
    opened = Store(tmp_path / "store", clock=wall)
    yield opened
    opened.close()


@pytest.fixture(params=["supervisor", "memory"])
def make_queue(request: pytest.FixtureRequest, tmp_path: Path, store: Storage) -> Iterator[Callable[[], Queue]]:
    """Makes queues that share the store; each has taken note of what the store holds, and is yet to be started."""
    script = tmp_path / "script.json"
    script.write_bytes(msgspec.json.encode({"steps": 2}))
    settings = ServerSettings(tmp_path / "server", "sk-contract", trainer="scripted", script=script)
    made: list[Queue] = []

    def make() -> Queue:
        if request.param == "memory":
            made.append(MemoryQueue(settings, store))
        else:
            supervisor = Supervisor(settings, store)
            supervisor.recover()
            made.append(supervisor)
        return made[-1]

    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def queue(make_queue: Callable[[], Queue]) -> Queue:
    return make_queue()
