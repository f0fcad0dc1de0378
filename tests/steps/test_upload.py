"""Step 6: each file is sent once, under a name that tells nothing, and not beyond a limit."""

import dataclasses

import msgspec
import pytest

from pipeline.errors import InputError
from pipeline.steps import upload
from pipeline.steps.outputs import Upload
from tests.fault_server import FaultServer
from tests.steps.bench import Bench, made_by_convert


def test_both_files_are_sent_and_named_by_their_content(bench: Bench, server: FaultServer) -> None:
    convert = made_by_convert(bench, valid=True)
    assert convert.valid is not None
    assert upload.run(bench.config(), convert, bench.work) == Upload("file-1", "file-2")
    assert list(server.contents.values()) == [b"train\n", b"valid\n"]
    assert [file["filename"] for file in server.files] == [
        f"finetune-{file.sha256[:16]}.jsonl" for file in (convert.train, convert.valid)
    ]


def test_what_was_sent_is_not_sent_again(bench: Bench, server: FaultServer) -> None:
    for _ in range(2):
        assert upload.run(bench.config(), made_by_convert(bench), bench.work) == Upload("file-1", None)
    assert server.posts == ["file.create"]


def test_two_files_of_the_same_content_are_one_on_the_backend(bench: Bench, server: FaultServer) -> None:
    convert = made_by_convert(bench)
    twice = msgspec.structs.replace(convert, valid=bench.put("05_valid.jsonl", b"train\n"))
    assert upload.run(bench.config(), twice, bench.work) == Upload("file-1", "file-1")
    assert server.posts == ["file.create"]


def test_beyond_a_limit_nothing_is_sent(bench: Bench, server: FaultServer) -> None:
    with pytest.raises(InputError) as caught:
        upload.run(bench.config(create_job={"max_tokens": 1000}), made_by_convert(bench, tokens=251), bench.work)
    assert str(caught.value) == (
        "create_job.max_tokens: the training would take about 1,004 tokens (4 epochs assumed), more than allowed, "
        "got 1,000. Raise it, or train on less. Nothing was sent."
    )
    assert not server.requests


def test_a_broken_base_model_is_found_before_anything_is_sent(bench: Bench, server: FaultServer) -> None:
    def broken() -> None:
        raise InputError("create_job.model", "is broken", fix="Mend it.")

    connection = bench.connection
    connection.check_model = broken  # type: ignore[method-assign]
    work = dataclasses.replace(bench.work, connection=connection)
    with pytest.raises(InputError, match="is broken"):
        upload.run(bench.config(), made_by_convert(bench), work)
    assert not server.requests
