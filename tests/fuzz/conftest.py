"""How long fuzzing takes: a few seconds a target; FINETUNE_FUZZ=N multiplies the examples by N."""

import os

from hypothesis import HealthCheck, settings

MORE = int(os.environ.get("FINETUNE_FUZZ", "1"))


def fuzz(examples: int) -> settings:
    """Settings of a fuzz test: every example has two seconds on a busy machine before it counts as a hang."""
    return settings(
        max_examples=examples * MORE,
        deadline=5000,
        derandomize=MORE == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )
