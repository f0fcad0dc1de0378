import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import InputError
from pipeline.training.protocol import Checkpoint, Failed, JobSpec, Report, Started, Step, Stopped, Succeeded
from pipeline.training.scripted import ADAPTER_FILE, read_script, train

MakeSpec = Callable[..., JobSpec]
MakeScript = Callable[..., Path]
KEYS = "Keys: steps, seconds_per_step, fail, crash, hang_at_step, replies, base_models, files, requests."


def run(spec: JobSpec, stop: threading.Event | None = None) -> list[Report]:
    said: list[Report] = []
    train(spec, said.append, stop or threading.Event())
    return said


def test_a_job_starts_steps_checkpoints_each_epoch_and_succeeds(make_spec: MakeSpec) -> None:
    spec = make_spec()
    said = run(spec)
    assert [type(report) for report in said] == [Started, Step, Step, Checkpoint, Step, Step, Checkpoint, Succeeded]
    assert said[0] == Started(
        total_steps=4,
        first_step=0,
        n_epochs=2,
        batch_size=4,
        learning_rate_multiplier=1.0,
        examples=8,
        tokens=24,
        truncated=0,
        skipped=0,
        targets=8,
    )
    assert said[-1] == Succeeded(trained_tokens=48)
    for adapter in ("adapters/step-2", "adapters/step-4", "adapter"):
        assert [file.name for file in (spec.work_dir / adapter).iterdir()] == [ADAPTER_FILE]


def test_losses_fall_and_come_from_the_seed_alone(make_spec: MakeSpec, tmp_path: Path) -> None:
    first, again, other = (
        [r.train_loss for r in run(make_spec(work_dir=tmp_path / name, seed=seed)) if isinstance(r, Step)]
        for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert first == again != other
    assert first == sorted(first, reverse=True)


def test_validation_is_measured_at_the_end_of_an_epoch(make_spec: MakeSpec, training_file: Path) -> None:
    steps = [r for r in run(make_spec(validation_file=training_file)) if isinstance(r, Step)]
    assert [step.valid_loss is not None for step in steps] == [False, True, False, True]
    assert [step.valid_accuracy is not None for step in steps] == [False, True, False, True]


def test_it_fails_as_told(make_spec: MakeSpec, make_script: MakeScript) -> None:
    fail = {"code": "server_error", "message": "The tortoise sleeps.", "param": "training_file", "at_step": 2}
    said = run(make_spec(script=make_script(fail=fail)))
    assert [type(report) for report in said] == [Started, Step, Failed]
    assert said[-1] == Failed("server_error", "The tortoise sleeps.", "training_file")


def test_it_can_fail_before_it_starts(make_spec: MakeSpec, make_script: MakeScript) -> None:
    script = make_script(fail={"code": "invalid_training_file", "message": "No.", "at_step": 0})
    assert run(make_spec(script=script)) == [Failed("invalid_training_file", "No.", None)]


def test_a_hanging_job_stops_when_asked_and_goes_on_from_there(make_spec: MakeSpec, make_script: MakeScript) -> None:
    stop = threading.Event()
    said: list[Report] = []
    hanging = make_spec(script=make_script(hang_at_step=3))
    thread = threading.Thread(target=train, args=(hanging, said.append, stop))
    thread.start()
    stop.set()
    thread.join(10)
    stopped = said[-1]
    assert isinstance(stopped, Stopped)
    rest = run(make_spec())
    assert isinstance(rest[0], Started)
    assert rest[0].first_step == stopped.step
    assert rest[-1] == Succeeded(trained_tokens=48)


def test_a_job_that_had_ended_succeeds_again(make_spec: MakeSpec) -> None:
    run(make_spec())
    assert [type(report) for report in run(make_spec())] == [Started, Succeeded]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"stesp": 3}, "{path}: object contains unknown field stesp."),
        ({"crash": {"signal": "KILL", "at_step": 1}}, "{path}: crash.signal: expected int, got str."),
        ({"fail": {"code": "x"}}, "{path}: fail: object missing required field message."),
        ({"steps": 0}, "{path}: steps: expected int >= 1."),
    ],
)
def test_a_bad_script_names_file_and_key(make_script: MakeScript, script: dict[str, object], message: str) -> None:
    path = make_script(**script)
    with pytest.raises(InputError) as caught:
        read_script(path)
    assert str(caught.value) == f"{message.format(path=path)} {KEYS}"


def test_a_missing_script_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(InputError) as caught:
        read_script(path)
    assert str(caught.value) == (
        f"{path}: the script cannot be read (No such file or directory). Set `backend.script` to a JSON file."
    )


def test_the_script_in_the_documentation_is_valid(tmp_path: Path) -> None:
    from pipeline.training import scripted

    documented = str(scripted.__doc__)
    text = documented[documented.index("{") : documented.rindex("}") + 1]
    (tmp_path / "script.json").write_text(text)
    assert set(msgspec.json.decode(text)) == set(scripted.Script.__struct_fields__)
    assert read_script(tmp_path / "script.json").replies.tuned == "Slow and steady."
