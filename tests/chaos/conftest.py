"""One laboratory for all scenarios of a test process."""

from collections.abc import Iterator

import pytest

from tests.chaos.harness import Lab, laboratory


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with laboratory() as found:
        yield found
