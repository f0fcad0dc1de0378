"""What this machine is: measured once, remembered as long as it is the same, and told in words."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.models import machine
from pipeline.models.machine import MEASURING, Machine, Measured, this_machine
from pipeline.models.needs import memory_to_train
from pipeline.models.picks import picks

FOUND = Measured("cpu", "", "float32", 73e9, 9.7e9)


class Probe:
    """In the place of the process that measures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, said: bytes | None) -> None:
        self.asked, self._said = 0, said
        monkeypatch.setattr(subprocess, "run", self._run)

    def _run(self, command: list[str], **_: Any) -> "subprocess.CompletedProcess[bytes]":
        self.asked += 1
        if self._said is None:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, 0, self._said)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    return tmp_path / "cache"


def test_a_machine_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(monkeypatch, msgspec.json.encode(FOUND))
    said: list[str] = []
    assert [this_machine(said.append).measured for _ in range(3)] == [FOUND] * 3
    assert said == [MEASURING]
    assert (probe.asked, (cache / "machine.json").stat().st_mode & 0o077) == (1, 0)
    monkeypatch.setattr(machine, "_processor", lambda: "flags: another one")
    this_machine()
    assert probe.asked == 2
    (cache / "machine.json").write_text("{")
    assert (this_machine().measured, probe.asked) == (FOUND, 3)


def test_a_machine_without_torch_is_not_measured_and_nothing_is_remembered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in (None, b"", b"Segmentation fault", b"{}"):
        Probe(monkeypatch, said)
        assert this_machine().measured is None
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_to_is_no_hindrance(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(monkeypatch, msgspec.json.encode(FOUND))
    cache.write_text("a file")
    assert [this_machine().measured for _ in range(2)] == [FOUND] * 2
    assert probe.asked == 2


def test_what_a_container_may_have_is_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Probe(monkeypatch, None)
    all_of_it = this_machine().memory
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("500000000\n")
    found = this_machine()
    assert found.memory == 2 * 10**9
    assert found.free is not None
    assert found.free <= 15 * 10**8
    (tmp_path / "memory.max").write_text("max\n")
    assert this_machine().memory == all_of_it


def test_a_gpus_memory_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Probe(monkeypatch, msgspec.json.encode(Measured("cuda", "NVIDIA L4", "bfloat16", 1e14, 1e11, 24 * 10**9)))
    found = this_machine()
    assert (found.memory, found.free, str(found)) == (24 * 10**9, 24 * 10**9, "NVIDIA L4, 24.0 GB of memory")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Machine(2, FOUND, 24 * 10**9, 17 * 10**9), "2 cores, 17.0 of 24.0 GB of memory free"),
        (Machine(1, None, 8 * 10**9, 10**9), "1 core, 1.0 of 8.0 GB of memory free"),
        (Machine(4, None, None, None), "4 cores, of unknown memory"),
        (
            Machine(8, Measured("mps", "", "float32", 1e12, 1e10), 16 * 10**9, 9 * 10**9),
            "the GPU of this Mac, 9.0 of 16.0 GB of memory free",
        ),
    ],
)
def test_a_machine_is_told_in_words(found: Machine, said: str) -> None:
    assert str(found) == said


def test_the_probe_measures_what_is_needed() -> None:
    found = this_machine().measured
    assert found is not None
    assert min(found.products, found.passes) > 1e6
    assert memory_to_train(picks()[0].shape, found.dtype, 2048) > 0
