import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.site import Fetch, Site


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    site.released.set()
    site.server.shutdown()
    thread.join()
    site.server.server_close()


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetch:
    return Fetch(site, tmp_path)
