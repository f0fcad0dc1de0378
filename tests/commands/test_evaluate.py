"""`finetune evaluate` measures the model of a run whose config has no such section, and says it again for nothing."""

from pathlib import Path

from tests.command import Workshop

SAID = (
    "Not measured: likeness, surprise and sense: too few to measure, 0 replies are held out of training and 30 are "
    "needed (convert.validation_fraction: auto holds some out)."
)


def test_a_run_is_measured_that_did_not_ask_for_it_and_stays_as_it_was(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    early = shop.finetune("evaluate", "run.yaml")
    assert early.code == 2
    assert early.err.startswith("error: poll_job: not done yet. Run ")
    assert shop.run("--until", "poll_job").code == 0
    first = shop.finetune("evaluate", "run.yaml")
    assert first.code == 0, first.err
    assert SAID in first.out
    again = shop.finetune("evaluate", "run.yaml")
    assert (again.code, again.out.splitlines()[0]) == (0, SAID)
    assert "evaluate" not in shop.finetune("status", "run.yaml").out
