"""Slack's exports: channels and threads as conversations, people by their ids, texts as Slack shows them."""

import json
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archives.filters import Filters
from pipeline.archives.members import Members
from pipeline.archives.recognise import recognise
from pipeline.archives.slack import source
from pipeline.archives.slack.markup import readable
from pipeline.archives.slack.rows import EARLIER, FORWARDED, SYSTEM, micros
from pipeline.archives.told import BY_A_BOT, CALL, DELETED, MEDIA, NO_TEXT, TWICE
from pipeline.errors import InputError
from tests.archives.exports import EXPORTS
from tests.archives.reading import Read, read

Row = dict[str, object]
MIRA, JON, CI = "U04KQ7ZT1AB", "U05PX9LM2CD", "U06BOTBOT00"
START = 1_714_550_400
"""2024-05-01T08:00:00Z."""
PEOPLE: list[Row] = [
    {"id": MIRA, "name": "mholt", "real_name": "Mira Holt", "profile": {"display_name": "mira"}},
    {"id": JON, "name": "jberg", "deleted": True, "profile": {"display_name": "", "real_name": "Jon Berg"}},
    {"id": CI, "name": "ci", "is_bot": True, "profile": {"display_name": "ci"}},
]  # fmt: skip
GENERAL: Row = {"id": "C01ABCDEF", "name": "general", "members": [MIRA, JON]}


def stamp(minute: float) -> str:
    return f"{START + int(minute * 60)}.000100"


def said(user: str, text: str = "", minute: float = 0, **more: object) -> Row:
    return {"type": "message", "ts": stamp(minute), "user": user, "text": text} | more


def export(folder: Path, days: dict[str, list[Row]], **tops: object) -> Path:
    """Write an export; `days` are files such as "general/2024-05-01.json"."""
    for name, rows in ({"users": PEOPLE, "channels": [GENERAL]} | tops).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(rows))
    for name, day in days.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(json.dumps(day))
    return folder


def read_rows(folder: Path, rows: list[Row]) -> Read:
    return read(export(folder, {"general/2024-05-01.json": rows}))


def test_a_workspace_is_read_as_people_see_it(tmp_path: Path) -> None:
    export(
        tmp_path / "made",
        {
            "general/2024-05-01.json": [
                said(JON, f"<@{JON}> has joined the channel", 0, subtype="channel_join"),
                said(MIRA, f"<@{JON}> is x &lt; 10 &amp;&amp; y &gt; 3 right? see <https://example.org/s|the spec>", 1),
                said(JON, "yes. thanks &amp; see <#C01ABCDEF|general>", 2),
                {"type": "message", "subtype": "bot_message", "ts": stamp(3), "bot_id": "B01", "text": "build passed"},
                said(JON, "set the channel topic: release", 4, subtype="channel_topic"),
            ],
            "general/2024-05-02.json": [said(MIRA, "good morning", 1440)],
        },
        integration_logs=[],
        canvases=[{"id": "F1"}],
    )
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted((tmp_path / "made").rglob("*.json")):
            archive.write(each, each.relative_to(tmp_path / "made"))
    found = read(path)
    assert [(each.id, each.kind, each.title, each.platform) for each in found.sessions] == [
        ("slack-C01ABCDEF", "group", "general", "Slack")
    ]
    assert [(each.sender, each.time, each.content) for each in found.sessions[0].messages] == [
        ("mira", "2024-05-01T08:01:00Z", "@Jon Berg is x < 10 && y > 3 right? see the spec"),
        ("Jon Berg", "2024-05-01T08:02:00Z", "yes. thanks & see #general"),
        ("mira", "2024-05-02T08:00:00Z", "good morning"),
    ]
    assert found.loaded.dropped == {SYSTEM: 2, BY_A_BOT: 1}
    known = recognise(path)
    assert (known.what, known.because) == (
        "a Slack export",
        "the messages of general/2024-05-01.json, which have a `ts`",
    )
    assert len(read(path, filters=Filters(since=date(2024, 5, 2))).said) == 1


