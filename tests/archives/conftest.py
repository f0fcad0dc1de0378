from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.archives.phone import Phone


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    phone = Phone(tmp_path / "chat.db")
    with closing(phone.db):
        yield phone
