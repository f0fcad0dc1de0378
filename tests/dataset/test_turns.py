import time

from pipeline.dataset.funnel import Lost, Tally
from pipeline.dataset.turns import Rules, talks
from pipeline.sessions.session import Message, Session
from pipeline.sessions.stream import streamed

RULES = Rules(session_gap_s=3600.0, burst_gap_s=600.0, opening="[start]", clean=lambda content: content)


def messages(*said: str) -> list[Message]:
    """Each "NAME: TEXT", one a second; Ann is the assistant."""
    found = []
    for number, line in enumerate(said):
        name, _, text = line.partition(": ")
        at = f"2023-01-01T00:{number // 60:02}:{number % 60:02}Z"
        found.append(Message(name, False, at, text, "assistant" if name == "Ann" else "user"))
    return found


def test_what_is_said_in_a_row_is_one_turn_and_an_opening_stays_as_it_is() -> None:
    said = messages("Ann: hi", "Ann: all", "Bob: a", "Carl: b", "Ann: c", "Ann: d", "Bob: e", "Bob: f")
    tally = Tally()
    found = [
        [(turn.content, turn.count) for turn in talk]
        for talk in talks(streamed(Session("g", "group", None, said)), RULES, tally)
    ]
    assert found == [[("[start]", 0), ("hi\nall", 2), ("Bob: a\nCarl: b", 2), ("c\nd", 2)]]
    assert tally.dropped == {Lost.UNANSWERED: 2}


def test_a_busy_group_takes_time_in_proportion_to_its_messages() -> None:
    def seconds(number: int) -> float:
        said = [Message("Bob", False, None, "words and words and words and words " * 3, "user") for _ in range(number)]
        begun = time.process_time()
        assert not list(talks(streamed(Session("g", "group", None, said)), RULES, Tally()))
        return time.process_time() - begun

    few = min(seconds(3000) for _ in range(3))
    assert seconds(24_000) < 30 * few
