"""A dying model's answers are recorded once each, within a budget, whatever goes wrong on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.rescue.folders import folder_of
from tests.rescue.conftest import Rescue
from tests.rescue.dressed import BASE, PRICES, DressedServer, example, jsonl

MODEL = f"ft:{BASE}:org:tortoise:m01"
FOLDER = folder_of(Path("rescue"), MODEL)
REFUSED = {"error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


@pytest.fixture(autouse=True)
def fetched(dressed: DressedServer, rescue: Rescue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with three training prompts, and one of them to validate, at home; nothing waits for real."""
    from pipeline.process.clock import SystemClock

    monkeypatch.setattr(SystemClock, "sleep", lambda _self, seconds: waits.append(seconds))
    waits.clear()
    dressed.add(1, validation_file="file-valid")
    dressed.files |= {"file-train-01": jsonl([example(n) for n in (1, 2, 3)]), "file-valid": jsonl([example(4)])}
    assert rescue("fetch").code == 0
    dressed.log.clear()


waits: list[float] = []


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "answers.jsonl").read_bytes().splitlines()]


def told(err: str) -> str:
    return next(line for line in err.splitlines() if "answers.jsonl" in line)


def test_without_a_limit_the_cost_is_told_and_nothing_is_asked(dressed: DressedServer, rescue: Rescue) -> None:
    done = rescue("record", "m01")
    assert done.code == 3
    assert done.err.splitlines()[-1] == (
        "error: record: 8 requests would cost about $0.0001, and never more than $0.0151. "
        "Say what it may cost with --max-cost USD. Nothing was asked."
    )
    assert dressed.tries == 0


