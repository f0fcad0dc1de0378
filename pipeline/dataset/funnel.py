"""What became of every message of an archive: each ends in exactly one place, and the sum is checked.

A turn is made of one message or several. The first of an own turn that is learnt counts as a target, the others as
merged into it; those of what is only read count as context.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec

from pipeline.errors import FinetuneError
from pipeline.sessions.session import Session


class Lost(enum.StrEnum):
    """Why a message is in no example, or an own turn in one but not learnt; for a person to read."""

    NO_ASSISTANT = "without the assistant"
    UNANSWERED = "never answered"
    OPENING = "nothing came before it"
    NOTHING_SAID = "nothing but an attachment"
    BORROWED = "forwarded, or by way of a bot"
    SAME = "the same words too often"
    SHORT = "very short, and enough of those"
    COPIED = "nearly the same is learnt"
    SHARE = "beyond one conversation's share"
    TOO_LONG = "too long for the window"
    NO_TARGET = "before a reply not learnt"
    SPECIAL = "holds a special token"
    WEIGHT = "weight 0 in the file"
    UNDECIDED = "holds a number that may be anybody's"


_KEYS: dict[str, str] = {
    Lost.OPENING: "convert.opening",
    Lost.SAME: "convert.same_target",
    Lost.SHORT: "convert.short_share",
    Lost.COPIED: "held out, it would measure nothing",
    Lost.SHARE: "convert.conversation_share",
    Lost.TOO_LONG: "convert.window_tokens",
    Lost.SPECIAL: "convert.special_tokens",
    Lost.UNDECIDED: "convert.redact",
}
"""Which key of the config decides."""


class Turn(msgspec.Struct, gc=False):
    """What one side says before the other does.

    Attributes:
        is_own: the assistant's.
        count: the messages of the archive in it; 0 for what stands for the beginning.
        pause_s: seconds since the turn before it, 0 where the archive does not say.
        lost: why it is not learnt; None for an own turn that is a target, and for the others'.
    """

    is_own: bool
    content: str
    count: int
    pause_s: float = 0.0
    lost: Lost | None = None


class Kept(msgspec.Struct):
    """Messages in examples, all own turns learnt: as Tally counts them."""

    target: int = 0
    target_merged: int = 0
    context: int = 0
    context_merged: int = 0

    def __iadd__(self, other: "Kept") -> "Kept":
        self.target += other.target
        self.target_merged += other.target_merged
        self.context += other.context
        self.context_merged += other.context_merged
        return self


Listener = Callable[[str, str], None]
"""Told of what is left out: the reason, and the words."""


class Tally:
    """Counts the messages of the turns that it is told of.

    Attributes:
        turns: own turns that are targets.
        target, target_merged, context, context_merged: messages.
        own_context: of the messages in context, the owner's that are not learnt, by reason.
        dropped: messages in no example, by reason.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.target = self.target_merged = self.context = self.context_merged = 0
        self.own_context: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._listener = listener

    def learnt(self, turn: Turn) -> None:
        """An own turn is a target."""
        self.target += 1
        self.target_merged += turn.count - 1

    def shown(self, turn: Turn) -> None:
        """A turn is in an example, and is not learnt."""
        if turn.count:
            self.context += 1
            self.context_merged += turn.count - 1
        if turn.lost is not None:
            self.own_context[turn.lost] += turn.count
            if self._listener is not None:
                self._listener(turn.lost, turn.content)

    def left_out(self, reason: str, turn: Turn) -> None:
        """A turn is in no example."""
        if turn.count:
            self.dropped[reason] += turn.count
            if self._listener is not None:
                self._listener(reason, turn.content)

    def whole(self, kept: Kept) -> None:
        """Sessions are examples as they are."""
        self.target += kept.target
        self.target_merged += kept.target_merged
        self.context += kept.context
        self.context_merged += kept.context_merged

    def session_left_out(self, reason: str, session: Session) -> None:
        """No message of a session is in an example."""
        self.dropped[reason] += sum(message.merged or 1 for message in session.messages)
        if self._listener is not None:
            for message in session.messages:
                self._listener(reason, message.content)

    def __len__(self) -> int:
        """All messages told of so far."""
        return self.target + self.target_merged + self.context + self.context_merged + self.dropped.total()