@pytest.mark.parametrize("given_path", ["", "acme", "acme/general", "acme/general/2024-05-01.json"])
def test_a_folder_on_top_and_parts_of_an_export_are_read(tmp_path: Path, given_path: str) -> None:
    export(tmp_path / "acme", {"general/2024-05-01.json": [said(MIRA, "hello")]})
    found = read(tmp_path / given_path)
    assert [text for _, text in found.said] == ["hello"]
    # a run reads a copy, whose folder is called otherwise: so the folder that is given names no channel
    assert found.sessions[0].title == ("general" if given_path in {"", "acme"} else None)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"<@{JON}>", "@jon"),
        (f"<@{JON}|old name>", "@jon"),
        ("<@U0STRANGER|ann>", "@ann"),
        ("<@U0STRANGER>", "@U0STRANGER"),
        ("<#C01|general> <#C01> <#C01|> <#C02>", "#general #general #general #C02"),
        ("<!here> <!channel> <!everyone> <!here|@here>", "@here @channel @everyone @here"),
        ("<!subteam^S01|@devs> <!subteam^S02>", "@devs @S02"),
        ("<!date^1392734382^{date}|Feb 18, 2014>", "Feb 18, 2014"),
        ("<https://example.org/?a=1&amp;b=2>", "https://example.org/?a=1&b=2"),
        ("<https://example.org|A &amp; B>", "A & B"),
        ("<http://example.org|example.org>", "example.org"),
        ("<mailto:a@b.example|a@b.example> <mailto:c@d.example> <tel:+1555|+1 555>", "a@b.example c@d.example +1 555"),
        ("&amp;lt; &lt;b&gt; &amp;amp; &quot;", "&lt; <b> &amp; &quot;"),
        ("a &lt;@U1&gt; b", "a <@U1> b"),
        ("1 < 2 <> 3 > 2", "1 < 2 <> 3 > 2"),
        ("<unclosed", "<unclosed"),
    ],
)
def test_markup_is_read_in_one_pass(written: str, shown: str) -> None:
    assert readable(written, {JON: "jon"}.get, {"C01": "general"}.get) == shown


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (said(MIRA, "x", subtype="channel_join"), SYSTEM),
        (said(MIRA, "x", subtype="channel_leave"), SYSTEM),
        (said(MIRA, "x", subtype="channel_purpose"), SYSTEM),
        (said(MIRA, "x", subtype="group_join"), SYSTEM),
        (said(MIRA, "x", subtype="pinned_item"), SYSTEM),
        (said(MIRA, "x", subtype="reply_broadcast"), SYSTEM),
        (said(MIRA, "x", subtype=["odd"]), SYSTEM),
        (said(MIRA, "x", type="other"), SYSTEM),
        (said("USLACKBOT", "This message was deleted.", subtype="tombstone"), DELETED),
        (said(MIRA, "", subtype="message_changed", message={"text": "new"}), EARLIER),
        (said(MIRA, "", subtype="huddle_thread"), CALL),
        (said(MIRA, "x", bot_id="B01"), BY_A_BOT),
        (said(CI, "x"), BY_A_BOT),
        (said("USLACKBOT", "x"), BY_A_BOT),
        (said(MIRA, "x", subtype="slackbot_response"), BY_A_BOT),
        (said(MIRA, files=[{"id": "F1"}]), MEDIA),
        (said(MIRA, f"<@{MIRA}> uploaded a file: <https://a.example/b|b.png>", subtype="file_share"), MEDIA),
        (said(MIRA, attachments=[{"text": "forwarded", "is_share": True}]), FORWARDED),
        (said(MIRA), NO_TEXT),
        (said(MIRA, files=[]), NO_TEXT),
    ],
)
def test_what_nobody_wrote_is_left_out_and_counted(tmp_path: Path, row: Row, reason: str) -> None:
    if row.get("subtype") == "file_share":
        row["file"] = {"id": "F1"}
    found = read_rows(tmp_path, [row])
    assert (found.said, found.loaded.dropped, found.loaded.rows) == ([], {reason: 1}, 1)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (said(MIRA, "waves", subtype="me_message"), "waves"),
        (said(MIRA, "look", subtype="file_share", files=[{"id": "F1"}]), "look"),
        (said(MIRA, "look", files=[{"id": "F1"}]), "look"),
        (said(MIRA, "mended", edited={"user": MIRA, "ts": stamp(5)}), "mended"),
        (said(MIRA, f"<@{MIRA}> uploaded a file: <https://a.example|b> and commented: nice", upload=True), "nice"),
        (said("x", f"<@{MIRA}> commented on <@{JON}>’s file <https://a|b>: fine", subtype="file_comment",
              comment={"user": MIRA, "comment": "fine"}), "fine"),
        (said(MIRA, "see", attachments=[{"title": "a page"}]), "see"),
        (
            said(MIRA, blocks=[{"type": "rich_text", "elements": [
                {"type": "rich_text_section", "elements": [
                    {"type": "text", "text": "a < b "}, {"type": "user", "user_id": JON},
                    {"type": "emoji", "name": "ok"}, {"type": "link", "url": "https://e.example"},
                    {"type": "channel", "channel_id": "C01ABCDEF"},
                    {"type": "broadcast", "range": "here"}]},
                {"type": "rich_text_list", "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": item}]}
                    for item in ("1", "2")]},
            ]}]),
            "a < b @Jon Berg:ok:https://e.example#general@here\n1\n2",
        ),
        (said(MIRA, blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "a &amp; b"}}]), "a & b"),
    ],
)  # fmt: skip
def test_what_somebody_wrote_stays(tmp_path: Path, row: Row, text: str) -> None:
    assert read_rows(tmp_path, [row]).said == [("mira", text)]