def test_held_out_prompts_come_first_and_the_last_turn_is_cut(dressed: DressedServer, rescue: Rescue) -> None:
    done = rescue("record", "m01", "--max-cost", "1", "--samples", "3", "--temperature", "0.7")
    assert done.code == 0
    asked = [chat.body for chat in dressed.chats]
    assert [body["messages"][-1]["content"] for body in asked] == [f"Question {n}?" for n in (4, 1, 2, 3)] * 2
    assert all([each["role"] for each in body["messages"]] == ["system", "user"] for body in asked)
    greedy, sampled = asked[0], asked[4]
    assert (greedy["temperature"], greedy["logprobs"], "n" in greedy) == (0, True, False)
    assert (sampled["temperature"], sampled["n"], "logprobs" in sampled) == (0.7, 3, False)
    assert told(done.err) == f"8 answers in {FOLDER}/answers.jsonl, about $0.0001 spent."
    first = next(line for line in lines() if line["is"] == "answered")
    assert first["prompt"]["reference"] == "Reference 4."
    assert first["response"]["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5
    assert first["usd"] == pytest.approx((10 * PRICES[0] + 5 * PRICES[1]) / 1e6)


def test_what_is_recorded_is_not_asked_again(dressed: DressedServer, rescue: Rescue) -> None:
    rescue("record", "m01", "--max-cost", "1")
    again = rescue("record", "m01", "--max-cost", "1")
    assert (again.code, len(dressed.chats)) == (0, 8)


def test_a_file_of_the_users_own_is_asked_last_with_what_belongs_to_it(dressed: DressedServer, rescue: Rescue) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    Path("own.jsonl").write_bytes(
        jsonl([{"messages": [{"role": "user", "content": "Question 9?"}], "tools": [tool], "user": "x"}]) + b'"Q 8?"\n'
    )
    assert rescue("record", "m01", "--max-cost", "1", "--samples", "0", "--prompts", "own.jsonl").code == 0
    body, text = (chat.body for chat in dressed.chats[-2:])
    assert (body["tools"], "user" in body) == ([tool], False)
    assert text["messages"] == [{"role": "user", "content": "Q 8?"}]


def test_no_more_is_spent_than_allowed(dressed: DressedServer, rescue: Rescue) -> None:
    dearest = 0.00128  # of one greedy request, at most; what it really costs is a hundredth
    done = rescue("record", "m01", "--max-cost", str(dearest), "--samples", "0")
    assert done.code == 3
    assert "error: record --max-cost: about $0.00" in done.err
    spent = sum(10 * PRICES[0] + 5 * PRICES[1] for _ in dressed.chats) / 1e6
    assert 0 < spent <= dearest
    assert len(dressed.chats) < 4
    more = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert (more.code, len(dressed.chats)) == (0, 4)


def test_a_storm_of_429_is_waited_out_and_nothing_is_paid_twice(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.trouble = lambda number: (429, {"retry-after": "7"}, REFUSED) if number % 4 else None
    done = rescue("record", "m01", "--max-cost", "1")
    assert done.code == 0
    assert set(dressed.asked().values()) == {1}
    assert len(dressed.chats) == 8
    assert sum(wait == pytest.approx(7, abs=0.5) for wait in waits) >= 24
    assert max(waits) <= 7


def test_an_api_that_only_refuses_is_left_alone_after_a_while(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.trouble = lambda _: (429, {}, REFUSED)
    done = rescue("record", "m01", "--max-cost", "1")
    assert (done.code, dressed.tries) == (75, 12)
    assert "too many requests or no credit left (slow down)" in done.err
    assert told(done.err) == f"0 answers in {FOLDER}/answers.jsonl, about $0.0000 spent."


def test_no_credit_left_ends_it_at_once(dressed: DressedServer, rescue: Rescue) -> None:
    broke = {"error": {**REFUSED["error"], "code": "insufficient_quota"}}
    dressed.trouble = lambda _: (429, {}, broke)
    assert (rescue("record", "m01", "--max-cost", "1").code, dressed.tries) == (75, 1)


def test_where_nothing_is_left_it_waits_before_it_is_refused(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m1s"}
    assert rescue("record", "m01", "--max-cost", "1", "--samples", "0").code == 0
    assert [round(wait) for wait in waits] == [61, 61, 61]


def test_a_model_that_goes_dark_in_the_middle_keeps_what_it_said(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.dark_after = 3
    done = rescue("record", "m01", "--max-cost", "1")
    assert done.code == 6
    assert done.err.splitlines()[-1].startswith(
        f"error: record: {MODEL} does not answer any more; 3 answers of it are recorded. "
    )
    assert sum(line["is"] == "answered" for line in lines()) == 3
    assert lines()[-1]["is"] == "withdrawn"


@pytest.mark.parametrize("status", [404, 410])
def test_gone_is_dark_whatever_the_code(status: int, dressed: DressedServer, rescue: Rescue) -> None:
    dressed.trouble = lambda _: (status, {}, {"error": {"message": "gone", "type": "x", "param": None, "code": None}})
    assert (rescue("record", "m01", "--max-cost", "1").code, dressed.tries) == (6, 1)


@pytest.mark.parametrize("trouble", ["lost", (500, {}, REFUSED), (200, {}, {"object": "error"})])
def test_an_answer_that_was_lost_counts_as_paid_and_is_asked_again_only_if_told(
    trouble: object, dressed: DressedServer, rescue: Rescue
) -> None:
    dressed.trouble = lambda number: trouble if number == 2 else None
    done = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert done.code == 0
    assert "; 1 answer lost on the way and counted as paid; --again asks for it once more." in told(done.err)
    assert max(dressed.asked().values()) == 1
    tries = dressed.tries
    assert rescue("record", "m01", "--max-cost", "1", "--samples", "0").code == 0
    assert dressed.tries == tries
    again = rescue("record", "m01", "--max-cost", "1", "--samples", "0", "--again")
    assert (again.code, dressed.tries) == (0, tries + 1)
    assert "lost" not in told(again.err)
    spent = float(told(again.err).partition("$")[2].split()[0])
    assert spent > 0.001  # the one that was lost stays spent, at its highest price


def test_an_api_that_loses_everything_is_left_alone(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.trouble = lambda _: "reset"
    done = rescue("record", "m01", "--max-cost", "1")
    assert (done.code, dressed.tries) == (75, 3)
    assert "error: record: 3 answers in a row were lost (" in done.err


def test_a_model_without_logprobs_is_asked_without(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.no_logprobs = True
    done = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert (done.code, len(dressed.chats), dressed.tries) == (0, 4, 5)
    assert "This model takes no `logprobs`; it is asked without." in done.err


def test_a_prompt_that_is_refused_is_passed_over_for_good(dressed: DressedServer, rescue: Rescue) -> None:
    error = {"error": {"message": "too long", "type": "x", "param": "messages", "code": "context_length_exceeded"}}
    dressed.trouble = lambda number: (400, {}, error) if number == 1 else None
    done = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert told(done.err) == f"3 answers in {FOLDER}/answers.jsonl, about $0.0000 spent; 1 refused by the API."
    rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert dressed.tries == 4


def test_a_line_cut_short_is_forgotten_and_one_that_is_damaged_is_not(dressed: DressedServer, rescue: Rescue) -> None:
    rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    path = FOLDER / "answers.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    done = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert "1 answer lost on the way" in told(done.err)  # it was paid for, and is not paid for again
    assert len(dressed.chats) == 4
    path.write_bytes(whole.replace(b'"is":"answered"', b'"is":"damaged!"', 1))
    damaged = rescue("record", "m01", "--max-cost", "1", "--samples", "0")
    assert damaged.code == 5
    assert "answers.jsonl:3: cannot be read, and what was paid for is in it. " in damaged.err


def test_what_has_no_price_here_needs_one(dressed: DressedServer, rescue: Rescue) -> None:
    dressed.add(2, fine_tuned_model="gpt-4.1-mini-2025-04-14.ft-0123abcd")
    rescue("fetch", "0123abcd")
    done = rescue("record", "0123abcd", "--max-cost", "1")
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: record: what gpt-4.1-mini-2025-04-14.ft-0123abcd costs is not known here, "
        "so no limit could be kept. Give its price in US dollars per million tokens, such as --price 0.30,1.20."
    )
    assert rescue("record", "0123abcd", "--max-cost", "1", "--price", "0.8,3.2", "--samples", "0").code == 0
