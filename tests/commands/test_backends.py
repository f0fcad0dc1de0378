"""`finetune backends` and `finetune probe`: what each backend needs, costs and can, without spending anything."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backends.client import Connection
from pipeline.backends.probing import FILE, keep, probe, remembered
from pipeline.backends.profiles import PROFILES
from pipeline.commands.backends import rows, told
from pipeline.commands.probe import told as told_of_probe
from pipeline.config.settings import Config
from pipeline.errors import InputError
from tests.command import Workshop
from tests.conftest import FakeClock
from tests.dress import Azure
from tests.fault_server import Fault, FaultServer, fault_server

TODAY = datetime.date(2026, 11, 28)
MINI = "gpt-4.1-mini-2025-04-14"


def lines(kind: str, today: datetime.date = TODAY, **environment: str) -> list[tuple[str, str]]:
    (row,) = (row for row in rows(environment, today) if row["kind"] == kind)
    return list(told(row, today))


def test_every_kind_of_backend_is_listed() -> None:
    assert [row["kind"] for row in rows({}, TODAY)] == list(PROFILES)


def test_a_missing_key_is_told_and_one_that_is_set_is_not() -> None:
    assert ("needs", "NEBIUS_API_KEY; missing here: NEBIUS_API_KEY") in lines("nebius")
    assert ("needs", "NEBIUS_API_KEY") in lines("nebius", NEBIUS_API_KEY="key-123456")


def test_prices_have_their_date_and_models_their_end() -> None:
    found = lines("openai")
    assert (
        "costs",
        f"{MINI}: training $5.00, talking $0.80 read, $3.20 written; until 2027-01-14 (in 47 days)",
    ) in found
    assert not any("nano" in text for _, text in found), "what is switched off cannot be had"
    assert any("training by the prices of 2025-07-01" in text for _, text in found)
    assert ("ends", "no new jobs after 2027-01-06 (in 39 days)") in found


def test_a_deployments_fee_is_told() -> None:
    assert (
        "deployed",
        "an hour, used or not: standard $1.70, global $1.70, developer $0.00 (prices of 2026-03-19)",
    ) in lines("azure")


def test_what_was_never_run_is_said() -> None:
    said = ("tried", "never against the real service; written from what is documented of it")
    assert [kind for kind in PROFILES if said in lines(kind)] == ["openai", "azure", "nebius"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def config(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    backend = {"kind": "compatible", "base_url": server.base_url}
    return Config.model_validate({"name": "x", "backend": backend, "create_job": {"model": MINI}})


@pytest.fixture
def connection(config: Config, tmp_path: Path, clock: FakeClock) -> Iterator[Connection]:
    made = Connection(config.backend, tmp_path, clock)
    yield made
    made.close()


def test_a_probe_only_looks_and_says_what_it_saw(
    config: Config, connection: Connection, server: FaultServer, clock: FakeClock
) -> None:
    server.models = [{"id": MINI, "object": "model", "created": 1, "owned_by": "x", "shutdown_date": "2027-01-14"}]
    learned = probe(connection, MINI, clock)
    assert server.posts == []
    assert list(told_of_probe(config, learned, clock)) == [
        "the server at base_url answers, and takes the key. Nothing was spent, and nothing was changed.",
        "A list of models: there is one.",
        "A list of jobs: there is one.",
        "A list of files: there is one.",
        f"{MINI} is among the 1 models that it lists.",
        f"It says that {MINI} goes on 2027-01-14 (in 53 days).",
        "A job of ours is found again by its metadata or its suffix, whichever it keeps.",
    ]


def test_a_server_without_lists_is_told_with_what_that_means(
    config: Config, connection: Connection, server: FaultServer, clock: FakeClock
) -> None:
    server.lists = False
    said = list(told_of_probe(config, probe(connection, MINI, clock), clock))
    assert "A list of jobs: there is none." in said
    assert (
        "Without a list of jobs, a lost answer needs your decision: `finetune resolve` (docs/reliability.md)." in said
    )


def test_a_list_that_this_key_may_not_see_is_told_beside_the_others(
    config: Config, connection: Connection, server: FaultServer, clock: FakeClock
) -> None:
    server.faults.append(Fault("model.list", 403, body={"message": "Insufficient permissions", "type": "x"}))
    said = list(told_of_probe(config, probe(connection, MINI, clock), clock))
    assert said[1:3] == [
        "A list of models: could not be asked now (the server at base_url does not permit this (Insufficient "
        "permissions)).",
        "A list of jobs: there is one.",
    ]


def test_a_probe_of_a_backend_that_deploys_says_so(
    server: FaultServer, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-1")
    server.dress = Azure()
    azure = Config.model_validate({"name": "x", "backend": {"kind": "azure", "base_url": server.base_url}})
    connection = Connection(azure.backend, tmp_path, clock)
    said = list(told_of_probe(azure, probe(connection, MINI, clock), clock))
    connection.close()
    assert said[-2:] == [
        "A tuned model has to be deployed there: add a section `deploy` (docs/backends.md).",
        "This backend was never tried against the real service.",
    ]


def test_a_refused_key_ends_a_probe(connection: Connection, server: FaultServer, clock: FakeClock) -> None:
    server.faults.append(Fault("model.list", 401, times=9))
    server.accounts = {"another": "x"}
    with pytest.raises(InputError, match="refuses the key"):
        probe(connection, MINI, clock)


def test_what_was_learnt_is_kept_for_the_same_backend_alone(
    connection: Connection, server: FaultServer, tmp_path: Path, clock: FakeClock
) -> None:
    learned = probe(connection, MINI, clock)
    keep(learned, tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert remembered(tmp_path, connection.identity) == learned
    assert remembered(tmp_path, "api.openai.com") is None
    (tmp_path / FILE).write_text("{")
    assert remembered(tmp_path, connection.identity) is None


def test_the_command_keeps_what_it_learnt_with_its_date(tmp_path: Path, server: FaultServer) -> None:
    shop = Workshop(tmp_path)
    shop.env["OPENAI_API_KEY"] = "sk-canary"
    where = ("--set=backend.kind=compatible", f"--set=backend.base_url={server.base_url}", "--set=backend.trainer=lora")
    found = shop.finetune("probe", "run.yaml", *where, "--set=backend.script=null")
    assert (found.code, found.err) == (0, "")
    assert '"at": "20' in (shop.run_dir / FILE).read_text()
