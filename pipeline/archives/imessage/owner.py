"""Which of the people in a chat.db are the owner: under every address that they use, an alias too.

`message.account` alone misses the owner's phone number (anthropics/claude-plugins-official, issue 4503).
"""

import sqlite3
from collections.abc import Callable, Iterable

from pipeline.archives.imessage.database import Chat, Database
from pipeline.archives.imessage.indexes import text_of

_SAMPLE = 50  # newest messages of a chat in which the owner's addresses are looked for


def own_people(
    database: Database, person_of: Callable[[str], str], chats: Iterable[tuple[Chat, frozenset[str]]]
) -> frozenset[str]:
    """The owner as people: what the database says itself, and what messages of somebody else were sent to.

    What a message came in through is the owner's, whatever chat it is in; but where that is the chat's only other
    person, the two columns contradict each other, and it is left as a chat with them.

    Args:
        person_of: the person behind an address.
        chats: each with who else is in it.
    """
    own = {person_of(address) for address in _own_addresses(database)}
    for chat, present in chats:
        through = {person_of(address) for address in received_through(database, chat.rowid, _SAMPLE)}
        own |= through if len(present) > 1 else through - present
    return frozenset(own)


def _own_addresses(database: Database) -> set[str]:
    """Those of all accounts, what any message of the owner's went out from, and what chats say last did.

    It looks at every row, for an alias may have sent one message alone.
    """
    account, through = (database.select("message", (name,)) for name in ("account", "destination_caller_id"))
    sent = f"CASE WHEN {database.select('message', ('is_from_me',))} = 1 THEN {through} END"
    queries = [f"SELECT DISTINCT {account}, {sent} FROM message"]
    if database.has("chat"):
        queries.append(
            f"SELECT DISTINCT {database.select('chat', ('account_login', 'last_addressed_handle'))} FROM chat"
        )
    found: set[str] = set()
    for query in queries:
        try:
            found.update(text_of(value) for row in database.counting(query) for value in row)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
                raise  # who reads the rows meets the damage again, and can say where it is
    return found - {""}


def received_through(database: Database, chat: int, sample: int) -> set[str]:
    """What the newest messages in a chat were sent to."""
    query = (
        f"SELECT DISTINCT {database.select('message', ('destination_caller_id',))} FROM (SELECT message_id FROM "
        "chat_message_join WHERE chat_id = ? ORDER BY message_id DESC LIMIT ?) JOIN message "
        "ON message.ROWID = message_id"
    )
    return {text_of(address) for (address,) in database.counting(query, (chat, sample))} - {""}
