"""Any order of trouble: Hypothesis chooses, and shrinks what it finds to a few lines."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.harness import Lab
from tests.chaos.model import Machine, prepared

EXAMPLES = 150


@pytest.mark.parametrize("half", [0, 1])
def test_whatever_happens_in_whatever_order_nothing_is_paid_twice(lab: Lab, half: int) -> None:
    with prepared(lab) as template:
        # A class of its own, and so a seed of its own, for each half.
        machine = type(f"Machine{half}", (Machine,), {"lab": lab, "template": template})
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=6,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
