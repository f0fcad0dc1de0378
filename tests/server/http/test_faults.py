"""The faults that a script asks for, as the SDK meets them."""

import time
from collections.abc import Callable

import openai
import pytest

from tests.server.harness import BASE, finish, upload

JOBS = "/v1/fine_tuning/jobs"


def test_a_fault_happens_to_its_requests_so_many_times(serve: Callable[..., openai.OpenAI]) -> None:
    fault = {"method": "GET", "path": "/v1/files*", "skip": 1, "times": 2, "status": 503, "message": "Busy."}
    client = serve(requests=[fault])

    upload(client)
    client.files.list()
    for _ in range(2):
        with pytest.raises(openai.InternalServerError) as refused:
            client.files.list()
        assert refused.value.body == {"message": "Busy.", "type": "server_error", "param": None, "code": None}
        assert refused.value.request_id is not None
    assert len(client.files.list().data) == 1


def test_the_sdk_outlives_a_limit_that_says_when_to_come_back(serve: Callable[..., openai.OpenAI]) -> None:
    fault = {"path": "/v1/models", "status": 429, "code": "rate_limit_exceeded", "retry_after_s": 0, "times": 2}
    client = serve(requests=[fault])

    with pytest.raises(openai.RateLimitError) as refused:
        client.models.list()
    assert (refused.value.code, refused.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "0")
    assert BASE in [model.id for model in client.with_options(max_retries=1).models.list()]


def test_a_lost_answer_makes_a_second_job_and_a_key_does_not(serve: Callable[..., openai.OpenAI]) -> None:
    lost = {"method": "POST", "path": JOBS, "cut": True, "after": True}
    client = serve(steps=1, requests=[{**lost, "times": 1}, {**lost, "times": 1}])
    file = upload(client).id
    patient = client.with_options(max_retries=3)

    patient.fine_tuning.jobs.create(model=BASE, training_file=file)

    jobs = list(client.fine_tuning.jobs.list())
    assert len(jobs) == 3, "two answers were lost, and the SDK asked again"
    for job in jobs:
        finish(client, job.id)

    key = {"Idempotency-Key": "mine"}
    patient.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)
    patient.fine_tuning.jobs.create(model=BASE, training_file=file, extra_headers=key)
    assert len(list(client.fine_tuning.jobs.list())) == 4


def test_a_cut_request_that_is_not_done_leaves_nothing(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(requests=[{"method": "POST", "path": "/v1/files", "cut": True}])

    with pytest.raises(openai.APIConnectionError):
        upload(client)

    assert client.files.list().data == []


def test_a_request_can_be_late(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(requests=[{"path": "/v1/models", "delay_s": 0.2, "times": None}])

    began = time.monotonic()
    client.models.list()

    assert time.monotonic() - began >= 0.2


def test_a_model_can_be_slow(serve: Callable[..., openai.OpenAI]) -> None:
    client = serve(replies={"base": "Slow and steady.", "seconds_per_word": 0.1})

    began = time.monotonic()
    said = client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "Your motto?"}])

    assert time.monotonic() - began >= 0.3
    assert said.choices[0].message.content == "Slow and steady."
