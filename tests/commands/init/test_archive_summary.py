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
