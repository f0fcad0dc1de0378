"""What may be typed in a conversation, by itself."""

import json
from pathlib import Path

import pytest

from pipeline.commands.conversation import HELP, Conversation


@pytest.fixture
def talk(tmp_path: Path) -> Conversation:
    return Conversation("ft:b:t", "b", "Theo", "You are Theo.", 0.8, lambda: ["ft:b:t:1", "ft:b:t:2"], tmp_path)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/help", HELP),
        ("/reset", "What was said is forgotten."),
        ("/base", "You talk to b."),
        ("/checkpoint 2", "You talk to ft:b:t:2."),
        ("/checkpoint 3", "/checkpoint takes the number of an epoch, 1 to 2."),
        ("/checkpoint", "/checkpoint takes the number of an epoch, 1 to 2."),
        ("/temperature 0", "The temperature is 0."),
        ("/temperature hot", "/temperature takes a number from 0 to 2; it is 0.8."),
        ("/temperature nan", "/temperature takes a number from 0 to 2; it is 0.8."),
        ("/system You are Ada.", 'It is told: "You are Ada."'),
        ("/system", "It is told nothing."),
        ("/save", "Nothing was said yet."),
        ("/etc/passwd", "There is no /etc/passwd; /help lists what there is."),
    ],
)
def test_every_command_tells_what_it_did(talk: Conversation, typed: str, told: str) -> None:
    assert talk.command(typed) == told


def test_the_models_of_epochs_and_the_base_model_answer_under_their_own_labels(talk: Conversation) -> None:
    assert (talk.model, talk.label) == ("ft:b:t", "Theo")
    talk.command("/base")
    assert (talk.model, talk.label) == ("b", "base")
    talk.command("/base")
    assert (talk.model, talk.label) == ("ft:b:t", "Theo")
    talk.command("/checkpoint 1")
    assert (talk.model, talk.label) == ("ft:b:t:1", "epoch 1")


def test_a_backend_without_models_of_epochs_says_so(talk: Conversation) -> None:
    talk.checkpoints = list
    assert talk.command("/checkpoint 1") == "The backend keeps no models of single epochs."


def test_what_was_said_is_sent_after_what_the_model_is_told_and_forgotten_on_request(talk: Conversation) -> None:
    talk.history.append({"role": "user", "content": "Hi"})
    assert talk.messages == [{"role": "system", "content": "You are Theo."}, {"role": "user", "content": "Hi"}]
    talk.command("/reset")
    talk.command("/system")
    assert talk.messages == []


def test_what_was_said_is_kept_for_its_owner_alone_and_nothing_is_written_over(
    talk: Conversation, tmp_path: Path
) -> None:
    talk.history.append({"role": "user", "content": "Hi"})
    path = tmp_path / "kept.jsonl"
    assert talk.command(f"/save {path}") == f"Kept in {path}."
    assert json.loads(path.read_text()) == {"model": "ft:b:t", "messages": talk.messages}
    assert path.stat().st_mode & 0o077 == 0
    assert talk.command(f"/save {path}") == f"/save: {path} exists already. Name another file."
    nowhere = tmp_path / "none" / "kept.jsonl"
    assert talk.command(f"/save {nowhere}") == (
        f"/save: {nowhere} cannot be written (No such file or directory). Name another file."
    )
