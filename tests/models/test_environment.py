"""What a process that trains takes from the environment, and what not."""

import os

import pytest

from pipeline.models.environment import settle_worker


def test_a_training_joins_no_other_processes_whoever_started_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.setenv(name, os.environ[name])  # all of it comes back
    launchers = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID", "ACCELERATE_USE_CPU",
                 "TORCHELASTIC_RUN_ID", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "FSDP_VERSION")  # fmt: skip
    for name in launchers:
        monkeypatch.setenv(name, "1")
    settle_worker()
    assert [name for name in launchers if name in os.environ] == []
