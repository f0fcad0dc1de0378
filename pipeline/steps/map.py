"""Step 4: the chosen sender becomes the assistant, everybody else the user."""

from collections import Counter
from collections.abc import Iterator

from pipeline.chats.session import OWNER, Session, read_sessions, write_sessions
from pipeline.chats.transform import map_roles
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.steps.outputs import Map, Merge
from pipeline.steps.step import Step, Work

_LISTED = 20


def run(config: Config, merge: Merge, work: Work) -> Map:
    """Give every message its role.

    Raises:
        InputError: nobody of that name speaks in the archive, or `me` and it does not say who that is; lists who
            does, with counts.
    """
    wanted = config.map.assistant
    roles: Counter[str | None] = Counter()
    senders: Counter[str] = Counter()

    def mapped() -> Iterator[Session]:
        for session in read_sessions(work.run_dir / merge.sessions.path):
            senders.update(message.sender for message in session.messages)
            result = map_roles(session, wanted)
            roles.update(message.role for message in result.messages)
            yield result
        for name in [wanted] if isinstance(wanted, str) else wanted:
            if name not in senders:
                raise _not_found(name, senders)

    artifact = write_sessions(work.run_dir, "04_mapped.jsonl", mapped())
    return Map(artifact, roles["assistant"], roles["user"])


def _not_found(name: str, senders: Counter[str]) -> InputError:
    listed = ", ".join(f"{sender} ({count:,})" for sender, count in senders.most_common(_LISTED))
    more = f" and {len(senders) - _LISTED:,} more" if len(senders) > _LISTED else ""
    what = "no such sender"
    if name == OWNER:
        what = "no message in the archive is marked as its owner's"
    return InputError("map.assistant", what, got=name, fix=f"Choose one of the senders found: {listed}{more}.")


STEP = Step(
    name="map",
    version=1,
    needs=("merge",),
    declares=("map.assistant",),
    output=Map,
    run=run,
)
