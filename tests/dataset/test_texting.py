"""From messages to examples: every own turn is a target once, and every message accounted for."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.settings import Config
from pipeline.dataset.checks import check_example
from pipeline.dataset.example import Example
from pipeline.dataset.funnel import Unaccounted, funnel
from pipeline.dataset.preset import texting_of
from pipeline.dataset.survey import words_of
from pipeline.dataset.texting import Texting, Written
from pipeline.sessions import stream
from pipeline.sessions.session import Message, Person, Session
from pipeline.sessions.stream import read_streams, streamed
from tests.sessions.files import merge_session, write_sessions

HOUR = 3600
Said = tuple[str, int, str]
"""Who ("me" is the assistant), seconds after the message before, what."""


def session(*said: Said, kind: str = "direct", id_: str = "chat", replies: dict[int, str] | None = None) -> Session:
    messages, now = [], 0
    for number, (sender, pause, content) in enumerate(said):
        now += pause
        time = f"2023-03-{now // 86400 + 1:02}T{now // 3600 % 24:02}:{now // 60 % 60:02}:{now % 60:02}Z"
        role = "assistant" if sender == "me" else "user"
        message = Message(sender, sender == "me", time, content, role)  # type: ignore[arg-type]  # one of its literals
        if replies and number in replies:
            message.reply_to = replies[number]
        messages.append(message)
    return merge_session(Session(id_, kind, None, messages), "\n", 600)  # type: ignore[arg-type]


def made(*sessions: Session, **convert: object) -> tuple[list[Written], Texting]:
    """The examples, with limits that keep everything unless `convert` says otherwise."""
    lax = {"same_target": None, "short_characters": 0, "conversation_share": 1, "system_prompt": "", "group_prompt": ""}
    config = Config.model_validate({"name": "x", "convert": {"preset": "texting", **lax, **convert}})
    texting = texting_of(config, weights=True)
    written = list(texting.examples(lambda: map(streamed, sessions)))
    for each in written:
        assert check_example(each.example) is None
    return written, texting


def shown(written: list[Written]) -> list[str]:
    """Examples as "u:a | a:b", with "a0" for weight 0."""
    return [" | ".join(turn(each.example, n) for n in range(len(each.example["messages"]))) for each in written]


def turn(example: Example, number: int) -> str:
    message = example["messages"][number]
    return f"{message['role'][0]}{'0' if message.get('weight') == 0 else ''}:{message['content']}"


def test_bursts_are_turns_and_pauses_divide() -> None:
    chat = session(
        ("Ann", 0, "Hi"), ("Ann", 60, "There?"), ("me", 60, "Yes"), ("me", 60, "What is it"),
        ("Ann", 2 * HOUR, "Forgot"), ("me", 1800, "Fine"), ("me", 1200, "Or not"), ("Ann", 30, "Bye"),
    )  # fmt: skip
    written, texting = made(chat)
    assert shown(written) == ["u:Hi\nThere? | a:Yes\nWhat is it", "u:Forgot | a:Fine", "u:[start] | a:Or not"]
    tally = texting.train
    assert (tally.target, tally.target_merged, tally.context, tally.context_merged) == (3, 1, 2, 1)
    assert tally.dropped == {"never answered": 1}


def test_what_comes_before_all_else_can_be_left_out() -> None:
    written, texting = made(session(("me", 0, "Hi"), ("Ann", 9, "Yo"), ("me", 9, "Well")), opening=None)
    assert shown(written) == ["u:Yo | a:Well"]
    assert texting.train.dropped == {"nothing came before it": 1}


def test_a_reply_across_a_pause_quotes_what_it_answers() -> None:
    said = (("Ann", 0, "Dinner?"), ("me", 9, "Later"), ("me", 9 * HOUR, "Yes!"), ("me", 9 * HOUR, "Soon"))
    written, _ = made(session(*said, replies={2: "Dinner?"}))
    assert shown(written) == ["u:Dinner? | a:Later", "u:Dinner? | a:Yes!", "u:[start] | a:Soon"]


def test_speakers_of_a_group_are_named_in_the_users_turn() -> None:
    chat = session(("Ann", 0, "Hi"), ("Bob", 9, "Yo"), ("Bob", 9, "All"), ("me", 9, "Hey"), kind="group")
    written, _ = made(chat, group_prompt="You are {me} in {group} on {platform}.", me="Eve")
    assert shown(written) == ["s:You are Eve in Ann, Bob on a messenger. | u:Ann: Hi\nBob: Yo\nAll | a:Hey"]


def test_the_default_prompt_names_the_friend() -> None:
    written, _ = made(session(("Ann", 0, "Hi"), ("me", 9, "Hey")), system_prompt=None)
    assert shown(written) == ["s:You are texting Ann on a messenger. | u:Hi | a:Hey"]


def test_a_long_talk_is_cut_at_its_longest_pause_and_context_is_repeated() -> None:
    said = [
        (who, 900 if number == 6 else 30, f"{who} {number} " + "x" * 60)
        for number in range(12)
        for who in ["Ann" if number % 2 == 0 else "me"]
    ]
    written, texting = made(session(*said), window_tokens=200, context_turns=2)
    assert [example.split(" | ")[-1][:6] for example in shown(written)] == ["a:me 5", "a:me 1"]
    assert [turn[:8] for turn in shown(written)[1].split(" | ")[:3]] == ["u:Ann 4 ", "a0:me 5 ", "u:Ann 6 "]
    assert all(each.tokens <= 200 for each in written)
    assert texting.train.target == 6


def test_an_attachment_alone_is_not_learnt() -> None:
    chat = session(("Ann", 0, "Show me"), ("me", 9, "[image]"), ("Ann", 9, "Nice"), ("me", 9, "Thanks"))
    chat.messages[1].only_context = True
    written, texting = made(chat)
    assert shown(written) == ["u:Show me | a0:[image] | u:Nice | a:Thanks"]
    assert texting.train.own_context == {"nothing but an attachment": 1}


def test_control_tokens_lose_their_meaning_or_their_message() -> None:
    chat = session(("Ann", 0, "Hi"), ("me", 9, "Say <|im_end|>"), ("Ann", 9, "No"), ("me", 9, "Ok"))
    assert shown(made(chat)[0]) == ["u:Hi | a:Say < |im_end|> | u:No | a:Ok"]
    written, texting = made(chat, special_tokens="drop")
    assert shown(written) == ["u:Hi\nNo | a:Ok"]
    assert texting.train.dropped == {"holds a special token": 1}


def test_the_same_words_are_learnt_so_often_at_most() -> None:
    said = [part for n in range(4) for part in (("Ann", 60, f"Q{n}"), ("me", 60, "Sounds good" + "!" * n))]
    written, texting = made(session(*said, ("Ann", 9, "So?"), ("me", 9, "Never")), same_target=2)
    assert [part[0:2] for part in shown(written)[0].split(" | ")[1::2]] == ["a:", "a:", "a0", "a0", "a:"]
    assert texting.train.own_context == {"the same words too often": 2}


def test_words_are_the_same_whatever_their_case_punctuation_and_drawl() -> None:
    assert words_of("Sooooo good!!") == words_of("so  Good 😂")
    assert words_of("😂") == words_of("😂😂 😂") != words_of("🙈")
    assert words_of("Hahaha, no") == words_of("hahahaha no") != words_of("ha, now")
    assert words_of("Café!") == words_of("CAFÉ") != words_of("caf")


def test_very_short_replies_are_a_part_at_most() -> None:
    said = [
        part
        for number in range(40)
        for part in (("Ann", HOUR + 1, "Well?"), ("me", 60, "ok" if number % 2 else f"Number {number}, I say"))
    ]
    written, texting = made(session(*said[:50]), short_characters=7, short_share=0.15)
    short = sum(each.endswith("a:ok") for each in shown(written))
    assert 0 < short <= 0.15 * len(written)
    assert texting.train.dropped["very short, and enough of those"] == 12 - short


def test_one_conversation_gives_a_part_at_most_and_its_newest() -> None:
    many = session(*[part for n in range(9) for part in (("Ann", HOUR + 1, "So?"), ("me", 60, f"Ann {n}"))])
    few = session(*[part for n in range(2) for part in (("Bob", HOUR + 1, "So?"), ("me", 60, f"Bob {n}"))], id_="bob")
    written, texting = made(many, few, conversation_share=0.6)
    assert [each[-5:] for each in shown(written)] == ["Ann 6", "Ann 7", "Ann 8", "Bob 0", "Bob 1"]
    assert texting.train.dropped == {"beyond one conversation's share": 12}


def test_each_conversations_last_talks_are_held_out() -> None:
    chats = [
        session(*[part for n in range(10) for part in ((who, HOUR + 1, "So?"), ("me", 60, f"{who} {n}"))], id_=who)
        for who in ("Ann", "Bob")
    ]
    written, texting = made(*chats, validation_fraction=0.2)
    assert [each[-5:] for each in shown([each for each in written if each.held_out])] == [
        "Ann 8", "Ann 9", "Bob 8", "Bob 9",
    ]  # fmt: skip
    assert (len(texting.valid), len(texting.train)) == (8, 32)


def test_too_few_replies_to_measure_with_are_learnt_instead() -> None:
    def chat(talks: int) -> Session:
        return session(*[part for n in range(talks) for part in (("Ann", HOUR + 1, "So?"), ("me", 60, f"Ann {n}"))])

    written, _ = made(chat(294), validation_fraction="auto")
    assert not any(each.held_out for each in written)
    written, _ = made(chat(300), validation_fraction="auto")
    assert [each.held_out for each in written] == [False] * 270 + [True] * 30


def test_a_held_out_reply_that_is_learnt_too_measures_nothing() -> None:
    same = "I told you already that the key is under the mat"

    def chat(id_: str, *replies: str) -> Session:
        said = [part for reply in replies for part in (("Ann", HOUR + 1, "So?"), ("me", 60, reply))]
        return session(*said, id_=id_)

    one, other = chat("1", "A", "B", "C", same, "Fine"), chat("2", same.upper(), "D", "E", "F", "Fine")
    written, texting = made(one, other, validation_fraction=0.4)
    assert shown([each for each in written if each.held_out]) == ["u:So? | a:Fine", "u:So? | a:F", "u:So? | a:Fine"]
    assert shown([each for each in written if not each.held_out])[3] == f"u:So? | a:{same.upper()}"
    found = funnel(20, {}, texting.train, texting.valid)
    assert (found.held_out, found.held_out_targets) == (6, 3)
    assert found.dropped == {"before a reply not learnt": 1, "nearly the same is learnt": 1}
    assert " 1  left out: nearly the same is learnt (held out, it would measure nothing)" in list(found.lines())


def test_copies_do_not_count_among_the_replies_to_measure_with() -> None:
    def chat(copies: int) -> Session:
        replies = [f"This is reply {n}, and nobody else says it" for n in range(300)]
        replies[300 - copies :] = replies[:copies]
        said = [part for reply in replies for part in (("Ann", HOUR + 1, "So?"), ("me", 60, reply))]
        return session(*said)

    written, _ = made(chat(0), validation_fraction="auto")
    assert sum(each.held_out for each in written) == 30
    written, texting = made(chat(1), validation_fraction="auto")
    assert (sum(each.held_out for each in written), texting.train.target) == (0, 300)


def test_without_weights_every_reply_has_an_example_of_its_own() -> None:
    chat = session(("Ann", 0, "A"), ("me", 9, "B"), ("Ann", 9, "C"), ("me", 9, "D"), ("Ann", 9, "E"), ("me", 9, "F"))
    written, texting = made(chat, weights=False, context_turns=2)
    assert shown(written) == ["u:A | a:B", "u:A | a:B | u:C | a:D", "u:C | a:D | u:E | a:F"]
    assert texting.train.target == 3


def test_a_message_too_long_for_any_window_is_left_out_or_loses_its_beginning() -> None:
    chat = session(("Ann", 0, "x" * 3000 + "end"), ("me", 9, "Ok"), ("Ann", 9, "And"), ("me", 9, "y" * 3000))
    written, texting = made(chat, window_tokens=64)
    (only,) = written
    assert only.example["messages"][0]["content"].endswith("xend")
    assert only.tokens <= 64
    assert texting.train.dropped == {"too long for the window": 2}


def test_a_lost_message_is_our_bug_and_an_error() -> None:
    _, texting = made(session(("Ann", 0, "Hi"), ("me", 9, "Hey")))
    with pytest.raises(Unaccounted) as raised:
        funnel(3, {"event": 1}, texting.train, texting.valid)
    assert str(raised.value) == (
        "convert: 3 messages came in and 2 are accounted for (1 targets, 0 merged into them, 1 context, 0 merged into "
        "it, 0 held out, 0 left out). This is a bug of finetune: nothing was written. Please report it with these "
        "numbers."
    )
    assert raised.value.exit_code == 1


SAID = st.lists(
    st.tuples(
        st.sampled_from(["me", "me", "Ann", "Bob"]),
        st.sampled_from([1, 30, 900, 5000]),
        st.sampled_from(["ok", "No", "Hello there", "HELLO THERE!", "<|im_end|>", "z" * 90, "w" * 400])
        | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    ),
    max_size=60,
)
CHATS = st.lists(st.tuples(SAID, st.sampled_from(["direct", "group"])), min_size=1, max_size=4)
SETTINGS = st.fixed_dictionaries(
    {
        "window_tokens": st.sampled_from([64, 100, 400]),
        "context_turns": st.integers(0, 6),
        "opening": st.sampled_from([None, "[start]"]),
        "same_target": st.sampled_from([None, 1]),
        "short_characters": st.sampled_from([0, 7]),
        "conversation_share": st.sampled_from([0.3, 1]),
        "validation_fraction": st.sampled_from([0, 0.3]),
        "special_tokens": st.sampled_from(["neutralise", "drop"]),
        "weights": st.booleans(),
    }
)


@given(CHATS, SETTINGS)
def test_every_message_is_in_one_place_and_every_own_turn_a_target_once(
    chats: list[tuple[list[Said], str]], settings: dict[str, object]
) -> None:
    sessions = [session(*said, kind=kind, id_=str(number)) for number, (said, kind) in enumerate(chats)]
    total = sum(len(said) for said, _ in chats)
    written, texting = made(*sessions, **settings)
    found = funnel(total, {"event": 2}, texting.train, texting.valid)
    parts = (found.target, found.target_merged, found.context, found.context_merged, found.held_out)
    assert sum(parts) + sum(found.dropped.values()) == found.archive == total + 2
    learnt = 0
    for each in written:
        messages = each.example["messages"]
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert each.tokens <= settings["window_tokens"]  # type: ignore[operator]  # a number
        targets = [message for message in messages if message["role"] == "assistant" and message.get("weight") != 0]
        assert messages[-1] in targets
        learnt += len(targets) if settings["weights"] else 1
    assert learnt == found.target + found.held_out_targets


@given(CHATS)
def test_nothing_that_could_be_learnt_is_left_out_without_limits(chats: list[tuple[list[Said], str]]) -> None:
    sessions = [session(*said, kind=kind, id_=str(number)) for number, (said, kind) in enumerate(chats)]
    written, texting = made(*sessions, window_tokens=100_000)
    own = [m.content for each in sessions for m in each.messages if m.role == "assistant"]
    targets = [
        message["content"].replace("< |", "<|")
        for each in written
        for message in each.example["messages"]
        if message["role"] == "assistant" and message.get("weight") != 0
    ]
    assert targets == own
    assert texting.train.dropped.keys() <= {"never answered"}


@given(CHATS, st.integers(200, 900))
def test_sessions_that_are_read_in_pieces_make_the_same_examples(
    tmp_path_factory: pytest.TempPathFactory, chats: list[tuple[list[Said], str]], piece: int
) -> None:
    sessions = [session(*said, kind=kind, id_=str(number)) for number, (said, kind) in enumerate(chats) if said]
    for each in sessions:
        each.people = {"Ann": Person("Friend-1"), "Bob": Person("Friend-2")}
    folder = tmp_path_factory.mktemp("pieces")
    path = write_sessions(folder / "04", sessions)
    expected, whole = made(*sessions, system_prompt=None, group_prompt=None)
    before, stream.BLOCK = stream.BLOCK, piece
    try:
        texting = Texting(whole._rules, whole._limits, whole.style, whole._tokens)
        assert list(texting.examples(lambda: read_streams(path))) == expected
    finally:
        stream.BLOCK = before
    assert (len(texting.train), texting.prompts) == (len(whole.train), whole.prompts)


def test_the_table_of_the_funnel_reads_well() -> None:
    _, texting = made(
        session(("Ann", 0, "Hi"), ("Ann", 9, "You"), ("me", 9, "Hey"), ("Ann", 9, "Pic"), ("me", 9, "[image]"))
    )
    texting.train.own_context["nothing but an attachment"] = 1
    lines = list(funnel(5, {"event": 1200}, texting.train, texting.valid).lines())
    assert lines == [
        "1,205  messages in the archive",
        "    2  targets: each begins a reply that is learnt",
        "    2  context: each begins what is read, not learnt",
        "    1  merged into context",
        "       1 of these are own and not learnt: nothing but an attachment",
        "1,200  left out: event",
    ]
    assert msgspec.json.encode(funnel(5, {}, texting.train, texting.valid))


BORROWED = "forwarded, or by way of a bot"


@pytest.mark.parametrize(
    ("said", "forwarded", "written", "dropped", "context"),
    [
        ((("Ann", 0, "News?"), ("me", 9, "F"), ("Ann", 9, "Oh"), ("me", 9, "Yes")), {1},
         ["u:News? | a0:F | u:Oh | a:Yes"], 0, 1),
        ((("Ann", 0, "News?"), ("me", 9, "F"), ("me", 9, "Look"), ("Ann", 9, "Oh"), ("me", 9, "Yes")), {1},
         ["u:News? | a:Look | u:Oh | a:Yes"], 1, 0),
        ((("Ann", 0, "News?"), ("me", 9, "Look"), ("me", 9, "F"), ("me", 9, "G"), ("me", 9, "see?")), {2, 3},
         ["u:News? | a:Look\nsee?"], 2, 0),
        ((("Ann", 0, "F"), ("Ann", 9, "Look"), ("me", 9, "Oh")), {0}, ["u:F\nLook | a:Oh"], 0, 0),
        ((("Ann", 0, "News?"), ("me", 9, "[image]"), ("me", 9, "Look")), {1}, ["u:News? | a:[image]\nLook"], 0, 0),
    ],
    ids=["alone", "before own words", "among own words", "of others", "a photo beside own words"],
)  # fmt: skip
def test_what_was_forwarded_is_never_learnt(
    said: tuple[Said, ...], forwarded: set[int], written: list[str], dropped: int, context: int
) -> None:
    messages: list[Message] = []
    for number, (sender, pause, content) in enumerate(said):
        role = "assistant" if sender == "me" else "user"
        message = Message(sender, sender == "me", f"2023-03-01T00:{number:02}:{pause:02}Z", content, role)  # type: ignore[arg-type]
        message.only_context = True if number in forwarded else msgspec.UNSET
        messages.append(message)
    merged = merge_session(Session("chat", "direct", None, messages), "\n", 600)
    found, texting = made(merged)
    assert shown(found) == written
    assert texting.train.dropped.get(BORROWED, 0) == dropped
    assert texting.train.own_context.get(BORROWED, 0) == context
