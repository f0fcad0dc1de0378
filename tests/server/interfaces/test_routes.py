"""The app on a store and a queue in memory: the ordinary tests of the routes pass on it, so routes know no others."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import msgspec
import openai
import pytest

from pipeline.inference.engines import create_engine
from pipeline.server import keys
from pipeline.server.app import create_app
from pipeline.server.http.connections import Limits
from pipeline.server.interfaces import StorageBroken, StorageError, StorageFull
from pipeline.server.main import Server, listen
from pipeline.server.settings import ServerSettings
from pipeline.testing import MockServer, serve_in_thread
from tests.server.harness import connect, upload
from tests.server.memory_queue import MemoryQueue
from tests.server.memory_store import MemoryStore
from tests.server.routes import test_completions as completions
from tests.server.routes import test_files as files
from tests.server.routes import test_jobs as jobs
from tests.server.routes import test_models as models
from tests.server.routes import test_uploads as uploads

KEY = "sk-memory"


@contextlib.contextmanager
def served(folder: Path, script: dict[str, object], store: MemoryStore | None = None) -> Iterator[MockServer]:
    """The app on memory alone, served while the block runs."""
    script_file = folder / "script.json"
    script_file.write_bytes(msgspec.json.encode(script))
    settings = ServerSettings(folder, KEY, trainer="scripted", script=script_file)
    store = store or MemoryStore(folder)
    queue = MemoryQueue(settings, store)
    app = create_app(settings, frozenset([keys.digest(KEY)]), store, create_engine("scripted", script_file), queue)
    with listen("127.0.0.1", 0) as listener:
        server = Server(app, listener, Limits.of_process(workers=1))
        with serve_in_thread(server):
            yield MockServer(server.base_url, KEY, folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    with served(tmp_path_factory.mktemp("memory"), {"steps": 3}) as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., openai.OpenAI]]:
    with contextlib.ExitStack() as stack:

        def start(**script: object) -> openai.OpenAI:
            return stack.enter_context(connect(stack.enter_context(served(tmp_path, script))))

        yield start


# Those that look at no disk and stop no training in the middle.
ORDINARY: list[Callable[..., None]] = [
    files.test_a_file_comes_back_as_it_went_in,
    files.test_a_training_file_is_processed_at_once,
    files.test_a_name_may_hold_any_letters,
    files.test_a_form_without_its_end_is_refused,
    files.test_a_script_can_put_every_file_in_error,
    files.test_a_page_names_its_ends,
    files.test_a_file_says_when_it_expires,
    files.test_every_purpose_comes_back_as_it_was_sent,
    uploads.test_the_sdks_own_way_to_upload_in_parts_works,
    uploads.test_a_file_from_parts_can_expire,
    uploads.test_an_unknown_upload_is_not_found,
    uploads.test_a_part_whose_answer_was_lost_is_kept_once,
    jobs.test_a_job_goes_from_file_to_model,
    jobs.test_events_tell_the_story_of_a_job,
    jobs.test_metrics_are_the_same_in_events_checkpoints_and_the_result_file,
    jobs.test_what_was_not_measured_is_left_out,
    jobs.test_a_bad_create_is_refused_at_once,
    jobs.test_a_file_of_another_purpose_is_refused,
    jobs.test_a_bad_training_file_fails_the_job,
    jobs.test_a_bad_validation_file_is_named_as_such,
    jobs.test_jobs_are_found_by_metadata,
    jobs.test_events_come_in_pages,
    jobs.test_one_idempotency_key_makes_one_job,
    jobs.test_a_key_finds_its_job_though_the_file_is_gone,
    jobs.test_an_unknown_job_is_not_found,
    jobs.test_a_finished_job_cannot_be_stopped,
    jobs.test_a_base_model_cannot_be_deleted,
    jobs.test_raw_answers_say_null_where_openai_does,
    jobs.test_a_dpo_job_learns_from_pairs_and_answers_its_beta,
    jobs.test_every_kept_checkpoint_can_be_chatted_with,
    jobs.test_an_odd_question_for_metadata_is_refused,
    models.test_a_job_from_a_tuned_model_is_told_that_this_is_not_supported,
    completions.test_an_answer_in_one_piece,
    completions.test_a_stream_adds_up_to_the_answer,
    completions.test_usage_comes_last_in_a_stream_that_asks_for_it,
    completions.test_a_tuned_model_and_its_checkpoints_answer_in_their_own_voice,
    completions.test_an_unknown_model_is_not_found,
]
globals().update({test.__name__: test for test in ORDINARY})


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (StorageFull(), 507, "The server's disk is full. Free some space there and send the request again."),
        (StorageBroken("gone"), 500, "The server had an error while processing your request."),
        (StorageError(), 500, "The server had an error while processing your request."),
    ],
)
def test_a_store_that_fails_is_answered_for_whatever_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: StorageError, status: int, message: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    store = MemoryStore(tmp_path)
    monkeypatch.setattr(store, "count_jobs", fail)
    monkeypatch.setattr(store.files, "add", fail)
    with served(tmp_path, {}, store) as server, connect(server) as client:
        ready = httpx.get(server.base_url.removesuffix("/v1") + "/readyz")
        with pytest.raises(openai.InternalServerError) as refused:
            upload(client)

    assert (ready.status_code, ready.json()["error"]) == (
        503,
        {"message": "The server's store cannot be read.", "type": "server_error", "param": None, "code": "not_ready"},
    )
    assert (refused.value.status_code, refused.value.body) == (
        status,
        {"message": message, "type": "server_error", "param": None, "code": None},
    )
    assert list((tmp_path / "incoming").iterdir()) == []
