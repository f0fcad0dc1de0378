"""The ten steps, deploy and cleanup, against Azure and Nebius as they are documented; each quirk has a test."""

import base64
import codecs
import datetime
from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.backends.probing import Learned, keep
from pipeline.commands.delete import planned, undeploy
from pipeline.commands.doctor import _deployment
from pipeline.errors import DecisionNeeded, ExpectationNotMet, InputError, RemoteEnded, TryLater
from pipeline.run.runner import Range, run
from pipeline.state.file import Body, State
from pipeline.state.lock import lineage_of_lock
from tests.conftest import FakeClock
from tests.dress import ARM_TOKEN, RESOURCE, Azure, Nebius
from tests.fault_server import Fault, FaultServer
from tests.run.place import Place

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture
def azure(place: Place, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Azure:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-1")
    monkeypatch.setenv("AZURE_ARM_TOKEN", ARM_TOKEN)
    server.dress = dress = Azure()
    server.course = ("pending", "pausing", "paused", "resuming", "running", "succeeded")
    root = server.base_url.removesuffix("/v1")
    place.change("backend", kind="azure")
    place.change("create_job", model="gpt-4.1-mini-2025-04-14", suffix="tortoise", training_type="global")
    place.change("deploy", resource=RESOURCE, management_url=root)
    return dress


@pytest.fixture
def nebius(place: Place, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Nebius:
    monkeypatch.setenv("NEBIUS_API_KEY", "nebius-key-1")
    server.dress = dress = Nebius()
    server.course = ("running", "succeeded")
    server.checkpoints = [
        {"id": f"ftckpt_{n}", "step_number": n, "created_at": n, "metrics": {}, "fine_tuned_model_checkpoint": None}
        for n in (1, 2)
    ]
    place.change("backend", kind="nebius")
    place.change("create_job", model=LLAMA)
    place.change("deploy")
    return dress


def deployed(place: Place) -> str:
    record = place.state().body.steps["deploy"]
    assert record.output is not None
    return str(record.output["name"])


# Azure


def test_the_steps_run_on_azure_with_a_deployment_that_answers(place: Place, azure: Azure, server: FaultServer) -> None:
    told = place.run(last=None)
    assert told.ran[-3:] == ["poll_job", "deploy", "smoke_test"]
    (made,) = server.deployments.values()
    assert made["sku"] == {"name": "DeveloperTier", "capacity": 1}
    assert made["properties"]["model"] == {
        "format": "OpenAI",
        "name": server.jobs[0]["fine_tuned_model"],
        "version": "1",
    }
    assert deployed(place) == made["name"]
    assert azure.requests[0]["trainingType"] == "GlobalStandard"
    assert server.contents["file-1"].startswith(codecs.BOM_UTF8)
    assert not any("does not know" in note for note in told.notes)


def test_a_key_of_one_api_never_goes_to_the_other(
    place: Place, azure: Azure, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    place.run(last=None)
    assert server.keys == {"training": {"azure-key-1"}, "management": {ARM_TOKEN}}


def test_a_finished_run_sends_nothing_and_a_file_is_sent_once(place: Place, azure: Azure, server: FaultServer) -> None:
    place.run(last=None)
    before = server.requests.total()
    assert place.run(last=None).ran == []
    assert server.requests.total() == before
    assert len(server.files) == 1


def test_cleanup_removes_the_deployment_once_all_that_asks_it_is_done(
    place: Place, azure: Azure, server: FaultServer
) -> None:
    place.change("deploy", cleanup=True)
    told = place.run(last=None)
    assert server.deployments == {}
    assert told.notes[-1] == f"{deployed(place)} is removed from the backend, as deploy.cleanup says"
    assert place.run(last=None).ran == []
    place.change("smoke_test", prompts=["Another one?"])
    assert place.why()["deploy"] == "its deployment was removed from the backend"
    assert place.run(last=None).ran == ["deploy", "smoke_test"]
    assert (server.made_deployments, server.deployments) == (2, {})


@pytest.mark.parametrize("point", ["post.intended", "post.answered", "post.recorded"])
@pytest.mark.parametrize("dress", ["azure", "nebius"])
def test_a_run_that_dies_while_it_deploys_finds_the_deployment_again(
    point: str, dress: str, place: Place, server: FaultServer, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(dress)
    place.die_at(point, "deploy", last=None)  # type: ignore[arg-type]
    assert place.run(last=None).ran == ["deploy", "smoke_test"]
    assert server.made_deployments == 1
    assert list(server.deployments) == [deployed(place)]


@pytest.mark.parametrize(
    ("dress", "kind"), [("azure", "reset"), ("azure", 500), ("azure", "no_id"), ("nebius", "reset"), ("nebius", "cut")]
)
def test_a_lost_answer_never_makes_a_second_deployment(
    kind: str | int, dress: str, place: Place, server: FaultServer, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(dress)
    server.faults.append(Fault("deploy.create", kind, commits=True))
    place.run(last=None)
    assert (server.made_deployments, server.requests["deploy.create"]) == (1, 1)


def test_with_the_state_lost_the_deployment_is_found_by_its_name(
    place: Place, azure: Azure, server: FaultServer
) -> None:
    place.run(last=None)
    for name in ("state.json", "state.json.prev"):
        (place.run_dir / name).unlink()
    lineage = lineage_of_lock(place.run_dir)
    assert lineage is not None
    State(place.run_dir, Body(lineage=lineage, rebuilt=True)).save()
    place.run(last=None)
    assert (server.made_deployments, len(server.jobs)) == (1, 1)


def test_a_role_that_may_not_deploy_is_explained(place: Place, azure: Azure, server: FaultServer) -> None:
    azure.deployer = False
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        "deploy: Azure OpenAI does not let us deploy (The client does not have authorization to perform this action). "
        "Set AZURE_ARM_TOKEN to a fresh token, or run `az login`. Who may train may not always deploy: that takes the "
        "role Azure AI Owner, or Microsoft.CognitiveServices/accounts/deployments/write on the resource."
    )
    azure.deployer = True
    assert place.run(last=None).ran == ["deploy", "smoke_test"]
    assert len(server.jobs) == 1


def test_a_fee_is_told_and_takes_a_yes(place: Place, azure: Azure, server: FaultServer) -> None:
    place.change("deploy", sku="standard")
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        "deploy.max_usd_per_hour: this deployment costs about $1.70 for each hour that it stands, used or not (prices "
        "of 2026-03-19), got $0.00. Raise it, or keep deploy.sku: developer, which has no such fee and is gone after "
        "24 hours."
    )
    assert server.files == [], "nothing was sent"
    place.change("deploy", max_usd_per_hour=2)
    assert "a deployment costs about $1.70 an hour until it is removed, used or not" in place.run(last=None).notes


def test_a_deployment_that_never_comes_up_is_given_up_in_time(place: Place, azure: Azure, server: FaultServer) -> None:
    server.deployment_course = ("Creating",)
    with pytest.raises(TryLater, match=r"deploy: not finished after 1 h"):
        place.run(last=None)
    server.deployment_course = ()
    place.run(last=None)
    assert server.made_deployments == 1


def test_a_deployment_that_failed_is_removed_and_tells_why(place: Place, azure: Azure, server: FaultServer) -> None:
    server.deployment_course = ("Creating", "Failed")
    with pytest.raises(RemoteEnded, match=r"ended as Failed \(no reason given\)"):
        place.run(last=None)
    assert server.deployments == {}


def test_a_developer_deployment_that_is_gone_is_explained(place: Place, azure: Azure, server: FaultServer) -> None:
    place.run(last=None)
    server.deployments.clear()  # as Azure does after a day
    place.change("smoke_test", prompts=["Still there?"])
    with pytest.raises(InputError, match="`finetune run CONFIG --from deploy`: a developer deployment is gone"):
        place.run(last=None)
    assert place.run("deploy", None).ran == ["deploy", "smoke_test"]


@pytest.mark.parametrize("suffix", ["a-suffix-of-nineteen", "with.dot"])
def test_a_suffix_that_azure_refuses_is_refused_before_anything_is_sent(
    suffix: str, place: Place, azure: Azure, server: FaultServer
) -> None:
    place.change("create_job", suffix=suffix)
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        f"create_job.suffix: Azure OpenAI takes at most 18 characters and no dots, got {suffix}. Shorten it. "
        "Nothing was sent."
    )
    assert server.posts == []


def test_without_a_section_for_it_the_way_to_deploy_is_told(place: Place, azure: Azure) -> None:
    del place.sections["deploy"]
    with pytest.raises(InputError, match=r"has no deployment of that name .* Add a section `deploy` to the config"):
        place.run(last=None)


def test_the_resource_has_to_be_named(place: Place, azure: Azure, server: FaultServer) -> None:
    place.change("deploy", resource="tortoise")
    with pytest.raises(InputError, match=r"deploy\.resource: expected the id of your Azure OpenAI resource, got tort"):
        place.run(last=None)
    assert server.posts == []


def test_a_missing_token_is_told_before_anything_is_paid_for(
    place: Place, azure: Azure, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_ARM_TOKEN")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        "environment AZURE_ARM_TOKEN: not set, and `az account get-access-token` gives none; a deployment is made by "
        "Azure's Resource Manager, which takes no API key. Run `az login`, or set AZURE_ARM_TOKEN to a token for "
        "https://management.azure.com."
    )
    assert server.posts == []


def test_the_token_of_an_az_that_is_logged_in_will_do(
    place: Place, azure: Azure, server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_ARM_TOKEN")
    (tmp_path / "bin").mkdir()
    az = tmp_path / "bin" / "az"
    asked = "account get-access-token --query accessToken --output tsv"
    az.write_text(f'#!/bin/sh\ntest "$*" = "{asked}" && echo {ARM_TOKEN}')
    az.chmod(0o700)
    monkeypatch.setenv("PATH", f"{az.parent}:/bin:/usr/bin")
    place.run(last=None)
    assert len(server.deployments) == 1


def test_a_token_never_travels_in_the_clear(place: Place, azure: Azure, server: FaultServer) -> None:
    place.change("deploy", management_url="http://management.example.com")
    with pytest.raises(InputError, match="the token for it would travel in the clear"):
        place.run(last=None)


def test_a_deployment_of_an_earlier_model_is_told(place: Place, azure: Azure, server: FaultServer) -> None:
    place.run(last=None)
    first = deployed(place)
    place.change("create_job", seed=8)
    with place.work() as (config, state, work):
        run(config, state, work, Range.parse(config, None, None, None, True))
        notes = place.told.notes
    assert any(note.startswith(f"WARNING: {first} is deployed still") for note in notes)


def test_a_run_that_fails_says_what_stands_at_which_fee(place: Place, azure: Azure) -> None:
    place.change("deploy", sku="global", max_usd_per_hour=2, cleanup=True)
    place.change("smoke_test", prompts=[{"prompt": "Hm?", "expect": {"regex": "never"}}])
    with pytest.raises(ExpectationNotMet):
        place.run(last=None)
    assert place.told.notes[-1] == (
        f"WARNING: {deployed(place)} stands, at about $1.70 an hour; `finetune delete CONFIG --deployments` removes it"
    )


def test_deployments_are_removed_on_request_though_the_config_has_no_section_any_more(
    place: Place, azure: Azure, server: FaultServer
) -> None:
    place.run(last=None)
    root = place.sections["deploy"]["management_url"]
    place.sections["deploy"] = {"management_url": root}
    with place.work() as (config, state, work):
        plan = planned(config, state, work, model=False, deployments=True, data=False, everything=False)
        assert list(plan.lines("Azure OpenAI")) == [f"Azure OpenAI: the deployment {deployed(place)}"]
        undeploy(config, work, plan.deployments)
        assert work.ledger.standing() == []
    assert server.deployments == {}


def test_doctor_looks_at_what_deploying_takes(place: Place, azure: Azure, clock: FakeClock) -> None:
    connection = Connection(place.config.backend, place.run_dir, clock)
    (ready,) = _deployment(place.config, connection)
    assert ready.level == "ok"
    place.change("deploy", resource=None)
    (lacking,) = _deployment(place.config, connection)
    assert (lacking.level, lacking.said) == ("fail", "deploy.resource: expected the id of your Azure OpenAI resource")
    del place.sections["deploy"]
    (missing,) = _deployment(place.config, connection)
    assert missing.said == "a model of Azure OpenAI answers only once it is deployed"


# Nebius


def test_the_steps_run_on_nebius_with_the_last_checkpoint_activated(
    place: Place, nebius: Nebius, server: FaultServer
) -> None:
    told = place.run(last=None)
    assert told.ran[-3:] == ["poll_job", "deploy", "smoke_test"]
    (made,) = server.deployments.values()
    assert made["source"] == "ftjob-1:ftckpt_2"
    assert made["base_model"] == "meta-llama/Meta-Llama-3.1-8B-Instruct"
    assert deployed(place) == made["name"]
    assert nebius.requests[0]["hyperparameters"] == {"lora": True}


def test_nebius_base_model_answers_under_its_other_name(place: Place, nebius: Nebius, server: FaultServer) -> None:
    place.change("smoke_test", compare_base=True)
    place.run(last=None)
    told = (place.run_dir / "10_smoke_test.json").read_text()
    assert '"model": "meta-llama/Meta-Llama-3.1-8B-Instruct"' in told


def test_a_multiplier_becomes_nebius_absolute_rate_and_is_told(
    place: Place, nebius: Nebius, server: FaultServer
) -> None:
    place.change("create_job", hyperparameters={"learning_rate_multiplier": 1.0, "n_epochs": 3})
    told = place.run(last=None)
    sent = nebius.requests[0]["hyperparameters"]
    assert sent == {"n_epochs": 3, "learning_rate_multiplier": pytest.approx(2e-5), "lora": True}
    assert (
        "Nebius Token Factory takes the learning rate itself: learning_rate_multiplier 1 is sent as 2e-05" in told.notes
    )


@pytest.mark.parametrize("multiplier", [2e-5, 51.0, 1000.0])
def test_a_multiplier_that_is_a_rate_or_destroys_the_model_is_refused(
    multiplier: float, place: Place, nebius: Nebius, server: FaultServer
) -> None:
    place.change("create_job", hyperparameters={"learning_rate_multiplier": multiplier})
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        "create_job.hyperparameters.learning_rate_multiplier: Nebius Token Factory takes the learning rate itself, "
        "which is computed as this times 2e-05; expected 0.01 to 50, got "
        f"{multiplier:g}. Write 1.0 for the usual rate, 2.0 for twice as much. Nothing was sent."
    )
    assert server.posts == []


@pytest.mark.parametrize("commits", [True, False])
def test_a_500_at_nebius_create_is_looked_up_and_then_sent_again(
    commits: bool, place: Place, nebius: Nebius, server: FaultServer
) -> None:
    server.faults.append(Fault("job.create", 500, commits=commits))
    place.run(last=None)
    assert len(server.jobs) == 1
    assert server.requests["job.create"] == (1 if commits else 2)


def test_nebius_without_a_list_of_models_asks_the_user_after_a_lost_answer(
    place: Place, nebius: Nebius, server: FaultServer
) -> None:
    server.faults += [Fault("deploy.list", 405, times=99), Fault("deploy.create", "reset", commits=True)]
    with pytest.raises(DecisionNeeded, match="finetune resolve CONFIG deploy --adopt ID"):
        place.run(last=None)
    assert server.made_deployments == 1


# All of them


@pytest.mark.parametrize("dress", ["azure", "nebius"])
@pytest.mark.parametrize("coded", [False, True])
def test_a_results_file_is_read_plain_and_in_base64(
    dress: str, coded: bool, place: Place, server: FaultServer, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(dress)
    plain = server.result
    server.result = base64.b64encode(plain) if coded else plain
    place.run(last="poll_job")
    assert (place.run_dir / "09_metrics.csv").read_bytes() == plain


def test_a_training_type_is_azures_alone(place: Place, server: FaultServer) -> None:
    place.change("create_job", training_type="developer")
    with pytest.raises(InputError, match=r"create_job\.training_type: goes with backend\.kind azure"):
        place.run(last=None)
    assert server.posts == []


def test_a_backend_that_needs_no_deployment_says_so(place: Place, server: FaultServer) -> None:
    place.change("deploy")
    with pytest.raises(InputError) as refused:
        place.run(last=None)
    assert str(refused.value) == (
        "deploy: goes with backend.kind azure or nebius; a model of the server at base_url answers as soon as it is "
        "trained, got compatible. Take the section deploy away."
    )
    assert server.posts == []


# OpenAI


def test_a_run_says_how_many_days_are_left_and_refuses_after_the_last(
    place: Place, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place.sections["backend"]["base_url"]
    place.change("backend", kind="openai")
    place.change("create_job", model="gpt-4.1-mini-2025-04-14")
    assert [note[:58] for note in place.run("map", "convert").notes] == [
        "WARNING: OpenAI takes no new jobs after 2027-01-06 (in 45 d"[:58]
    ]
    place.clock.sleep(46 * 24 * 3600)
    with pytest.raises(InputError, match="OpenAI takes no new jobs since 2027-01-06; nothing was sent"):
        place.run(last=None)
    assert server.requests.total() == 0


def test_a_run_goes_by_the_day_that_a_probe_was_told(place: Place) -> None:
    del place.sections["backend"]["base_url"]
    place.change("backend", kind="openai")
    place.change("create_job", model="gpt-4.1-mini-2025-04-14")
    days = {"gpt-4.1-mini-2025-04-14": datetime.date(2026, 12, 24)}
    keep(Learned("2026-11-22T00:00:00Z", "api.openai.com", {}, shutdown=days), place.run_dir)
    (told,) = place.run("map", "convert").notes
    assert "switches off what is tuned on gpt-4.1-mini-2025-04-14 on 2026-12-24 (in 32 days)" in told
