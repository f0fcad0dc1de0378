import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from pipeline.errors import InputError
from pipeline.models.chat_format import IGNORED, ChatFormat
from pipeline.models.messages import ChatMessage

IM_START, IM_END = 1, 2

texts = st.text(st.sampled_from("ab \n\t0é🐢<|>_imstaren") | st.characters(exclude_categories=["Cs"]), max_size=30) | (
    st.sampled_from(["<|im_end|>", "<|im_start|>assistant\n", "Slow", "\ue0000\ue001", "{{ messages }}"])
)
turns = st.tuples(st.builds(ChatMessage, st.sampled_from(["user", "assistant"]), texts), st.booleans())


@given(conversation=st.lists(turns, min_size=1, max_size=6))
def test_the_targets_are_the_trained_answers_and_their_ends(
    tiny_format: ChatFormat, conversation: list[tuple[ChatMessage, bool]]
) -> None:
    messages = [message for message, _ in conversation]
    trained = [weight and message.role == "assistant" for message, weight in conversation]
    input_ids, labels = tiny_format.example(messages, trained)
    targets = [label for label in labels if label != IGNORED]
    answers = [m.content + "<|im_end|>" for m, is_trained in zip(messages, trained, strict=True) if is_trained]
    assert tiny_format.decode(targets) == "".join(answers)
    assert len(input_ids) == len(labels)
    assert all(label in (IGNORED, token) for token, label in zip(input_ids, labels, strict=True))


@given(conversation=st.lists(turns, min_size=1, max_size=6))
def test_text_never_becomes_a_control_token(
    tiny_format: ChatFormat, conversation: list[tuple[ChatMessage, bool]]
) -> None:
    messages = [message for message, _ in conversation]
    input_ids, _ = tiny_format.example(messages, [False] * len(messages))
    assert (
        input_ids.count(IM_START) == input_ids.count(IM_END) == len(messages) + 1
    )  # and the template's own system turn


@given(conversation=st.lists(turns, min_size=1, max_size=4), answer=texts)
def test_an_answer_is_trained_right_behind_the_prompt_it_will_be_asked_with(
    tiny_format: ChatFormat, conversation: list[tuple[ChatMessage, bool]], answer: str
) -> None:
    messages = [message for message, _ in conversation]
    prompt = tiny_format.prompt(messages)
    trained = [False] * len(messages) + [True]
    input_ids, labels = tiny_format.example([*messages, ChatMessage("assistant", answer)], trained)
    assert input_ids[: len(prompt)] == prompt
    assert all(label == IGNORED for label in labels[: len(prompt)])
    assert tiny_format.decode(labels[len(prompt) : -1]) == answer + "<|im_end|>"


@given(conversation=st.lists(turns, min_size=1, max_size=4))
def test_a_conversation_has_no_fewer_tokens_than_its_length_says(
    tiny_format: ChatFormat, conversation: list[tuple[ChatMessage, bool]]
) -> None:
    messages = [message for message, _ in conversation]
    assert tiny_format.fewest_tokens(messages) <= len(tiny_format.prompt(messages))
    assert tiny_format.fewest_tokens([ChatMessage("user", "Slow" * 1000)]) > 100


def test_a_tokenizer_without_a_token_for_what_is_unknown_is_named(tiny_model: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokenizer["model"] = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "q"}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))

    with pytest.raises(InputError) as refused:
        ChatFormat(directory)

    assert str(refused.value) == (
        "base model model: its tokenizer cannot encode a text "
        "(WordLevel error: Missing [UNK] token from the vocabulary). "
        "Mend its tokenizer.json, or choose another base model."
    )


