"""Sessions to sessions: merge runs of one sender, choose who is the assistant. Pure functions.

The results are those of langchain_community.chat_loaders.utils (merge_chat_runs_in_session, map_ai_messages_in_session)
on the same messages; tests hold this against the installed package.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from pipeline.chats.session import OWNER, Message, Session


def merge_runs(session: Session, delimiter: str) -> Session:
    """Join consecutive messages of one sender with `delimiter`; a joined message has the time of its first."""
    messages = []
    for _, group in groupby(session.messages, key=lambda message: message.sender):
        run = list(group)
        first = run[0]
        content = _join([message.content for message in run], delimiter)
        messages.append(Message(first.sender, first.is_me, first.time, content, first.role))
    return Session(session.id, session.kind, session.title, messages)


def map_roles(session: Session, assistant: str | list[str]) -> Session:
    """Give every message its role: "assistant" for the named senders, "user" for everybody else.

    Args:
        session: left as it is.
        assistant: a sender, or several; OWNER ("me") stands for the archive's owner whatever the archive calls them.
    """
    names = {assistant} if isinstance(assistant, str) else set(assistant)
    messages = []
    for message in session.messages:
        spoken = message.sender in names or (message.is_me and OWNER in names)
        messages.append(
            Message(
                message.sender, message.is_me, message.time, message.content, role="assistant" if spoken else "user"
            )
        )
    return Session(session.id, session.kind, session.title, messages)


def count_senders(sessions: Iterable[Session]) -> Counter[str]:
    """Count the messages of each sender."""
    return Counter(message.sender for session in sessions for message in session.messages)


def _join(contents: list[str], delimiter: str) -> str:
    """Join as LangChain does, which strips the text so far after each addition, but in linear time."""
    pieces = contents[:1]
    for content in contents[1:]:
        if addition := (delimiter + content).rstrip():
            pieces.append(addition)
        elif len(pieces) == 1:  # a later piece has no white space left to strip
            pieces[0] = pieces[0].rstrip()
    return "".join(pieces).lstrip() if len(contents) > 1 else pieces[0]
