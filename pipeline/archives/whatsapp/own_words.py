"""What somebody said in a message, without what WhatsApp itself writes into it, on both kinds of phones.

On an iPhone U+200E stands before WhatsApp's own words, in every language. On Android it stands before the name of a
file, and what else is not speech is known by its words.
"""

import re
from typing import NamedTuple

from pipeline.archives.told import CALL, DELETED, MEDIA, NO_TEXT
from pipeline.archives.whatsapp.names import OWN
from pipeline.archives.whatsapp.words import ATTACHED, CALLS, EDITED, LIVE, MISSED, NOTICES, OMITTED, PLACES, WAITING
from pipeline.archives.whatsapp.words import DELETED as GONE
from pipeline.archives.whatsapp.words import MEDIA as LEFT_OUT

SYSTEM = "WhatsApp's own words"

_WHOLE = {
    **dict.fromkeys(GONE, DELETED),
    **dict.fromkeys(MISSED, CALL),
    **dict.fromkeys(LIVE, SYSTEM),
    **{f"<{words}>": MEDIA for words in LEFT_OUT | OMITTED},
}
_AROUND_FILES = (("فایل پیوست شد ", ""), ("", " இணைக்கப்பட்டது"))  # in Persian and in Tamil there are no brackets
_NO_BODY = "null"  # as Android writes it; "Null" is a number in German
_FEWEST_OPTIONS = 2
_BEGIN = 4
_BEGINS = {words[:_BEGIN] for words in (*_WHOLE, *CALLS, *WAITING, *NOTICES, *(before for before, _ in _AROUND_FILES))}
_ENDS = {">", ")", *(after[-1:] for _, after in _AROUND_FILES)}
_LONGEST_WORDS, _LONGEST_PLACE = 120, 500
_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_BY_ADMIN = (
    "this message was deleted by admin ",
    "diese nachricht wurde von admin ",
    "diese nachricht wurde vom admin ",
)
_NOTICES = tuple(NOTICES)
_DOT = ".。।"
_IN_BRACKETS = re.compile(r"<[^<>\n]{3,60}>")
_ANY_OMITTED = re.compile(r"<[\w ]{3,40} (?:omitted|weggelassen|ausgeschlossen|omitid[ao]|weggelaten)>", re.IGNORECASE)
_MEDIA_WORDS = re.compile(
    r"\b(?:multim\w+|m[eé]di[aá]s?|media\w*f\w+|médiaf\w+|medien|medier|mediefil\w*|meedia|medij\w*|mídias?|medy[aə])\b"
    r"|\b(?:медиа|медіа|медија)"
    "|メディア|媒体|媒體|미디어|मीडिया|মিডিয়া|وسائط|رسانه|میڈیا|מדיה|สื่อ",
    re.IGNORECASE,
)
_EDIT_STEMS = re.compile(
    r"\b(?:edit|bearbeit|modif|bewerk|düzenl|измен|отредакт|змінен|редаг|відредаг|редакт|edyt|zedyt|zmieni|uprav|redig"
    r"|szerkeszt|ändr|muokat|muutet|uređen|izmijen|επεξεργ|diedit)"
    "|编辑|編輯|수정|편집|編集|संपादित|एडिट|ערכ|تعديل|ویرایش|แก้ไข|chỉnh sửa",
    re.IGNORECASE,
)
_FILE = re.compile(r"([^\n]*\.\w{1,8}) \(([^()\n]{2,60})\)")
_FILES_OF_PHONES = re.compile(r"(?:IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d{4,}\.\w{2,5}")
_FILE_NAME = re.compile(
    r"[^\n]{1,200}\.(?:pdf|docx?|xlsx?|xlsm|pptx?|txt|csv|rtf|odt|ods|odp|pages|numbers|key|zip|rar|7z|tar|gz|apk|exe|msi|"
    r"dmg|iso|mp3|mp4|m4a|opus|ogg|wav|aac|amr|flac|mov|avi|mkv|3gp|webm|jpe?g|png|gif|webp|heic|bmp|tiff?|svg|psd|ai|vcf|"
    r"ics|epub|mobi|html?|xml|json|mod|dwg|stl|gpx|kml|log|md|py|js|java|cpp|c|enc|crypt\d\d)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"([^:：\n]{2,30}?)\s?[:：]\s?(?:[^\n]*[:：] ?)?https://(?:maps\.google\.com/\?q=|foursquare\.com/)\S+"
)
_POLL = re.compile(r"[^\s:：]{2,20}(?: [^\s:：]{1,20}){0,2} ?[:：]\n")
_OPTION = re.compile(r"([^\s:：]{2,20}) ?[:：] ")
_VOTES = re.compile(r"\D*\d+\D*")
_CALLED = re.compile(r"([^,.\n]{4,40})[,.]\s?([^\n]{2,60})")
_ENDED = re.compile(
    r"(?:\d+\s?(?:min|mins|sec|secs|hr|hrs|sek|std|seg|dk|sn|мин|сек|хв|分|秒|分钟|分鐘|분|초|menit|detik|perc|mp)\.?\s?)+"
    "|no answer|keine antwort|nicht angenommen|sin respuesta|pas de réponse|sans réponse|nessuna risposta|sem resposta"
    "|não atendida|geen antwoord|cevaplanmadı|нет ответа|brak odpowiedzi|inget svar|intet svar|ikke svar|ei vastausta"
    "|declined|abgelehnt|cancelled|canceled|busy"
)
_ATTACHED_TO = re.compile(r"<[^<>\n]{0,60}?([^<>\n:\s][^<>\n:]{0,250}\.\w{1,8})(?: [^<>\n]{1,60})?>")
_PAGES = re.compile(r"[\d\s\u00a0]+\S+(?: \S+)?|\S+ [\d\s\u00a0]+")
_TITLE = " • "


