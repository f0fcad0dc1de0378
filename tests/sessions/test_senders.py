from pipeline.sessions.senders import Chat, Sender, chats_of, senders_of
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import streamed

SESSIONS = [
    Session(
        "a",
        "direct",
        None,
        [
            Message("+15550100100", False, "2023-08-28T00:32:03Z", "1"),
            Message("me", True, "2021-08-28T00:32:03Z", "2"),
            Message("me", True, None, "3"),
        ],
        {"+15550100100": Person("Friend-1")},
    ),
    Session("b", "group", "Race", [Message("Owl", False, None, "4"), Message("me", True, "2024-01-01T00:00:00Z", "5")]),
]


def test_everybody_who_speaks_is_counted_the_most_talkative_first() -> None:
    assert senders_of(map(streamed, SESSIONS)) == [
        Sender("me", "me", True, 3, 2, "2021-08-28T00:32:03Z", "2024-01-01T00:00:00Z"),
        Sender("+15550100100", "Friend-1", False, 1, 1, "2023-08-28T00:32:03Z", "2023-08-28T00:32:03Z"),
        Sender("Owl", "Owl", False, 1, 1, None, None),
    ]


def test_every_conversation_is_counted_the_longest_first() -> None:
    assert chats_of(map(streamed, reversed(SESSIONS))) == [
        Chat("a", "direct", None, ["+15550100100"], 3, "2021-08-28T00:32:03Z", "2023-08-28T00:32:03Z"),
        Chat("b", "group", "Race", [], 2, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ]
