"""A comparison counts what is the same, near or otherwise in form, and shows the worst first."""

import json
import sys
from pathlib import Path

import pytest

from pipeline.commands.serve import _aliases
from pipeline.errors import InputError
from pipeline.rescue.asking import Way
from pipeline.rescue.folders import folder_of
from pipeline.rescue.ledger import Answered, Ledger, opened
from pipeline.rescue.parity import Parity, alike, is_json, is_refusal, parity
from pipeline.rescue.prompts import Prompt
from tests.rescue.conftest import Rescue, called
from tests.rescue.dressed import BASE, DressedServer, example, jsonl

MODEL = f"ft:{BASE}:org:tortoise:m01"
FOLDER = folder_of(Path("rescue"), MODEL)
GREEDY, SAMPLED = Way("greedy", 0.0, 1, 9), Way("sampled", 1.0, 2, 9)


def answer(ledger: Ledger, number: int, *said: str, way: Way = GREEDY) -> None:
    prompt = Prompt("valid" if number < 2 else "train", number, [{"role": "user", "content": f"Question {number}?"}])
    response = {"choices": [{"message": {"content": text}} for text in said]}
    ledger.intend(way.key(prompt), "", 0.0)
    ledger.answer(Answered(way.key(prompt), "", 0.0, way.kind, prompt, response))


def compared(folder: Path, old: list[str], new: list[str], *sampled: str) -> Parity:
    with opened(folder / "old", "old") as before, opened(folder / "new", "new") as after:
        for number, text in enumerate(old):
            answer(before, number, text)
        for number, text in enumerate(new):
            answer(after, number, text)
        if sampled:
            answer(before, 0, *sampled, way=SAMPLED)
        return parity("old", "new", before, after)


def test_what_is_the_same_and_what_is_near_is_counted(tmp_path: Path) -> None:
    found = compared(
        tmp_path, ["Slow and steady.", "a b c d e f g h i j", "No."], ["slow  and steady.", "a b c d e f g h i x"]
    )
    assert (found.compared, found.held_out, found.unanswered) == (2, 2, 1)
    assert (found.exact, found.near) == (1, 2)
    assert found.alike == pytest.approx(0.95)
    assert [pair.line for pair in found.pairs] == [1, 0]


def test_the_likest_of_the_old_models_own_answers_counts(tmp_path: Path) -> None:
    found = compared(tmp_path, ["Yes."], ["No."], "No.", "Yes.")
    assert (found.near, found.exact, found.own_compared, found.own_near) == (1, 0, 1, 0)


def test_a_change_of_form_is_worse_than_other_words(tmp_path: Path) -> None:
    old = ["Hello there.", '{"a": 1}', "Sure, here it is.", "I'm sorry, I cannot do that.", "Yes."]
    new = ["Something else.", "a is 1", "I can't help with that.", "Here you are.", " "]
    found = compared(tmp_path, old, new)
    assert {pair.line: pair.wrong for pair in found.pairs} == {
        0: [], 1: ["no JSON any more"], 2: ["refuses"], 3: ["no longer refuses"], 4: ["says nothing"],
    }  # fmt: skip
    assert found.pairs[-1].line == 0
    assert (found.old.json, found.new.json, found.old.refusals, found.new.refusals) == (1, 0, 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a": 1}', True), ("```json\n[1]\n```", True), ("12", False), ("{a: 1}", False), ("", False)],
)
def test_json_is_an_object_or_a_list(text: str, expected: bool) -> None:
    assert is_json(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but no.", True),
        ("I can’t help with that.", True),
        ("I can help.", False),
        ("Sorry I'm late", False),
        ("I'm sorry to hear that.", False),
    ],
)
def test_a_refusal_is_known_by_its_beginning(text: str, expected: bool) -> None:
    assert is_refusal(text) is expected


@pytest.mark.parametrize("given", ["old", "=new", "old="])
def test_an_alias_is_a_pair(given: str) -> None:
    with pytest.raises(InputError) as refused:
        _aliases([given])
    assert str(refused.value) == f"--alias: expected NAME=MODEL or NAME=CONFIG, got {given}. Write both names."


def test_two_long_answers_are_compared_in_bounds() -> None:
    assert alike("a " * 100_000, "b " * 100_000) == 0


def test_the_whole_way_from_the_dying_model_to_its_successor(
    dressed: DressedServer, rescue: Rescue, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Inventory, fetch, record, retrain, the ten steps (with the scripted trainer), parity."""
    dressed.add(1)
    dressed.files["file-train-01"] = jsonl([example(n) for n in range(10)])
    for verb, *more in (("inventory",), ("fetch",), ("record", "m01", "--max-cost", "1")):
        assert rescue(verb, *more).code == 0
    asked = len(dressed.chats)
    assert rescue("retrain", "m01", keys=()).code == 0
    config = str(FOLDER / "retrain.yaml")
    scripted = "--set=backend.trainer=scripted"
    monkeypatch.setattr(sys, "argv", ["finetune", "run", config, scripted, "--set=smoke_test.compare_base=false"])
    done = called(capfd)
    assert done.code == 0, done.err
    alias, run = _aliases([f"{MODEL}={config}"])
    assert [name for name, _ in alias] == [MODEL]
    assert run is not None
    assert (run.data_dir / "store.db").is_file()
    found = rescue("parity", "m01", config, scripted, "--json", keys=())
    assert found.code == 0, found.err
    told = json.loads(found.out)
    assert (told["compared"], told["unanswered"], len(told["pairs"])) == (10, 0, 10)
    assert told["model"] == MODEL
    assert told["own_near"] == 10
    page = (FOLDER / "parity.html").read_text(encoding="utf-8")
    assert page.count('<td class="base">') == 10
    assert len(dressed.chats) == asked  # the old model is asked no more