class Said(NamedTuple):
    """What is left of a message.

    Attributes:
        text: what somebody said; "" if nothing.
        reason: why nothing is left, or MEDIA where a file stood with it; "" otherwise.
        is_edited: whether it was changed after it had been sent.
    """

    text: str
    reason: str = ""
    is_edited: bool = False


_NOTHING = Said("", NO_TEXT)


class OwnWords:
    """Takes WhatsApp's words out of the messages of one file.

    Args:
        has_marks: whether U+200E stands anywhere in it: some tools take it out.
        repeated: what stands in angle brackets, alone in a message, several times.
        notes: what stands in angle brackets at the ends of several messages.
    """

    def __init__(
        self,
        *,
        is_ios: bool,
        has_marks: bool = True,
        repeated: frozenset[str] = frozenset(),
        notes: frozenset[str] = frozenset(),
    ) -> None:
        self._is_ios = is_ios
        self._is_bare = is_ios and not has_marks
        self._repeated = repeated
        self._notes = notes

    def said(self, body: str, is_marked: bool = False) -> Said:
        """What somebody said.

        Args:
            body: all after the name.
            is_marked: whether U+200E stands before the header, as it does on an iPhone where there is a file.
        """
        text = body.strip()
        if not text:
            return _NOTHING
        if text == _NO_BODY:
            return Said("", SYSTEM)
        if self._is_plain(text):
            return Said(text)
        text, is_edited = _without_edit(text, self._notes)
        if reason := _reason(text) if len(text) <= _LONGEST_WORDS else "":
            return Said("", reason)
        if _is_poll(text) or _is_place(text) or _bare(text[:_LONGEST_WORDS]).casefold().startswith(_NOTICES):
            return Said("", SYSTEM)
        found = self._of_iphone(text, is_marked=is_marked) if self._is_ios else None
        found = found or self._of_android(text)
        return found._replace(is_edited=True) if is_edited else found

    def _is_plain(self, text: str) -> bool:
        """Whether a look at its ends tells that nothing of WhatsApp is in it, as of most messages."""
        return (
            text[-1] not in _ENDS
            and "\n" not in text
            and OWN not in text
            and text[:_BEGIN].casefold()[:_BEGIN] not in _BEGINS
            and "https://" not in text
            and not self._is_bare
        )

    def _of_iphone(self, text: str, *, is_marked: bool) -> Said | None:
        if text.startswith(OWN):
            first, _, rest = text.partition("\n")
            words = _bare(first)
            is_file = words.casefold() in OMITTED or _attached(words) is not None
            return Said(rest.strip() if is_file and OWN not in rest else "", MEDIA if is_file else SYSTEM)
        at = text.rfind(OWN)
        if at > 0 and "\n" not in text[at:]:
            tail = _bare(text[at:])
            if is_marked or tail.casefold() in OMITTED or _attached(tail) is not None:
                return Said(_caption(text[:at].strip(), tail), MEDIA)
        if self._is_bare and (tail := _tail(text)):
            return Said(_caption(text[: -len(tail)].strip(), tail), MEDIA)
        return None

    def _of_android(self, text: str) -> Said:
        first, _, rest = text.partition("\n")
        words = _bare(first)
        if words.startswith("<") and words.endswith(">") and self._is_left_out(words):
            return Said("" if _FILE_NAME.fullmatch(_bare(rest)) else rest.strip(), MEDIA)
        if (name := _file(words, is_marked=first.startswith(OWN))) is not None:
            rest = rest.strip()
            return Said("" if _bare(rest) == name else rest, MEDIA)
        return Said(text)

    def _is_left_out(self, words: str) -> bool:
        inner = words[1:-1].strip()
        if inner.casefold().rstrip(_DOT) in LEFT_OUT or words in self._repeated or _ANY_OMITTED.fullmatch(words):
            return True
        is_phrase = " " in inner or not inner.isascii()
        return is_phrase and _IN_BRACKETS.fullmatch(words) is not None and _MEDIA_WORDS.search(inner) is not None


