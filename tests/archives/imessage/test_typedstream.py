import pytest
import typedstream  # type: ignore[import-untyped]  # has no type hints
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archives.imessage.typedstream import decode_attributed_body
from pipeline.samples.attributed_body import FILE_TRANSFER_GUID, PART, encode_attributed_body

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
BOUNDARIES = [0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536]

# Checked against live databases by docs/TYPEDSTREAM.md of imessage-chatdb: the layout of a one-part message "hi".
LIVE_LAYOUT = bytes.fromhex(
    "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e67008484084e534f626a65637400859284"
    "8484084e53537472696e67019484012b02686986840269490102928484840c4e5344696374696f6e617279009484016901928496961d5f5f6b"
    "494d4d657373616765506172744174747269627574654e616d658692848484084e534e756d626572008484074e5356616c7565009484012a84"
    "999900868686"
)


def oracle(blob: bytes) -> str:
    root = typedstream.unarchive_from_data(blob)
    return str(root.contents[0].values[0].value)


def test_our_encoder_writes_what_messages_writes() -> None:
    assert encode_attributed_body("hi") == LIVE_LAYOUT
    assert decode_attributed_body(LIVE_LAYOUT) == "hi"


@given(TEXTS, st.booleans())
def test_every_text_reads_as_pytypedstream_reads_it(text: str, mutable: bool) -> None:
    blob = encode_attributed_body(text, mutable=mutable)
    assert decode_attributed_body(blob) == oracle(blob) == text


@pytest.mark.parametrize("mutable", [False, True])
@pytest.mark.parametrize("size", BOUNDARIES)
def test_every_width_of_length_is_read_whole(size: int, mutable: bool) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    blob = encode_attributed_body(text, mutable=mutable)
    assert decode_attributed_body(blob) == oracle(blob) == text


@pytest.mark.parametrize("size", [32768, 65535])
def test_a_length_above_32767_is_read_with_either_tag(size: int) -> None:
    text = "x" * size
    four_bytes = encode_attributed_body(text)
    two_bytes = four_bytes.replace(b"\x82" + size.to_bytes(4, "little"), b"\x81" + size.to_bytes(2, "little"), 1)
    assert len(two_bytes) == len(four_bytes) - 2
    assert decode_attributed_body(four_bytes) == decode_attributed_body(two_bytes) == oracle(two_bytes) == text


@pytest.mark.parametrize("text", ["an NSString in the text", "\x84\x01+\x02hi", "NSDictionary\x86\x84", "a\0b"])
def test_text_that_looks_like_the_format_is_not_cut(text: str) -> None:
    for mutable in (False, True):
        blob = encode_attributed_body(text, mutable=mutable)
        assert decode_attributed_body(blob) == oracle(blob) == text


def test_several_runs_and_an_attachment_leave_the_text_alone() -> None:
    runs: list[tuple[int, dict[str, int | str]]] = [(1, {FILE_TRANSFER_GUID: "at_0_1", PART: 0}), (9, {PART: 1})]
    blob = encode_attributed_body("\ufffclook 🐢 x", runs=runs, mutable=True)
    assert decode_attributed_body(blob) == oracle(blob) == "\ufffclook 🐢 x"


def test_a_utf_16_text_is_read_by_its_byte_order_mark() -> None:
    utf16 = b"\xff\xfe" + "héllo 🐇".encode("utf-16-le")
    assert decode_attributed_body(utf16) == "héllo 🐇"
    inside = LIVE_LAYOUT.replace(b"\x02hi", bytes([len(utf16)]) + utf16)
    assert decode_attributed_body(inside) == "héllo 🐇"


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"bplist00 is another archive",
        LIVE_LAYOUT[: LIVE_LAYOUT.index(b"\x84\x01+") + 3],
        LIVE_LAYOUT.replace(b"\x02hi", b"\x7fhi"),
        LIVE_LAYOUT.replace(b"\x02hi", b"\x82\xff\xff\xff\x7fhi"),
        LIVE_LAYOUT.replace(b"\x02hi", b"\x83\0\0\0\0hi"),
        LIVE_LAYOUT.replace(b"\x02hi", b"\x85"),
        LIVE_LAYOUT.replace(b"\x02hi", b"\x02\xc3("),
        b"\xff\xfe\0",
    ],
    ids=["empty", "other", "cut", "too long", "far too long", "float", "nil", "not utf-8", "not utf-16"],
)
def test_a_damaged_blob_has_no_text(blob: bytes) -> None:
    assert decode_attributed_body(blob) is None


@given(st.binary(), st.integers(0, len(LIVE_LAYOUT)))
def test_no_blob_raises(noise: bytes, at: int) -> None:
    decode_attributed_body(noise)
    decode_attributed_body(LIVE_LAYOUT[:at] + noise + LIVE_LAYOUT[at:])
