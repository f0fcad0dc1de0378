"""Chats as phones of many languages export them, with what is in them: made up, to read and compare."""

import random
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.sessions.session import Message
from tests.archives.whatsapp_phones import NARROW, NBSP, Phone

LRM = "\u200e"

_SAID = (
    "see you at nine", "Slow and steady: that wins", "Look: here: three: colons", "no", "ok", "ok",
    "😀👍🏽",
    "a\n\n  b\nc", "https://example.org/a?b=c", "call me at 12:30 - or later", "(file attached) is what it says",
    "<3", "x > y",
    "the image was omitted, they said", "1/2/23 was a good day", "[sic] he wrote", "Name: Value", "- one\n- two",
    "This message was deleted by me, I think", "I said “hi: there” and left", "null and void", "12. that is all",
    "POLL: who is in?", "it is 5/6/2023, 9:00 - be there", "my location: the pub", "@\u2068Nell\u2069 look",
)  # fmt: skip
_PASTED = (
    "[28/02/24, 21:15:10] Ida: bring the blue rope", "12/28/23, 9:05 PM - Ida: and the lamp", "[15/08, 21:12] Ida: hi",
    "[21:12, 15/08/2023] Ida: hello", "2024-12-31 10:00:00 - PUMP: pressure low", "31.12.2024, 10:00 - PUMP: refilled",
    "[31.12.24, 10:00:05] Ida: soon", "5/13/24, 11:05\u202fAM - Ida: no",
)  # fmt: skip


class Exported(NamedTuple):
    """A file, and what was said in it."""

    data: bytes
    said: list[Message]
    rows: int


def exported(
    phone: Phone, seed: int, *, people: tuple[str, ...] = ("Nell Harrow", "Otto Finch"), count: int = 80
) -> Exported:
    """A chat of some weeks in the summer of 2023; a group if more than two are in it."""
    return _Writer(phone, random.Random(seed), people).write(count)


