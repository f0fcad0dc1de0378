"""The texting preset: a mapped archive becomes examples that teach how one person texts.

Bursts are one turn, pauses divide talks, talks are cut to the model's window, and each own turn is a target exactly
once. What became of every message is told to a Tally. Two passes, talk by talk: the first surveys.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from pipeline.dataset.example import Example
from pipeline.dataset.example import Turn as Message
from pipeline.dataset.funnel import Listener, Lost, Tally
from pipeline.dataset.survey import Choice, Conversation, Limits, survey
from pipeline.dataset.tokens import Role, Tokens
from pipeline.dataset.turns import Rules, talks
from pipeline.dataset.windows import Room, Talk, Window, windows
from pipeline.sessions.stream import Stream

DIRECT_PROMPT = "You are {me}, texting {friend} on {platform}."
GROUP_PROMPT = "You are {me}, texting in the group {group} on {platform}."
_BATCH = 2000  # turns counted at once
_AHEAD = 3  # batches


class Style(msgspec.Struct, frozen=True):
    """How examples are written.

    Attributes:
        prompt, group_prompt: templates of the system prompt; "" for none.
        me: the assistant's name in them.
        platform: where the sessions do not name theirs.
        window_tokens: the longest example.
        context_turns: how many turns are repeated after a cut.
        weights: write weight 0 on own turns that are not learnt; else every example has one target, its last turn.
    """

    prompt: str
    group_prompt: str
    me: str
    platform: str
    window_tokens: int
    context_turns: int
    weights: bool


class Written(msgspec.Struct, frozen=True):
    """One example, ready to be written.

    Attributes:
        tokens: in it, the template's own included.
        held_out: it belongs to the validation file.
    """

    example: Example
    tokens: int
    held_out: bool


class _Waiting(msgspec.Struct):
    """A talk whose tokens are being counted."""

    talk: Talk
    prompt: str
    held_out: bool


class Texting:
    """Makes the examples of one archive.

    Attributes:
        style: as given.
        train, valid: what became of the messages, complete when `examples` is exhausted.
        prompts: how many targets each system prompt has.
    """

    def __init__(
        self, rules: Rules, limits: Limits, style: Style, tokens: Tokens, listener: Listener | None = None
    ) -> None:
        self._rules = rules
        self._limits = limits
        self.style = style
        self._tokens = tokens
        self.train, self.valid = Tally(listener), Tally(listener)
        self.prompts: dict[str, int] = {}
        self._rooms: dict[str, Room] = {}

    def examples(self, streams: Callable[[], Iterable[Stream]]) -> Iterator[Written]:
        """Yield the examples, in the archive's order.

        Args:
            streams: reads the mapped sessions anew, twice.
        """
        choice = survey(streams(), self._rules, self._limits)
        for waiting in self._counted(self._chosen(streams(), choice)):
            tally = self.valid if waiting.held_out else self.train
            room = self._room(waiting.prompt)
            before = self.train.target
            for part, window in windows(waiting.talk, room, tally):
                yield self._write(part, window, waiting, room)
            if self.train.target > before:
                self.prompts[waiting.prompt] = self.prompts.get(waiting.prompt, 0) + self.train.target - before

    def _chosen(self, streams: Iterable[Stream], choice: Choice) -> Iterator[_Waiting]:
        """The talks, with the targets in them chosen, without those beyond a conversation's share."""
        for (_, blocks), conversation in zip(streams, choice.conversations, strict=True):
            prompt = self._prompt(conversation)
            seen = 0
            stream = Stream(conversation.session, blocks)  # who is in it is known from the survey
            for number, turns in enumerate(talks(stream, self._rules, self.train)):
                own = sum(turn.is_own and turn.lost is None for turn in turns)
                if seen < conversation.skipped:
                    seen += own
                    choice.pass_over(own)
                    for turn in turns:
                        self.train.left_out(Lost.SHARE, turn)
                    continue
                held_out = number >= conversation.trained
                choice.choose(turns, held_out=held_out)
                yield _Waiting(Talk(turns, []), prompt, held_out)

    def _counted(self, talks: Iterable[_Waiting]) -> Iterator[_Waiting]:
        """Count tokens on another core, some batches ahead."""
        going: deque[tuple[list[_Waiting], Future[list[int]]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for batch in _batches(talks):
                texts = [turn.content for waiting in batch for turn in waiting.talk.turns]
                going.append((batch, pool.submit(self._tokens.count, texts)))
                if len(going) > _AHEAD:
                    yield from _with_tokens(*going.popleft())
            while going:
                yield from _with_tokens(*going.popleft())

    def _room(self, prompt: str) -> Room:
        if prompt not in self._rooms:
            taken = self._tokens.count([prompt])[0] if prompt else 0
            system: tuple[Role, ...] = ("system",) if prompt else ()
            frames: dict[int, int] = {}

            def frame(exchanges: int) -> int:
                if exchanges not in frames:
                    pair: tuple[Role, ...] = ("user", "assistant")
                    frames[exchanges] = taken + self._tokens.frame((*system, *(pair * exchanges)))
                return frames[exchanges]

            self._rooms[prompt] = Room(
                self.style.window_tokens,
                frame,
                self.style.context_turns // 2,
                lambda text: self._tokens.count([text])[0],
                alone=not self.style.weights,
            )
        return self._rooms[prompt]

    def _write(self, talk: Talk, window: Window, waiting: _Waiting, room: Room) -> Written:
        messages: list[Message] = [{"role": "system", "content": waiting.prompt}] if waiting.prompt else []
        for number in range(window.begin, window.end):
            others, own = talk.turns[2 * number], talk.turns[2 * number + 1]
            messages.append({"role": "user", "content": others.content})
            if self.style.weights and (number < window.first or own.lost is not None):
                messages.append({"role": "assistant", "content": own.content, "weight": 0})
            else:
                messages.append({"role": "assistant", "content": own.content})
        tokens = sum(talk.tokens[2 * window.begin : 2 * window.end]) + room.frame(window.end - window.begin)
        return Written({"messages": messages}, tokens, waiting.held_out)

    def _prompt(self, conversation: Conversation) -> str:
        style, session = self.style, conversation.session
        others = dict.fromkeys(self._rules.name(session, sender) for sender in conversation.others or session.people)
        names = ", ".join(others) or "somebody"
        template = style.group_prompt if session.kind == "group" else style.prompt
        return template.format(
            me=style.me, friend=names, platform=session.platform or style.platform, group=session.title or names
        )


def cleaner(
    special: re.Pattern[str] | None, *, drop: bool, rewrite: Callable[[str], str | None] | None
) -> Callable[[str], str | Lost]:
    """What makes a message's content fit for training.

    Args:
        special: finds control tokens: a space takes their meaning, or with `drop` the message goes.
        rewrite: replaces what else must not be learnt; None for a message that must not be used.
    """

    def clean(content: str) -> str | Lost:
        if special is not None and special.search(content):
            if drop:
                return Lost.SPECIAL
            content = special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", content)
        rewritten = content if rewrite is None else rewrite(content)
        return Lost.UNDECIDED if rewritten is None else rewritten

    return clean


def _batches(talks: Iterable[_Waiting]) -> Iterator[list[_Waiting]]:
    batch: list[_Waiting] = []
    turns = 0
    for waiting in talks:
        batch.append(waiting)
        turns += len(waiting.talk.turns)
        if turns >= _BATCH:
            yield batch
            batch, turns = [], 0
    if batch:
        yield batch


def _with_tokens(batch: list[_Waiting], counted: "Future[list[int]]") -> Iterator[_Waiting]:
    counts = counted.result()
    begin = 0
    for waiting in batch:
        end = begin + len(waiting.talk.turns)
        waiting.talk.tokens = counts[begin:end]
        begin = end
        yield waiting