def test_a_thread_is_a_conversation_of_its_own_over_days_and_each_message_counts_once(tmp_path: Path) -> None:
    begun = stamp(0)
    days: dict[str, list[Row]] = {
        "general/2024-05-01.json": [
            said(MIRA, "lunch?", 0, thread_ts=begun, reply_count=3),
            said(JON, "unrelated", 1),
            said(JON, "yes", 2, thread_ts=begun, parent_user_id=MIRA),
            said(MIRA, "nobody answered here any more", 3, thread_ts=stamp(3), reply_count=0),
        ],
        "general/2024-05-02.json": [
            said(MIRA, "where?", 1440, thread_ts=begun),
            said(JON, "here", 1441, thread_ts=begun, subtype="thread_broadcast", root={"text": "lunch?"}),
            said(JON, "to a message before the export", 1442, thread_ts="1700000000.000100"),
        ],
    }
    found = read(export(tmp_path, days))
    assert {each.id: [message.content for message in each.messages] for each in found.sessions} == {
        "slack-C01ABCDEF": ["unrelated", "nobody answered here any more"],
        f"slack-C01ABCDEF-{begun}": ["lunch?", "yes", "where?", "here"],
        "slack-C01ABCDEF-1700000000.000100": ["to a message before the export"],
    }
    assert {each.title for each in found.sessions} == {"general"}
    assert found.loaded.rows == 7
    assert len(read(tmp_path, filters=Filters(only_chats=("general",))).said) == 7


def test_direct_chats_and_groups_of_few_know_who_is_in_them(tmp_path: Path) -> None:
    days = {
        f"{name}/2024-05-01.json": [said(MIRA, name)] for name in ("D01DIRECT", "mpdm-a--b--c-1", "secret", "D0UNKNOWN")
    }
    found = read(
        export(
            tmp_path,
            days,
            dms=[{"id": "D01DIRECT", "members": [MIRA, JON]}],
            mpims=[{"id": "G02MULTI0", "name": "mpdm-a--b--c-1", "members": [MIRA, JON, CI]}],
            groups=[{"id": "G03SECRET", "name": "secret", "members": [MIRA, JON]}],
        )
    )
    assert [(each.id, each.kind, each.title, sorted(each.people)) for each in found.sessions] == [
        ("slack-D01DIRECT", "direct", None, ["Jon Berg", "mira"]),
        ("slack-D0UNKNOWN", "direct", None, ["mira"]),
        ("slack-G02MULTI0", "group", None, ["Jon Berg", "mira"]),
        ("slack-G03SECRET", "group", "secret", ["mira"]),
    ]