class Unaccounted(FinetuneError):
    """Messages were lost without a reason: a bug of ours."""


class Funnel(msgspec.Struct, frozen=True):
    """Where the messages of an archive went; all numbers but `turns` are messages, and they add up to `archive`.

    Attributes:
        target: the first message of each turn that is learnt; so it is also the number of targets.
        target_merged: further messages of such turns.
        context: the first message of each turn that is read only, `context_merged` its further ones.
        held_out: in the validation file; of these, `held_out_targets` are targets.
        own_context: of those in context or held out, the owner's that are not learnt, by reason.
        dropped: in no file, by reason: those of `load`, then those of `convert`.
    """

    archive: int
    target: int
    target_merged: int
    context: int
    context_merged: int
    held_out: int
    held_out_targets: int
    own_context: dict[str, int]
    dropped: dict[str, int]

    def rows(self) -> Iterator[tuple[int, str]]:
        """What became of those in a file: how many, and in words; of what there is none, nothing."""
        yield self.archive, "messages in the archive"
        yield self.target, "targets: each begins a reply that is learnt"
        for count, what in (
            (self.target_merged, "merged into a target: the rest of such a reply"),
            (self.context, "context: each begins what is read, not learnt"),
            (self.context_merged, "merged into context"),
            (self.held_out, f"held out for validation, {self.held_out_targets:,} of them targets"),
        ):
            if count:
                yield count, what

    def lines(self) -> Iterator[str]:
        """The table, a line at a time: a number, what it counts; for what the config decides, its key."""
        width = len(f"{self.archive:,}")
        for count, what in self.rows():
            yield f"{count:>{width},}  {what}"
        for reason, count in sorted(self.own_context.items(), key=lambda item: -item[1]):
            yield f"{'':>{width}}  {count:,} of these are own and not learnt: {reason}{_key(reason)}"
        for reason, count in sorted(self.dropped.items(), key=lambda item: -item[1]):
            yield f"{count:>{width},}  left out: {reason}{_key(reason)}"


def _key(reason: str) -> str:
    return f" ({_KEYS[reason]})" if reason in _KEYS else ""


def funnel(loaded: int, unloaded: Mapping[str, int], train: Tally, valid: Tally) -> Funnel:
    """Put together what became of the messages of an archive.

    Args:
        loaded: the messages of all sessions, before any were merged.
        unloaded: those that `load` left out, by reason.
        train: what became of those whose examples are in the training file, or in none.
        valid: likewise the validation file.

    Raises:
        Unaccounted: the sum is not that of `loaded` and `unloaded`.
    """
    dropped = Counter(train.dropped)
    dropped.update(valid.dropped)
    found = len(train) + len(valid)
    if found != loaded:
        raise Unaccounted(
            "convert",
            f"{loaded:,} messages came in and {found:,} are accounted for ({train.target:,} targets, "
            f"{train.target_merged:,} merged into them, {train.context:,} context, {train.context_merged:,} merged "
            f"into it, {len(valid) - valid.dropped.total():,} held out, {dropped.total():,} left out)",
            fix="This is a bug of finetune: nothing was written. Please report it with these numbers.",
        )
    dropped.update(unloaded)
    return Funnel(
        archive=loaded + sum(unloaded.values()),
        target=train.target,
        target_merged=train.target_merged,
        context=train.context,
        context_merged=train.context_merged,
        held_out=len(valid) - valid.dropped.total(),
        held_out_targets=valid.target,
        own_context=dict(sorted((train.own_context + valid.own_context).items())),
        dropped=dict(sorted(dropped.items())),
    )
