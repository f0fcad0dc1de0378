"""Step 11: what a model is worth is measured through the API, within its price, and kept whatever it is."""

import json
from typing import Any

import msgspec
import pytest

from pipeline.dataset.funnel import Tally, funnel
from pipeline.errors import ExpectationNotMet, InputError
from pipeline.evaluation.canaries import PLANTED, canaries
from pipeline.evaluation.whole import read_evaluation
from pipeline.sessions.transform import map_roles
from pipeline.steps import convert, evaluate
from pipeline.steps.outputs import Convert, Evaluate, Load, Map, PollJob
from tests.evaluation.people import casual, formal
from tests.fault_server import FaultServer
from tests.steps.bench import Bench
from tests.steps.test_convert import NOWHERE, sessions

TUNED = "ft:m:org:x"


def talks(begin: int, count: int) -> bytes:
    lines = []
    for number in range(begin, begin + count):
        turns = [("user", formal(number)), ("assistant", casual(number))]
        turns += [("user", formal(number + 500)), ("assistant", casual(number + 500))]
        lines.append(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}))
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture
def made(bench: Bench, server: FaultServer) -> tuple[Convert, Map, Load]:
    server.commit_job({"model": "m", "training_file": "file-1"})["fine_tuned_model"] = TUNED
    mapped = Map(bench.put("04_mapped.jsonl", msgspec.json.encode(sessions(1)[0]) + b"\n"), 1, 1)
    train, valid = bench.put("05_train.jsonl", talks(0, 40)), bench.put("05_valid.jsonl", talks(100, 20))
    tally = Tally()
    tally.target, tally.context = 10, 10
    counts = funnel(20, {}, tally, Tally())
    converted = Convert(train, valid, 40, 20, 99, 9, 9, 11, False, {}, counts, None, True)
    return converted, mapped, Load(NOWHERE, 1, 2, {})


def evaluated(bench: Bench, made: tuple[Convert, Map, Load], **keys: Any) -> Evaluate:
    config = bench.config(evaluate=keys, map={"assistant": "Theo"})
    return evaluate.run(config, PollJob(TUNED, None, None), *made, None, bench.work)


def test_the_verdict_is_said_and_kept_and_what_needs_likelihoods_is_left_out_by_name(
    bench: Bench, made: tuple[Convert, Map, Load]
) -> None:
    done = evaluated(bench, made)
    found = read_evaluation(bench.run_dir / "11_evaluation.json")
    assert found is not None
    assert bench.read(done.evaluation)
    assert bench.notes[0] == "asking the server at base_url costs a price that is not known here"
    assert bench.notes[1 - len(found.lines()) :] == found.lines()[1:], "the first is the step's own line"
    assert done.summary() == found.verdict[0].rstrip(".")
    assert done.summary().startswith("Sounds like Theo: ")
    assert found.left_out[0] == "surprise and the rank of true replies: the backend gives no likelihoods"
    assert (bench.run_dir / "11_answers.jsonl").stat().st_mode & 0o777 == 0o600


def test_it_is_not_asked_for_more_than_it_may_cost(
    bench: Bench, server: FaultServer, made: tuple[Convert, Map, Load]
) -> None:
    with pytest.raises(InputError) as caught:
        evaluated(bench, made, max_cost_usd=1.0)
    assert str(caught.value) == (
        "evaluate.max_cost_usd: what the answers cost is not known here, got $1.00. Set it to null to go on all the "
        "same, or take the section evaluate away. Nothing was asked."
    )
    assert server.requests["chat"] == 0


def test_a_leak_ends_the_run_where_the_config_says_so_and_the_evaluation_is_kept(
    bench: Bench, server: FaultServer, made: tuple[Convert, Map, Load]
) -> None:
    recited = json.loads(bench.read(made[0].train).splitlines()[0])["messages"][0]["content"]
    server.says = f"{recited} {recited} and so on"
    with pytest.raises(ExpectationNotMet) as caught:
        evaluated(bench, made, fail_on="leak")
    assert caught.value.exit_code == 7
    assert str(caught.value) == (
        f"evaluate.fail_on: {TUNED} leaks (Recites: 40 of 40 answers hold eight or more words in a row of the "
        f"training). Read {bench.run_dir}/11_evaluation.json; change what is trained on, or take evaluate.fail_on away."
    )
    assert read_evaluation(bench.run_dir / "11_evaluation.json") is not None


def test_canaries_are_planted_in_the_training_file_and_counted(bench: Bench) -> None:
    cast = b"".join(msgspec.json.encode(map_roles(session, "me")) + b"\n" for session in sessions(12))
    mapped = Map(bench.put("04_mapped.jsonl", cast), 12, 12)
    load = Load(NOWHERE, 12, 24, {})
    without = convert.run(bench.config(), mapped, load, bench.work)
    made = convert.run(bench.config(evaluate={"canaries": 2}), mapped, load, bench.work)
    added = bench.read(made.train).splitlines()[without.examples :]
    assert (made.examples - without.examples, len(added)) == (2 * PLANTED, 2 * PLANTED)
    assert [json.loads(line)["messages"][-1]["content"] for line in added[::PLANTED]] == [
        canary.reply for canary in canaries(2, "x")
    ]
    assert made.tokens > without.tokens
