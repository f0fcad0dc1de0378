"""A run that an earlier version finished is finished: nothing runs again, and its model answers."""

import json
import lzma
import shutil
from pathlib import Path

import pytest

from tests.command import Workshop
from tests.test_command import NAMES

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """The run directory as it was left: see golden/README.md."""
    shop = Workshop(tmp_path)
    shop.config.write_bytes((GOLDEN / "finished_run.yaml").read_bytes())
    shutil.copytree(GOLDEN / "finished_run", shop.run_dir)
    for packed in list(shop.run_dir.rglob("*.xz")):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    return shop


def contents(shop: Workshop) -> dict[str, bytes]:
    """Every file but those that say who was at work and when files were looked at."""
    aside = {"state.lock", "state.json", "state.json.prev", "run.log"}
    files = (path for path in shop.run_dir.rglob("*") if path.is_file() and path.name not in aside)
    return {str(path.relative_to(shop.run_dir)): path.read_bytes() for path in files}


def test_an_earlier_finished_run_is_finished(shop: Workshop) -> None:
    rows = [json.loads(line) for line in shop.finetune("status", "run.yaml", "--json").out.splitlines()]
    assert [(row["step"], row["state"], row["would_run"]) for row in rows] == [(name, "done", None) for name in NAMES]
    files, before = contents(shop), shop.state()
    again = shop.run()
    assert (again.code, again.err, again.skipped, again.ran) == (0, "", NAMES, [])
    assert contents(shop) == files
    after = shop.state()
    assert after["remote"] == before["remote"]
    for name, record in before["steps"].items():
        now = {key: after["steps"][name][key] for key in record}  # later versions may say more
        assert {**now, "stats": None} == {**record, "stats": None}, "the files were only read anew"


def test_the_model_of_an_earlier_run_answers(shop: Workshop) -> None:
    said = shop.finetune("chat", "run.yaml", "--message", "What's the golden thread?")
    assert (said.code, said.err, said.out) == (0, "", "      Tortoise Slow and steady, that's my motto.\n")


def test_the_golden_run_is_small_and_tells_nothing_of_the_machine_it_was_made_on() -> None:
    files = [path for path in (GOLDEN / "finished_run").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000
    raw = [lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes() for path in files]
    assert not [place for place in (b"/tmp/", b"/home/", b"/root/", b"/Users/") if any(place in each for each in raw)]
