"""Who is meant by a name that is no sender's."""

from pipeline.commands.init.archive_summary import survey
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import streamed


def test_people_are_found_by_what_else_they_are_called() -> None:
    said = [Message("me", True, None, "Hi"), Message("Sol ☀", False, None, "Ho"), Message("olo", False, None, "Hm")]
    people = {"Sol ☀": Person("Sol ☀", ["8", "sol_2"]), "olo": Person("olo", []), "Silent": Person("Silent", ["hush"])}
    found = survey([streamed(Session("one", "group", None, said, people, owner="Olo Quay"))])
    meant = {name: found.meant(name) for name in ("SOL_2", "Olo Quay", "Olo", "olo", "8", "hush", "Bo")}
    assert meant == {
        "SOL_2": "Sol ☀",
        "Olo Quay": "me",
        "Olo": "me",
        "olo": "olo",
        "8": "8",
        "hush": "hush",
        "Bo": "Bo",
    }


def test_what_each_said_is_counted_by_turns_and_a_part_of_it_kept() -> None:
    talk = [Message("a", False, None, "one"), Message("a", False, None, "two"), Message("b", False, None, "three")] * 2
    found = survey([streamed(Session("x", "direct", None, talk)), streamed(Session("y", "direct", None, talk[:2]))])
    assert found.turns == {"a": 3, "b": 2}
    assert found.said == {"a": ["one", "two"] * 3, "b": ["three"] * 2}
    long = [Message("a", False, None, f"{number} {'x' * 1000}") for number in range(5000)]
    (kept,) = survey([streamed(Session("x", "direct", None, long))]).said.values()
    assert 200 <= len(kept) <= 400
    assert max(map(len, kept)) == 300
    numbers = [int(each.split()[0]) for each in kept]
    assert (numbers[0], numbers[-1] > 4900) == (0, True), "from all over it"