def _bare(text: str) -> str:
    return _MARKS.sub("", text).strip()


def _reason(text: str) -> str:
    """Why a short text is nothing that anybody said; "" if it is."""
    words = _bare(text).casefold().rstrip(_DOT)
    if found := _WHOLE.get(words):
        return found
    sentence = re.split(f"[{_DOT}]", words, maxsplit=1)[0]
    if sentence.strip() in WAITING:
        return SYSTEM
    if words.startswith(_BY_ADMIN):
        return DELETED
    called = _CALLED.fullmatch(words)
    if called and (called[1] in MISSED or (called[1] in CALLS and _ENDED.fullmatch(called[2]))):
        return CALL
    return ""


def _is_place(text: str) -> bool:
    """Whether it is the link that stands for a place somebody sent."""
    if "https://maps.google.com/?q=" not in text and "https://foursquare.com/" not in text:
        return False
    place = _PLACE.fullmatch(_bare(text[:_LONGEST_PLACE]))
    return place is not None and place[1].strip().casefold() in PLACES


def _is_poll(text: str) -> bool:
    """Whether it is a poll, in any language: a word with a colon, the question, and options with their votes."""
    if not _POLL.match(text.lstrip(OWN)):
        return False
    options = [_option(_bare(line)) for line in text.split("\n")[1:]]
    words = {option for option in options if option}
    return len(words) == 1 and words == {word.upper() for word in words} and sum(map(bool, options)) >= _FEWEST_OPTIONS


def _option(line: str) -> str:
    """The word before an option of a poll, if a line is one; the number of its votes stands in brackets at its end."""
    found, votes = _OPTION.match(line), line.rpartition("(")[2]
    return found[1] if found and votes[-1:] == ")" and _VOTES.fullmatch(votes[:-1]) else ""


def _without_edit(text: str, notes: frozenset[str]) -> tuple[str, bool]:
    """A message without the note that it was edited, which stands at its end. A pattern would be quadratic."""
    if not text.endswith(">"):
        return text, False
    at = text.rfind("<")
    added = text[at + 1 : -1]
    if at <= 0 or len(added) > _LONGEST_WORDS or "\n" in added or ">" in added:
        return text, False
    before = text[:at]
    if before.endswith(OWN):
        is_file = _attached(text[at:]) is not None or added.casefold() in OMITTED
        return (text, False) if is_file else (before[:-1].rstrip(), True)
    if before[-1].isspace() and _is_edit(added, notes):
        return before.rstrip(), True
    return text, False


def _is_edit(added: str, notes: frozenset[str]) -> bool:
    """Whether somebody's phone wrote this: a note that is known, or one of an unknown language that comes again."""
    if _bare(added).casefold().rstrip(_DOT) in EDITED:
        return True
    is_phrase = " " in added or not added.isascii()
    return is_phrase and ":" not in added and added in notes and _EDIT_STEMS.search(added) is not None


def _tail(text: str) -> str:
    """The words that stand for a file at the end of a message whose marks a tool has taken out."""
    last = text.rpartition("\n")[2]
    words = last.split(" ")
    for count in range(1, min(7, len(words)) + 1):
        tail = " ".join(words[-count:])
        if tail.casefold() in OMITTED or _attached(tail) is not None:
            return tail
    return ""


def _attached(words: str) -> str | None:
    """The name of the file that was attached, if these words say that on an iPhone."""
    found = _ATTACHED_TO.fullmatch(words) if words.startswith("<") and len(words) <= _LONGEST_PLACE else None
    return found[1] if found else None


def _caption(front: str, tail: str) -> str:
    """What somebody wrote to a file: what stands before it, without a document's own name and pages."""
    attached = _attached(tail)
    title, bullet, rest = front.partition(_TITLE.rstrip())
    if bullet and (attached is None or _is_title(title.strip(), attached)):
        pages, _, caption = rest.strip().lstrip(OWN).partition(OWN)
        pages = pages.strip()
        return caption.strip() if not pages or _PAGES.fullmatch(pages) else f"{pages} {caption}".strip()
    if attached is None and _FILE_NAME.fullmatch(_bare(front)):
        return ""
    return front


def _is_title(title: str, name: str) -> bool:
    return _bare(title).replace(" ", "") in name.replace(" ", "") or _FILE_NAME.fullmatch(_bare(title)) is not None


def _file(words: str, *, is_marked: bool) -> str | None:
    """The name of the file that was attached, if a line says that on Android."""
    if words.endswith(")") and (found := _FILE.fullmatch(words)):
        is_known = is_marked or found[2].casefold() in ATTACHED or _FILES_OF_PHONES.fullmatch(found[1]) is not None
        return found[1] if is_known else None
    for before, after in _AROUND_FILES:
        if words.startswith(before) and words.endswith(after):
            return words.removeprefix(before).removesuffix(after)
    return None
