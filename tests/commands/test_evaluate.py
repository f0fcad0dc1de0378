"""`finetune evaluate` measures the model of a run whose config has no such section, and says it again for nothing."""

from pathlib import Path

from tests.command import Workshop

MEASURED = (
    "Only leaks were looked for: no phone number, code or other secret stands in the training, so that none can "
    "come out"
)
ADVISED = (
    "What would help: More chats: 58 replies to learn from are few, and from 1,000 on it takes hold.",
    "Left out: likeness, surprise and sense, for which 30 replies must be held out of training and 0 are "
    "(convert.validation_fraction: auto holds the last tenth out, once that makes so many)",
)


def test_a_run_is_measured_that_did_not_ask_for_it_and_stays_as_it_was(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    early = shop.finetune("evaluate", "run.yaml")
    assert early.code == 2
    assert early.err.startswith("error: poll_job: not done yet. Run ")
    assert shop.run("--until", "poll_job").code == 0
    first = shop.finetune("evaluate", "run.yaml")
    assert first.code == 0, first.err
    said = [line for line in first.out.splitlines() if line.strip() in ADVISED or line.endswith(MEASURED)]
    assert [line.strip() for line in said[:-1]] == list(ADVISED), "each is said once, and last what was measured"
    assert said[-1].startswith("11/11 evaluate ")
    again = shop.finetune("evaluate", "run.yaml")
    assert (again.code, again.out.splitlines()) == (0, [f"{MEASURED}.", *ADVISED])
    assert "evaluate" not in shop.finetune("status", "run.yaml").out