class _Writer:
    def __init__(self, phone: Phone, chance: random.Random, people: tuple[str, ...]) -> None:
        self._phone = phone
        self._chance = chance
        self._people = people
        self._time = datetime(2023, 8, 1, 7, 58, 3)
        self._lines: list[str] = []
        self._said: list[Message] = []
        self._rows = 0
        self._foreign = [each for each in _PASTED if self._is_foreign(each)]

    def write(self, count: int) -> Exported:
        """The file."""
        phone, group = self._phone, "Trip: Rome"
        if len(self._people) > 2:
            self._row("" if not phone.is_ios else f"{group}: {LRM}", phone.words.notice)
            who = self._people[0]
            self._row(f"{who}: {LRM}" if phone.is_ios else "", phone.words.founded.format(who=who, name="Old: name"))
            self._row(LRM if phone.is_ios else "", phone.words.renamed.format(who=who, old="Old: name", name=group))
        else:
            self._row(f"{self._people[0]}: {LRM}" if phone.is_ios else "", phone.words.notice)
        kinds = [self._plain] * 6 + [
            self._media, self._caption, self._attachment, self._deleted, self._edited, self._place, self._poll,
            self._call, self._pasted, self._document, self._empty,
        ]  # fmt: skip
        for number in range(count):
            self._time += timedelta(seconds=self._chance.choice((1, 7, 40, 300, 5_000, 40_000)))
            who = self._people[number % len(self._people)] if number < 6 else self._chance.choice(self._people)
            (self._plain if number < 6 else self._chance.choice(kinds))(who)
        data = "".join(line + phone.end for line in self._lines).encode(phone.encoding, "replace")
        return Exported(data, self._said, self._rows)

    def _is_foreign(self, line: str) -> bool:
        """Whether a pasted line has another shape than the file's headers, or they are told by the ends of lines."""
        from pipeline.archives.whatsapp.headers import looks_like_header, shape_of

        if self._phone.is_ios and self._phone.end == "\r\n":
            return True
        own, pasted = (looks_like_header(text) for text in (self._phone.header(self._time), line))
        return pasted is None or (own is not None and shape_of(own) != shape_of(pasted))

    def _row(self, front: str, text: str, mark: str = "") -> None:
        within = "\r\n" if self._phone.end == "\r\n" and not self._phone.is_ios else "\n"
        self._lines.append(mark + self._phone.header(self._time) + front + text.replace("\n", within))
        self._rows += 1

    def _speech(self, who: str, text: str, written: str | None = None, mark: str = "") -> None:
        if self._phone.encoding == "cp1252":
            text = text.encode("cp1252", "replace").decode("cp1252")
        self._row(f"{who}: ", text if written is None else written, mark)
        time = self._time if self._phone.is_ios else self._time.replace(second=0)
        self._said.append(Message(who.removeprefix(f"~{NARROW}"), False, f"{time.isoformat()}Z", text))

    def _plain(self, who: str) -> None:
        self._speech(who, self._chance.choice(_SAID))

    def _pasted(self, who: str) -> None:
        lines = self._chance.sample(self._foreign, min(2, len(self._foreign)))
        self._speech(who, "\n".join(["look what it says:", *lines, "that was it"]))

    def _media(self, who: str) -> None:
        if self._phone.is_ios:
            self._row(f"{who}: {LRM}", self._phone.words.media, LRM)
        else:
            self._row(f"{who}: ", self._phone.words.media)

    def _caption(self, who: str) -> None:
        caption = self._chance.choice(("look at this", "two\nlines", "Rome: day 1"))
        if self._phone.is_ios:
            self._speech(who, caption, f"{caption} {LRM}{self._phone.words.media}", LRM)
        else:
            self._speech(who, caption, f"{LRM}IMG-20230801-WA0001.jpg ({self._phone.words.attached})\n{caption}")

    def _attachment(self, who: str) -> None:
        if self._phone.is_ios:
            self._row(f"{who}: {LRM}", f"<{self._phone.words.attached}: 00000042-PHOTO-2023-08-01-10-00-00.jpg>", LRM)
        else:
            name = self._chance.choice(("PTT-20230801-WA0003.opus", "Nell.vcf", "my notes.txt"))
            self._row(f"{who}: ", f"{name} ({self._phone.words.attached})" + self._chance.choice(("", f"\n{name}")))

    def _document(self, who: str) -> None:
        if self._phone.is_ios:
            pages = self._chance.choice((f"{LRM}14 pages ", f"{LRM}1{NBSP}Seite ", ""))
            end = self._chance.choice(
                (f"{LRM}document omitted", f"{LRM}<{self._phone.words.attached}: 00000004-lease.pdf>")
            )
            self._row(f"{who}: ", f"lease.pdf • {pages}{end}", LRM)
        else:
            self._row(f"{who}: ", f"{self._phone.words.media}\nthe lease.pdf")

    def _deleted(self, who: str) -> None:
        words = self._chance.choice(
            (self._phone.words.deleted, self._phone.words.mine_deleted, self._phone.words.waiting)
        )
        self._row(f"{who}: {LRM if self._phone.is_ios else ''}", words)

    def _edited(self, who: str) -> None:
        text = self._chance.choice(("I mean Tuesday", "one\ntwo"))
        mark = LRM if self._phone.is_ios else ""
        self._speech(who, text, f"{text} {mark}{self._phone.words.edited}")

    def _place(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        link = "https://maps.google.com/?q=50.1,-8.6"
        self._row(f"{who}: {mark}", self._chance.choice((f"{self._phone.words.place}: {link}", self._phone.words.live)))

    def _poll(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        head, option, votes = self._chance.choice(
            (("POLL", "OPTION", "2 votes"), ("UMFRAGE", "OPTION", "2 Stimmen"), ("ENCUESTA", "OPCIÓN", "1 voto"))
        )
        if self._phone.encoding == "cp1252":
            head, option, votes = "POLL", "OPTION", "2 votes"
        options = "\n".join(f"{mark}{option}: {day} ({mark}{votes})" for day in ("Monday", "Tuesday (late)"))
        self._row(f"{who}: {mark}", f"{head}:\nWhich day?\n{options}" + ("" if mark else "\n"))

    def _call(self, who: str) -> None:
        mark = LRM if self._phone.is_ios else ""
        self._row(f"{who}: {mark}", self._phone.words.missed)

    def _empty(self, who: str) -> None:
        self._row(f"{who}: ", self._chance.choice(("", "null")) if not self._phone.is_ios else "")
