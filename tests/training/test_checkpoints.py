from pathlib import Path

from pipeline.training.checkpoints import last_good, seal, step_of


def write(store: Path, step: int, *, sealed: bool = True) -> Path:
    folder = store / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights" * step)
    if sealed:
        seal(folder)
    return folder


def test_the_newest_sealed_checkpoint_counts(tmp_path: Path) -> None:
    assert last_good(tmp_path) is None
    write(tmp_path, 9)
    newest = write(tmp_path, 10)
    assert last_good(tmp_path) == newest
    assert step_of(newest) == 10


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (5, 9, 10):
        write(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-10",
        "checkpoint-10.json",
        "checkpoint-9",
        "checkpoint-9.json",
    ]


def test_an_unsealed_checkpoint_is_removed_and_the_one_before_counts(tmp_path: Path) -> None:
    good = write(tmp_path, 5)
    unsealed = write(tmp_path, 10, sealed=False)
    assert last_good(tmp_path) == good
    assert not unsealed.exists()


def test_a_damaged_checkpoint_is_removed_and_the_one_before_counts(tmp_path: Path) -> None:
    good, damaged = write(tmp_path, 5), write(tmp_path, 10)
    file = damaged / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert last_good(tmp_path) == good
    assert not damaged.exists()
    assert not damaged.with_name("checkpoint-10.json").exists()
