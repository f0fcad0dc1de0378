"""What many tests share: a clock that never waits."""

import datetime
import os

import pytest
from hypothesis import HealthCheck, settings

# Busy machines are slow machines: a property holds or not, however long that takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class FakeClock:
    """Time passes only in `sleep`; every wait is remembered."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed += seconds

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.elapsed - 1000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys and settings decide no test."""
    for name in list(os.environ):
        if name.startswith("FINETUNE_") and name != "FINETUNE_CACHE_DIR":
            monkeypatch.delenv(name)
        if name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "NEBIUS_API_KEY"):
            monkeypatch.delenv(name)
