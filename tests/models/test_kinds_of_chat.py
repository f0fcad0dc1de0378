"""Conversations of each kind of model, token for token as transformers has them, and with thoughts left out."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipeline.errors import InputError
from pipeline.models import template_process
from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.models.messages import ChatMessage
from tests.tiny_models import GEMMA, KINDS, THINKING, Kind, trl_template, write_tokenizer

Chat = list[ChatMessage]

ASKED = [
    [("user", "what is it? 🐢")],
    [("system", "Be slow."), ("user", "the hare")],
    [("user", "a"), ("assistant", "It is\nslow."), ("user", "Zwölf  Hasen")],
    [("system", "Be."), ("user", "a"), ("assistant", "b"), ("user", "late"), ("assistant", "o k"), ("user", "x")],
]
ANSWER = ChatMessage("assistant", "the tortoise, é")


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers is asked on the day that templates take for today here."""
    from transformers.utils import chat_template_utils

    class Day(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Day":
            return cls(template_process.TODAY.year, template_process.TODAY.month, template_process.TODAY.day, tzinfo=tz)

    monkeypatch.setattr(chat_template_utils, "datetime", Day)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def messages(chat: list[tuple[str, str]]) -> Chat:
    return [ChatMessage(role, content) for role, content in chat]  # type: ignore[arg-type]


def by_transformers(kind: Kind, directory: Path) -> Callable[[Chat, bool], list[int]]:
    """What transformers makes of a conversation, and of one with the assistant to answer next."""
    tokenizer = write_tokenizer(directory, kind)

    def tokens(chat: Chat, answer_next: bool) -> list[int]:
        ids: list[int] = tokenizer.apply_chat_template(  # type: ignore[assignment]
            [{"role": turn.role, "content": turn.content} for turn in chat],
            add_generation_prompt=answer_next,
            enable_thinking=False,
            chat_template=kind.reference,
            return_dict=False,
        )
        return ids

    return tokens


def test_prompts_and_examples_are_those_of_transformers_and_an_answer_is_learnt_where_it_is_asked_for(
    kind: Kind, tmp_path: Path
) -> None:
    expected = by_transformers(kind, tmp_path)
    found = ChatFormat(tmp_path)
    for chat in map(messages, ASKED):
        assert found.prompt(chat) == expected(chat, True)
        whole = [*chat, ANSWER]
        trained = [turn.role == "assistant" for turn in whole]
        ids, labels = found.example(whole, trained)
        assert ids == expected(whole, False)
        counted = sum(found.count([turn.content for turn in whole])) + found.frame(tuple(turn.role for turn in whole))
        assert counted == len(ids)
        answers = [
            (found.prompt(whole[:at]), found.answer(whole[:at], whole[at])) for at in range(len(whole)) if trained[at]
        ]
        for prompt, answer in answers:
            assert ids[: len(prompt) + len(answer)] == prompt + answer
            assert labels[len(prompt) : len(prompt) + len(answer)] == answer
        assert sum(label != IGNORED for label in labels) == sum(len(answer) for _, answer in answers)


@pytest.mark.parametrize("name", ["llama 3.2", "gemma 3", "qwen 3"])
def test_white_space_that_a_template_takes_off_is_taken_off(name: str, tmp_path: Path) -> None:
    expected = by_transformers(KINDS[name], tmp_path)
    found = ChatFormat(tmp_path)
    chat = messages([("user", "\n a \t"), ("assistant", "\n\n b"), ("user", "c")])
    if name == "qwen 3":  # keeps what stands before a question, where the template's line break becomes one with it
        chat[0] = ChatMessage("user", "a \t")
    assert found.prompt(chat) == expected(chat, True)


def test_a_template_that_writes_the_date_writes_the_same_one_every_day(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS["llama 3.2"])
    found = ChatFormat(tmp_path)
    assert "Today Date: 26 Jul 2024\n" in found.decode(found.prompt(messages(ASKED[0])))


def test_a_thought_that_a_template_leaves_open_is_ended_in_training_and_serving(tmp_path: Path) -> None:
    """As models that can do nothing but think have it."""
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if loop.last and m.role == 'assistant' %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
    )
    write_tokenizer(tmp_path, Kind("qwen3", THINKING, template, {}))
    found = ChatFormat(tmp_path)
    chat = messages(ASKED[2])
    prompt = found.decode(found.prompt(chat))
    assert prompt == (
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nIt is\nslow.<|im_end|>\n"
        "<|im_start|>user\nZwölf  Hasen<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    ids, _ = found.example([*chat, ANSWER], [False] * 4)
    assert found.decode(ids) == prompt + ANSWER.content + "<|im_end|>\n"


def test_a_model_without_a_system_role_says_so(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, Kind("gemma3_text", GEMMA, trl_template("gemma"), {}))
    found = ChatFormat(tmp_path)
    with pytest.raises(InputError) as refused:
        found.prompt(messages(ASKED[1]))
    assert str(refused.value) == (
        f"base model {tmp_path.name}: its chat template refuses the conversation (System role not supported). "
        "Leave the system prompt out, or choose another base model."
    )


def test_a_token_that_the_files_name_as_an_end_is_one_even_if_it_is_no_control_token(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '<end>' }}{% endfor %}"
    write_tokenizer(tmp_path, Kind("llama", THINKING._replace(marks=("<end>", "<other>")), template, {}))
    vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    ids = {word: vocabulary[word] for word in ("<end>", "<other>", "<|im_end|>")}
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids["<end>"], 5, 10**9, True]}))
    found = ChatFormat(tmp_path)
    assert ids["<end>"] in found.stop_ids
    assert ids["<|im_end|>"] in found.stop_ids
    assert not found.stop_ids & {5, ids["<other>"], 1}


@pytest.mark.parametrize("name", ["gemma 3", "mistral", "qwen 3"])
def test_bytes_that_are_no_character_are_said_as_such_and_stop_nothing(name: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, KINDS[name])
    found = ChatFormat(tmp_path)
    text_of = found.detokenizer()
    turtle = found.answer(messages(ASKED[0]), ChatMessage("assistant", "r🐢 é"))[:-1]
    assert "".join(map(text_of, [*turtle, *turtle[1:3], *turtle, *turtle[:2]])) == "r🐢 é\ufffdr🐢 ér"


def test_a_message_that_writes_the_marks_of_thoughts_or_ends_stays_text(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '<end>' }}{% endfor %}"
    write_tokenizer(tmp_path, Kind("llama", THINKING._replace(marks=("<end>", "<think>", "</think>")), template, {}))
    vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": vocabulary["<end>"]}))
    found = ChatFormat(tmp_path)
    ids = found.prompt(messages([("user", "<end><think></think><|im_end|>")]))
    marks = [vocabulary[mark] for mark in ("<end>", "<think>", "</think>", "<|im_end|>")]
    assert [ids.count(mark) for mark in marks] == [1, 0, 0, 0]
    assert found.decode(ids) == "[user]<end><think></think><|im_end|><end>"
