import plistlib

import msgspec
import pytest

from pipeline.samples.attributed_body import FILE_TRANSFER_GUID, PART, encode_attributed_body
from pipeline.sessions.session import Session
from tests.archives.phone import Phone, Value, read, said

PREVIEW = {"transfer_name": "5A.pluginPayloadAttachment", "mime_type": None}


def only(sessions: list[Session]) -> tuple[str, bool]:
    message = sessions[0].messages[0]
    return message.content, message.only_context is True


@pytest.mark.parametrize(
    ("row", "token"),
    [
        ({"mime_type": "image/heic", "uti": "public.heic"}, "[image]"),
        ({"mime_type": "video/quicktime"}, "[video]"),
        ({"mime_type": "audio/amr"}, "[audio]"),
        ({"mime_type": None, "uti": "com.apple.coreaudio-format"}, "[audio]"),
        ({"mime_type": "application/pdf"}, "[file]"),
        ({"mime_type": None, "uti": None}, "[file]"),
        ({"mime_type": "image/png", "is_sticker": 1}, "[sticker]"),
        ({"mime_type": "text/vcard"}, "[contact]"),
        ({"mime_type": "text/x-vlocation", "uti": "public.vlocation"}, "[location]"),
    ],
)
def test_an_attachment_alone_is_context_where_it_is_asked_for_and_dropped_elsewhere(
    phone: Phone, row: dict[str, Value], token: str
) -> None:
    phone.attach(phone.message(phone.chat("c"), {"attributedBody": encode_attributed_body("\ufffc")}), row)
    assert only(read(phone, "tokens")[0]) == (token, True)
    assert read(phone) == ([], {"no text": 1})


def test_tokens_stand_where_their_attachments_did(phone: Phone) -> None:
    body = encode_attributed_body("\ufffc before, \ufffc after")
    message = phone.message(phone.chat("c"), {"attributedBody": body})
    phone.attach(message, {"mime_type": "image/jpeg"})
    phone.attach(message, {"mime_type": "video/mp4"})
    assert only(read(phone, "tokens")[0]) == ("[image] before, [video] after", False)
    assert only(read(phone)[0]) == ("before,\nafter", False)


@pytest.mark.parametrize(
    ("text", "plain", "with_tokens"),
    [
        ("same\ufffcgreat", "same\ngreat", "same\n[image]\ngreat"),
        ("same\ufffc\ufffcgreat", "same\ngreat", "same\n[image]\ngreat"),
        ("caf\ufffd", "caf", "caf\n[image]"),
        ("\ufffcgreat", "great", "[image]\ngreat"),
    ],
)
def test_words_on_both_sides_of_an_attachment_stay_apart(phone: Phone, text: str, plain: str, with_tokens: str) -> None:
    phone.attach(
        phone.message(phone.chat("c"), {"attributedBody": encode_attributed_body(text)}), {"mime_type": "image/png"}
    )
    assert only(read(phone)[0]) == (plain, False)
    assert only(read(phone, "tokens")[0]) == (with_tokens, False)


def test_an_attachment_that_the_text_does_not_place_comes_after_it(phone: Phone) -> None:
    phone.attach(phone.message(phone.chat("c"), {"text": "look"}), {"mime_type": "image/jpeg"})
    assert only(read(phone, "tokens")[0]) == ("look\n[image]", False)


def test_what_a_links_preview_is_kept_in_is_no_attachment(phone: Phone) -> None:
    row = {"text": "https://example.test", "balloon_bundle_id": "com.apple.messages.URLBalloonProvider"}
    phone.attach(phone.message(phone.chat("c"), row), PREVIEW)
    assert only(read(phone, "tokens")[0]) == ("https://example.test", False)


def test_an_audio_message_is_what_messages_heard(phone: Phone) -> None:
    attributes: dict[str, int | str] = {
        PART: 0,
        FILE_TRANSFER_GUID: "at_0_1",
        "IMAudioTranscription": "Slow and steady",
    }
    body = encode_attributed_body("\ufffc", runs=[(1, attributes)])
    phone.message(phone.chat("c"), {"attributedBody": body, "is_audio_message": 1})
    assert only(read(phone)[0]) == ("Slow and steady", False)


@pytest.mark.parametrize("attachments", ["drop", "tokens"])
def test_an_audio_messages_transcript_may_be_with_its_attachment(phone: Phone, attachments: str) -> None:
    row: dict[str, Value] = {"attributedBody": encode_attributed_body("\ufffc"), "is_audio_message": 1}
    heard = plistlib.dumps({"audio-transcription": "Slow and steady"}, fmt=plistlib.FMT_BINARY)
    phone.attach(phone.message(phone.chat("c"), row), {"mime_type": "audio/x-m4a", "user_info": heard})
    assert only(read(phone, "tokens" if attachments == "tokens" else "drop")[0]) == ("Slow and steady", False)


def test_an_audio_message_that_nobody_heard_is_an_attachment(phone: Phone) -> None:
    row: dict[str, Value] = {"attributedBody": encode_attributed_body("\ufffc"), "is_audio_message": 1}
    phone.attach(phone.message(phone.chat("c"), row), {"mime_type": "audio/x-m4a", "user_info": b"broken"})
    assert only(read(phone, "tokens")[0]) == ("[audio]", True)
    assert read(phone)[1] == {"no text": 1}


def test_a_reply_carries_the_beginning_of_what_somebody_else_said(phone: Phone) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"guid": "first", "attributedBody": encode_attributed_body("\ufffc" + "x" * 200)})
    answer: dict[str, Value] = {"thread_originator_guid": "first", "thread_originator_part": "0:0:5"}
    phone.message(chat, {"text": "an answer", "is_from_me": 1, **answer})
    phone.message(chat, {"text": "to my own", **answer})
    phone.message(chat, {"text": "to what?", "is_from_me": 1, "thread_originator_guid": "gone"})
    phone.message(chat, {"text": "no reply", "reply_to_guid": "first"})  # only says what came before
    assert [message.reply_to for message in read(phone)[0][0].messages] == [
        msgspec.UNSET, "x" * 120, msgspec.UNSET, msgspec.UNSET, msgspec.UNSET,
    ]  # fmt: skip


def test_extra_keys_are_written_only_where_they_say_something(phone: Phone) -> None:
    phone.message(phone.chat("c"), {"text": "plain"})
    assert msgspec.json.encode(read(phone)[0][0].messages[0]) == (
        b'{"sender":"unknown","is_me":false,"time":"2023-03-08T20:26:41Z","content":"plain","role":null}'
    )


@pytest.mark.parametrize(
    "tapback", ["\u200a\u200b👍\u200b to “\u200aSee you at nine\u200a”", "\u200b❤️\u200b to “See you at nine”"]
)
def test_tapbacks_of_google_messages_are_known_by_their_invisible_marks(phone: Phone, tapback: str) -> None:
    chat = phone.chat("c")
    phone.message(chat, {"attributedBody": encode_attributed_body("See you at nine"), "service": "SMS"})
    phone.message(chat, {"attributedBody": encode_attributed_body(tapback), "service": "RCS"})
    sessions, dropped = read(phone)
    assert said(sessions) == [[("unknown", "See you at nine")]]
    assert dropped == {"tapback in words": 1}