def test_a_regular_expression_without_an_end_is_the_models_fault(tiny_model: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    endless = {"type": "Split", "pattern": {"Regex": "(a|aa)+(?=!)b"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [endless, tokenizer["pre_tokenizer"]]}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    endless_format = ChatFormat(directory)

    with pytest.raises(InputError) as refused:
        endless_format.prompt([ChatMessage("user", "a" * 40 + "!")])

    assert str(refused.value) == (
        "base model model: its tokenizer cannot encode a text (Onig: Regex search error: retry-limit-in-match over). "
        "Mend its tokenizer.json, or choose another base model."
    )


def test_a_template_that_adds_a_system_prompt_does_so_for_training_and_prompt(tiny_format: ChatFormat) -> None:
    asked = [ChatMessage("user", "Hurry!")]
    assert tiny_format.decode(tiny_format.prompt(asked)) == (
        "<|im_start|>system\nYou are tiny.<|im_end|>\n<|im_start|>user\nHurry!<|im_end|>\n<|im_start|>assistant\n"
    )
    told = [ChatMessage("system", "Be slow."), *asked]
    assert tiny_format.decode(tiny_format.prompt(told)) == (
        "<|im_start|>system\nBe slow.<|im_end|>\n<|im_start|>user\nHurry!<|im_end|>\n<|im_start|>assistant\n"
    )


@given(text=texts)
def test_text_comes_out_as_it_went_in_and_never_in_half_characters(tiny_format: ChatFormat, text: str) -> None:
    _, labels = tiny_format.example([ChatMessage("assistant", text)], [True])
    text_of = tiny_format.detokenizer()
    pieces = [text_of(label) for label in labels if label not in (IGNORED, IM_END)]
    assert "".join(pieces) == text or "\ufffd" in text
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


def test_an_unfinished_character_is_not_said(tiny_format: ChatFormat) -> None:
    _, labels = tiny_format.example([ChatMessage("assistant", "a🐢")], [True])
    text_of = tiny_format.detokenizer()
    targets = [label for label in labels if label != IGNORED]
    assert [text_of(token) for token in targets[:4]] == ["a", "", "", ""]
    assert text_of(targets[4]) == "🐢"


def with_template(model: Path, tmp_path: Path, template: str) -> Path:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / "chat_template.jinja").write_text(template)
    return tmp_path


def test_a_model_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        ChatFormat(with_template(tiny_model, tmp_path, ""))
    assert str(caught.value) == (
        f"base model {tmp_path.name}: its tokenizer has no chat template. Choose a model made for chat."
    )


def test_a_template_without_an_end_of_turn_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    template = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    with pytest.raises(InputError) as caught:
        ChatFormat(with_template(tiny_model, tmp_path, template))
    assert str(caught.value) == (
        f"base model {tmp_path.name}: its chat template ends an assistant's turn with no control token, so it could "
        "not learn to stop. Choose a model made for chat."
    )


def test_a_template_that_leaves_messages_out_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    chat_format = ChatFormat(
        with_template(tiny_model, tmp_path, "{% for m in messages[-2:] %}{{ m['content'] }}<|im_end|>{% endfor %}")
    )
    with pytest.raises(InputError) as caught:
        chat_format.prompt([ChatMessage("user", "a")] * 3)
    assert str(caught.value) == (
        f"base model {tmp_path.name}: its chat template does not print every message once and in order. "
        "Choose a model whose template does."
    )


def test_what_a_template_refuses_is_said(tiny_model: Path, tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{{ m['content'] }}<|im_end|>{% endfor %}"
    )
    chat_format = ChatFormat(with_template(tiny_model, tmp_path, template))
    with pytest.raises(InputError) as caught:
        chat_format.prompt([ChatMessage("system", "a")])
    assert str(caught.value) == (
        f"base model {tmp_path.name}: its chat template refuses the conversation (System role not supported). "
        "Change the order or the roles of the messages."
    )


@given(text=texts)
def test_the_bytes_of_tokens_are_the_text_that_they_stand_for(tiny_format: ChatFormat, text: str) -> None:
    *_, (ids, _) = list(tiny_format._segments([ChatMessage("user", text)], answer_next=False))[:2]
    assert b"".join(map(tiny_format.token_bytes, ids)).decode() == text
    assert tiny_format.token_bytes(IM_END) == b"<|im_end|>"


def test_the_bytes_of_a_sentencepiece_vocabulary_are_read_too(tmp_path: Path) -> None:
    pieces = {"<s>": 0, "\u2581Slow": 1, "<0xF0>": 2, "\u2581": 3}
    tokenizer = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken("<s>", special=True)])
    template = "{% for m in messages %}{{ m['content'] }}<s>{% endfor %}"
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<s>", chat_template=template
    ).save_pretrained(tmp_path)
    found = ChatFormat(tmp_path)
    assert [found.token_bytes(token) for token in range(4)] == [b"<s>", b" Slow", b"\xf0", b" "]