@pytest.mark.parametrize("name", ["C01ABCDEF/2024-05-01.json", "C01ABCDEF.json"])
def test_folders_and_files_may_be_called_by_the_channels_id(tmp_path: Path, name: str) -> None:
    found = read(export(tmp_path, {name: [said(MIRA, "hello")]}))
    assert [(each.id, each.title) for each in found.sessions] == [("slack-C01ABCDEF", "general")]


def test_a_channel_as_slackdump_writes_it_is_read_with_its_threads(tmp_path: Path) -> None:
    begun = stamp(0)
    answers = [said(JON, "yes", 1, thread_ts=begun)]
    rows = [said(MIRA, "lunch?", 0, thread_ts=begun, reply_count=1, slackdump_thread_replies=answers)]
    (tmp_path / "C01ABCDEF.json").write_text(json.dumps({"channel_id": "C01ABCDEF", "name": "x", "messages": rows}))
    found = read(tmp_path)
    assert [text for _, text in found.said] == ["lunch?", "yes"]
    assert found.loaded.rows == 2


def test_people_of_one_name_in_several_workspaces_stay_two(tmp_path: Path) -> None:
    for team, identity in (("acme", "U0ACMEJON"), ("beta", "U0BETAJON")):
        export(
            tmp_path / team,
            {"general/2024-05-01.json": [said(identity, team)]},
            users=[{"id": identity, "name": "jon", "profile": {"display_name": "jon"}}],
            channels=[{"id": f"C0{team.upper()}", "name": "general", "members": []}],
        )
    found = read(tmp_path)
    assert found.said == [("jon", "acme"), ("jon (U0BETAJON)", "beta")]
    assert [each.id for each in found.sessions] == ["slack-C0ACME", "slack-C0BETA"]
    assert read(tmp_path, filters=Filters(only_people=("U0BETAJON",))).said == [("jon (U0BETAJON)", "beta")]


def test_overlapping_exports_of_one_workspace_count_each_message_once(tmp_path: Path) -> None:
    first, second = said(MIRA, "one", 0), said(JON, "two", 1)
    export(tmp_path / "a", {"general/2024-05-01.json": [first]})
    export(tmp_path / "b", {"general/2024-05-01.json": [first, second]})
    found = read(tmp_path)
    assert [text for _, text in found.said] == ["one", "two"]
    assert (len(found.sessions), found.loaded.dropped) == (1, {TWICE: 1})


def test_somebody_who_is_not_in_users_is_called_as_the_message_says(tmp_path: Path) -> None:
    found = read_rows(
        tmp_path,
        [
            said("U0PARTNER", "1", 1, user_profile={"display_name": "", "real_name": "Pat Ner", "name": "pat"}),
            said("U0STRANGE", "2", 2),
            {"type": "message", "ts": stamp(3), "username": "import", "text": "3"},
            {"type": "message", "ts": stamp(4), "text": "4"},
        ],
    )
    assert [who for who, _ in found.said] == ["Pat Ner", "U0STRANGE", "import", "somebody without a name"]


def test_a_day_in_any_order_comes_out_in_order_of_time(tmp_path: Path) -> None:
    found = read_rows(tmp_path, [said(MIRA, str(minute), minute) for minute in (3, 1, 2, 0)])
    assert [text for _, text in found.said] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1714550400.000100", 1714550400000100),
        ("1714550400", 1714550400000000),
        ("1714550400.5", 1714550400500000),
        (1714550400.5, 1714550400500000),
        ("x", 0),
        ("", 0),
        (None, 0),
        (True, 0),
        ("99999999999999.1", 0),
        (1e300, 0),
    ],
)
def test_times_are_read_to_the_microsecond(written: object, meant: int) -> None:
    assert micros(written) == meant


