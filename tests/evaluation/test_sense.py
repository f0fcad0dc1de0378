"""What is wrong with an answer is counted by what it is, and what a person says is no fault."""

import pytest

from pipeline.evaluation.sense import Answer, Recited, faults_of, is_loop, others_for, sense_of
from pipeline.models.messages import ChatMessage

ASKED = (ChatMessage("user", "are you coming?"),)


def answer(text: str, *, ended: bool = True) -> Answer:
    return Answer(ASKED, text, ended)


@pytest.mark.parametrize(
    ("text", "ended", "faults"),
    [
        ("", True, ["empty"]),
        (" \n", False, ["empty"]),
        ("yeah on my way", False, ["endless"]),
        ("i know i know i know i know i know i know", True, ["loops"]),
        ("Mara: I am not.", True, ["speaks as the other person"]),
        ("sure\nMara: good", True, ["speaks as the other person"]),
        ("I'm sorry, as a chatbot I don't know.", True, ["talks like an assistant"]),
        ("How can I help you today?", True, ["talks like an assistant"]),
        ("nah im good, tell Mara: no", True, []),
        ("no no no", True, []),
        ("hahahahahaha lol", True, []),
        ("i'm sorry i can't make it", True, []),
    ],
)
def test_an_answers_faults_are_named(text: str, ended: bool, faults: list[str]) -> None:
    expected = [] if text == "i'm sorry i can't make it" else faults
    assert faults_of(answer(text, ended=ended), ["Mara"], own_phrases=not expected) == faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ha " * 6, True),
        ("ha ha ha", False),
        ("we go there and " * 3, True),
        ("a" * 40, True),
        ("x" * 39, False),
        ("", False),
    ],
)
def test_a_loop_is_words_that_come_again_and_again(text: str, expected: bool) -> None:
    assert is_loop(text) is expected


def test_who_talks_like_an_assistant_themself_may_be_answered_so() -> None:
    said = [answer("feel free to ask")]
    assert sense_of(said, [], ["feel free to ask me", "ok"], {}, None).faults == {}
    assert sense_of(said, [], ["ok"], {}, None).faults == {"talks like an assistant": 1}


def test_another_language_is_one_that_the_person_does_not_write() -> None:
    def language(text: str) -> str | None:
        return {"ja": "de", "yes": "en"}.get(text)

    replies = ["yes"] * 30 + ["hm"]
    found = sense_of([answer("ja"), answer("yes"), answer("hm")], [], replies, {}, language)
    assert (found.faulty, found.faults) == (1, {"another language": 1})


def test_the_true_replys_rank_is_the_share_of_the_others_that_it_beats() -> None:
    picks = {"tuned": [[1.0, 2.0, 3.0], [2.5, 2.0, 3.0]], "base": [[3.0, 2.0, 1.0]]}
    found = sense_of([answer("ok")], [], [], picks, None)
    assert found.picks is not None
    assert found.base_picks is not None
    assert (found.contexts, found.first, found.picks.value, found.base_picks.value) == (2, 1, 0.75, 0.0)


def test_the_ten_others_are_about_as_long_as_the_true_reply() -> None:
    replies = ["x" * length for length in range(1, 200)]
    chosen = others_for("y" * 100, replies, 3)
    assert len(set(chosen)) == 10
    assert all(70 < len(each) < 130 for each in chosen)
    assert others_for("a", ["a", "b", "c", "b"], 0) == ["b", "c"]


def test_recited_are_eight_words_of_the_training_that_the_context_does_not_hold() -> None:
    recited = Recited(["Well, I'll be at the old bakery near elm street at nine", "short one"])
    whole = "so i'll be at the old bakery near elm, ok"
    assert recited.is_in(whole, ASKED)
    assert not recited.is_in("be at the old bakery near elm", ASKED)
    assert not recited.is_in(whole, (ChatMessage("user", "i'll be at the old bakery near elm street"),))
