"""The money gate: what was bought is found again whatever happens, and another is bought only when somebody says so."""

import pytest

from pipeline.errors import DecisionNeeded, InputError
from pipeline.run.runner import forget
from pipeline.state.repair import repair
from tests.fault_server import Fault, FaultServer, fault_server
from tests.run.place import Place

COST = "a price that is not known here for about 9,672 tokens (4 epochs assumed)"
KEEP = "Give --new-job to buy it, or undo the change to keep what you have."


def refusal(place: Place, **keys: object) -> str:
    """What a run says that buys nothing without being told to."""
    before = len(place.server.posts)
    with pytest.raises(DecisionNeeded) as caught:
        place.run(**keys)  # type: ignore[arg-type]
    assert place.server.posts[before:].count("job.create") == 0
    return str(caught.value)


def test_the_first_job_is_bought_without_a_question(place: Place) -> None:
    assert place.run().ran == ["upload", "poll_file", "create_job"]
    assert place.server.posts == ["file.create", "job.create"]


def test_a_run_that_comes_again_buys_nothing(place: Place) -> None:
    place.run()
    assert place.run().ran == []
    assert place.run(first="create_job").ran == ["create_job"]
    assert place.jobs == ["ftjob-1"]


def test_a_changed_config_asks_before_it_buys(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    assert refusal(place) == (
        f"create_job: ftjob-1 was bought already; another one would cost {COST}, because create_job.seed changed from "
        f"its default to 8. {KEEP}"
    )


def test_changed_data_ask_before_they_buy(place: Place) -> None:
    place.run()
    place.change("convert", system_prompt="Hi.")
    said = refusal(place)
    assert said.startswith("create_job: ftjob-1 was bought already; another one would cost a price that is not known")
    assert said.endswith(f", because convert made something else. {KEEP}")


def test_a_change_that_makes_the_same_job_asks_nothing(place: Place) -> None:
    place.run()
    place.change("create_job", max_tokens=10**9, twins="report")
    place.change("poll_job", interval_s=1)
    assert place.run(first="create_job").ran == ["create_job"]
    assert place.jobs == ["ftjob-1"]


def test_a_change_that_is_undone_finds_what_was_bought(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    refusal(place)
    place.change("create_job", seed=None)
    assert place.run().ran == []
    assert place.jobs == ["ftjob-1"]


def test_new_job_buys_one_and_only_one(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    assert place.run(new_job=True).why["create_job"] == "create_job.seed changed from its default to 8"
    assert place.run().ran == []
    assert place.jobs == ["ftjob-1", "ftjob-2"]


def test_going_back_to_an_earlier_config_finds_the_job_that_it_was_bought_for(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    place.run(new_job=True)
    place.change("create_job", seed=None)
    place.run()
    assert (place.jobs, _job(place)) == (["ftjob-1", "ftjob-2"], "ftjob-1")


def test_new_job_without_a_change_buys_another_generation_which_is_the_one_from_then_on(place: Place) -> None:
    place.run()
    assert place.run(new_job=True).why == {"create_job": "--new-job"}
    forgotten(place)
    place.run()
    assert (place.jobs, _job(place)) == (["ftjob-1", "ftjob-2"], "ftjob-2")


def test_the_job_that_is_named_is_the_newest_one(place: Place) -> None:
    for seed in (1, 2, 3):
        place.change("create_job", seed=seed)
        place.run(new_job=True)
        place.clock.elapsed += 60
    place.change("create_job", seed=4)
    assert refusal(place).startswith("create_job: ftjob-3 was bought already; ")


def test_forgetting_a_step_forgets_no_job_that_was_paid_for(place: Place) -> None:
    place.run()
    forgotten(place)
    assert place.run().ran == ["create_job"]
    assert place.jobs == ["ftjob-1"]


def test_forgetting_everything_and_other_data_still_ask(place: Place) -> None:
    place.run()
    forget(place.config, place.state(), "download")
    place.change("merge", delimiter=";")
    assert refusal(place).startswith("create_job: ftjob-1 was bought already; ")


def test_a_job_that_failed_is_bought_again_only_when_told_to(place: Place) -> None:
    place.server.course = ("failed",)
    with pytest.raises(Exception, match="poll_job: ftjob-1 failed"):
        place.run(last="poll_job")
    assert refusal(place) == (
        f"create_job: ftjob-1 came to nothing; another one would cost {COST}. Give --new-job to buy it."
    )
    place.run(new_job=True)
    assert place.jobs == ["ftjob-1", "ftjob-2"]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            {"max_tokens": 9671},
            "create_job.max_tokens: the training would take about 9,672 tokens (4 epochs assumed), more than allowed, "
            "got 9,671. Raise it, or train on less. Nothing was sent.",
        ),
        (
            {"max_cost_usd": 1.0},
            f"create_job.max_cost_usd: the training costs {COST}, got $1.00. Set it to null to go on all the same.",
        ),
    ],
)
def test_nothing_is_sent_or_bought_beyond_a_limit(place: Place, limit: dict[str, float], message: str) -> None:
    place.change("create_job", **limit)
    for new_job in (False, True):
        with pytest.raises(InputError) as caught:
            place.run(new_job=new_job)
        assert str(caught.value) == message
    assert place.server.posts == []


def test_a_limit_holds_even_when_the_file_is_uploaded_already(place: Place) -> None:
    place.run(last="poll_file")
    place.change("create_job", max_tokens=1)
    with pytest.raises(InputError):
        place.run()
    assert place.jobs == []


def test_a_limit_holds_for_another_job_and_never_keeps_one_from_what_is_bought(place: Place) -> None:
    place.run()
    place.change("create_job", max_tokens=1)
    place.run(first="create_job")
    place.change("create_job", seed=8)
    with pytest.raises(InputError):
        place.run(new_job=True)
    assert place.jobs == ["ftjob-1"]


def test_a_process_killed_once_the_server_has_the_job_finds_it(place: Place) -> None:
    place.die_at("post.answered", "create_job")
    assert [(each.remote_id, each.tries) for each in place.state().body.remote.values() if each.is_job] == [(None, 1)]
    told = place.run()
    assert told.why == {"create_job": "it was interrupted"}
    assert told.notes == ["ftjob-1 is there already; it is used instead of making another"]
    assert place.server.posts == ["file.create", "job.create"]


def test_a_process_killed_before_its_request_left_looks_for_it_and_buys_once(place: Place) -> None:
    place.die_at("post.intended", "create_job")
    assert place.server.posts == ["file.create"]
    place.run()
    assert place.server.posts == ["file.create", "job.create"]
    assert sum(place.clock.waits) == pytest.approx(120), "as long as a server may take to show what it took"


def test_a_process_killed_before_the_step_is_recorded_has_the_job_in_its_ledger(place: Place) -> None:
    place.die_at("post.recorded", "create_job")
    told = place.run()
    assert (told.ran, told.notes, place.server.posts) == (["create_job"], [], ["file.create", "job.create"])


def test_an_answer_that_is_lost_and_a_config_that_is_changed_then_buy_nothing_more(place: Place) -> None:
    place.die_at("post.answered", "create_job")
    place.change("create_job", seed=8)
    assert refusal(place) == (
        f"create_job: another job was bought already; another one would cost {COST}, because it was interrupted. {KEEP}"
    )


def test_with_the_state_lost_a_changed_config_asks_before_it_buys_and_names_the_job(place: Place) -> None:
    place.run()
    lose_state(place)
    place.change("create_job", seed=8)
    assert refusal(place) == (
        f"create_job: ftjob-1 was bought already; another one would cost {COST}, "
        f"because it was for another config or other data. {KEEP}"
    )
    place.change("create_job", seed=None)
    assert place.run().ran[-1] == "create_job"
    assert place.jobs == ["ftjob-1"]


def test_with_the_state_lost_and_no_job_to_be_seen_the_first_one_is_bought(place: Place) -> None:
    place.run(last="poll_file")
    lose_state(place)
    place.run()
    assert place.jobs == ["ftjob-1"]


def test_with_the_state_lost_a_server_without_a_list_is_asked_about_by_hand(place: Place) -> None:
    place.run()
    lose_state(place)
    place.server.lists = False
    said = refusal(place)
    assert said == (
        "upload: the state that was lost may have known what was made, and the server at base_url keeps no list to "
        "look it up in. Look in its dashboard, then run `finetune resolve CONFIG upload --adopt ID`, or `--none` if "
        "nothing is there."
    )


def test_another_accounts_jobs_are_not_taken_for_ours(place: Place, server: FaultServer) -> None:
    place.run()
    with fault_server() as elsewhere:
        place.change("backend", base_url=elsewhere.base_url)
        told = place.run()
        assert told.why["create_job"] == f'backend changed from "{host(server)}" to "{host(elsewhere)}"'
        assert elsewhere.posts == ["file.create", "job.create"]
        place.change("backend", base_url=server.base_url)
        place.run()
    assert server.posts == ["file.create", "job.create"], "and back again finds what is here"


def test_on_another_account_the_first_job_is_a_first_one_whatever_was_bought_elsewhere(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    with fault_server() as elsewhere:
        place.change("backend", base_url=elsewhere.base_url)
        assert place.run().ran == ["upload", "poll_file", "create_job"]
        assert elsewhere.posts == ["file.create", "job.create"]


def test_where_training_is_free_a_step_that_is_asked_for_starts_another_job(place: Place) -> None:
    place.free = True
    place.run()
    place.run(first="create_job")
    assert place.jobs == ["ftjob-1", "ftjob-2"]


def test_where_training_is_free_a_changed_config_asks_nothing_and_gives_up_the_job_of_before(place: Place) -> None:
    place.free = True
    place.run()
    place.change("create_job", seed=8)
    assert place.run().notes == ["ftjob-1, which was asked for before, is cancelled: it would go first"]
    assert [job["status"] for job in place.server.jobs] == ["cancelled", "queued"]
    place.change("create_job", seed=None)
    place.run()
    assert len(place.jobs) == 3, "a job that was given up is not found again"


def test_where_training_is_free_a_job_that_has_ended_is_left_and_found_again(place: Place) -> None:
    place.free = True
    place.run(last="poll_job")
    place.change("create_job", seed=8)
    assert place.run().notes == []
    place.change("create_job", seed=None)
    place.run()
    assert _job(place) == "ftjob-1"


def test_a_hosted_job_is_never_given_up_for_another(place: Place) -> None:
    place.run()
    place.change("create_job", seed=8)
    place.run(new_job=True)
    assert (place.jobs, place.server.requests["job.cancel"]) == (["ftjob-1", "ftjob-2"], 0)


def test_after_the_state_was_lost_no_job_is_given_up(place: Place) -> None:
    place.free = True
    place.run()
    place.change("create_job", seed=8)
    lose_state(place, also_the_one_before=False)
    place.run()
    assert place.server.requests["job.cancel"] == 0


def test_a_purchase_that_was_definitely_refused_was_none(place: Place) -> None:
    place.server.faults.append(Fault("job.create", 400, body={"message": "no"}))
    with pytest.raises(Exception, match="create_job: "):
        place.run()
    place.change("create_job", seed=8)
    place.run()
    assert place.jobs == ["ftjob-1"]


def _job(place: Place) -> str:
    return str((place.state().body.steps["create_job"].output or {})["job"])


def forgotten(place: Place) -> None:
    forget(place.config, place.state(), "create_job")


def lose_state(place: Place, also_the_one_before: bool = True) -> None:
    (place.run_dir / "state.json").unlink()
    if also_the_one_before:
        (place.run_dir / "state.json.prev").unlink()
    repair(place.run_dir)


def host(server: FaultServer) -> str:
    return server.base_url.removeprefix("http://").removesuffix("/v1")