def test_an_export_without_messages_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Slack's export, without messages"):
        recognise(export(tmp_path, {}))
    with pytest.raises(InputError, match="no channel of a Slack export"):
        read(tmp_path, "slack")


@pytest.mark.parametrize(
    "damage", ["[", '[{"ts": "1714550400.000100"}', '[{"ts": "1714550400.000100", "text": "\\q"}]']
)
def test_a_damaged_day_is_named(tmp_path: Path, damage: str) -> None:
    path = export(tmp_path, {"general/2024-05-01.json": [said(MIRA, "x")]}) / "general/2024-05-02.json"
    path.write_text(damage)
    with pytest.raises(InputError, match=r"2024-05-02\.json: JSON that is damaged or cut off near byte"):
        read(tmp_path)


@pytest.mark.parametrize("name", sorted(set(EXPORTS) - {"slack"}))
def test_other_apps_archives_are_not_slacks(tmp_path: Path, name: str) -> None:
    with Members(EXPORTS[name](tmp_path)) as members:
        assert source.recognise(members) is None


def test_a_large_day_is_read_like_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        said(MIRA, "a"),
        said(JON, blocks=[{"type": "section", "text": {"text": "b"}}]),
        said(MIRA, files=[{"id": 1}]),
    ]
    small = read_rows(tmp_path, rows)
    monkeypatch.setattr("pipeline.archives.typed_json.ORDINARY", 0)
    assert read(tmp_path) == small
    assert len(small.said) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["type", "ts", "user", "text", "subtype", "thread_ts", "reply_count", "blocks", "files", "attachments", "bot_id",
     "user_profile", "username", "comment", "upload", "file"]
)  # fmt: skip


@given(
    st.lists(st.dictionaries(KEYS, VALUES | st.just("message"), max_size=6) | VALUES, max_size=6),
    st.lists(st.dictionaries(st.sampled_from(["id", "name", "profile", "is_bot"]), VALUES, max_size=4), max_size=3)
    | VALUES,
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_rows_hold_each_is_a_message_or_left_out(tmp_path: Path, rows: list[object], users: object) -> None:
    (tmp_path / "general").mkdir(exist_ok=True)
    (tmp_path / "users.json").write_text(json.dumps(users))
    (tmp_path / "channels.json").write_text(json.dumps(users))
    (tmp_path / "general/2024-05-01.json").write_text(json.dumps(rows))
    found = read(tmp_path, "slack")
    assert found.loaded.rows == len(rows) == len(found.said) + found.loaded.dropped.total()


@given(st.integers(0, 300), st.binary(max_size=3), st.integers(0, 20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_file_is_read_or_refused_in_words(tmp_path: Path, at: int, new: bytes, gone: int) -> None:
    path = tmp_path / "2024-05-01.json"
    data = json.dumps([said(MIRA, "a &amp; b"), said(JON, "c", 1, thread_ts=stamp(0))]).encode()
    path.write_bytes(data[:at] + new + data[at + gone :])
    try:
        read(path, "slack")
    except InputError as error:
        refused = str(error)
    else:
        refused = str(path)
    assert refused.startswith(str(path))


@pytest.mark.parametrize("name", [["general"], {"a": 1}, None, 5])
def test_a_channel_whose_name_is_no_text_is_known_by_its_id(tmp_path: Path, name: object) -> None:
    days = {"C01ABCDEF/2024-05-01.json": [said(MIRA, "hi")]}
    (session,) = read(export(tmp_path, days, channels=[GENERAL | {"name": name}])).sessions
    assert (session.id, session.title) == ("slack-C01ABCDEF", None)
