"""What is found out about an exported chat over the whole file, before any message of it is read.

The shape of its headers, how lines end, in which order dates are written, and who writes.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from pipeline.archives.members import Member
from pipeline.archives.whatsapp.dates import Dates, Order, Usual
from pipeline.archives.whatsapp.halves import half_of
from pipeline.archives.whatsapp.headers import Padding, Shape, compiled, looks_like_header, may_begin, shape_of
from pipeline.archives.whatsapp.names import OWN, Names, Roster, quoted
from pipeline.archives.whatsapp.text import UTF_8, Encoding, encoding_of, first_lines, lines, second_choice

SKETCH = 512
"""Messages by which two files are compared: always the same of the same messages."""

_MOST_PASSES = 5
_RARE = 20  # as many times as seldom as another shape, the first line of a file is not its own
_LONGEST_FILE = 1000  # characters in which the name of a file stands
_FIRST = 12  # lines in which a group is founded
_PLACEHOLDERS, _REPEATED = 1000, 3
_SEVERAL = 3
_LONGEST_NOTE = 125
_NOTE = re.compile(r"\s<([^<>\n]{3,120})>\r?\n?\Z")
_LEVELS = frozenset(["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"])
_TEXT_FILE = re.compile(r"(?:<(?:[^<>\n]*?: ?)?|^|: ?\u200e?)([^<>:\n]{1,200}\.txt)(?=[^<>\n]*>| \()", re.IGNORECASE)


class Form(NamedTuple):
    """How headers of a file look.

    Attributes:
        after_crlf: whether headers stand only after "\\r\\n": messages of the file have "\\n" within.
    """

    shape: Shape
    padding: Padding = Padding()
    after_crlf: bool = False

    def matcher(self) -> Callable[[str], re.Match[str] | None]:
        """What finds the header at the beginning of a line."""
        match, style = compiled(self.shape, self.padding).match, self.shape.style
        if self.shape.half < 0:
            return match

        def with_half(line: str) -> re.Match[str] | None:
            found = match(line)
            half = half_of(found["half"]) if found is not None else None
            return found if half is not None and half[1] == style else None

        return with_half


class Layout(NamedTuple):
    """What is known of a file.

    Attributes:
        headers: how many there are, with those that turned out to be pasted.
        order: what the numbers of its dates mean.
        goes_back: whether a header is earlier than the one above it.
        has_marks: whether U+200E stands in it.
        repeated: texts in angle brackets that stand alone in several messages.
        notes: texts in angle brackets that stand at the ends of several messages.
        attached: the names of text files that were sent.
        founded: the group's name, where WhatsApp says so at the beginning.
        sketch: a hash of some of its messages, and what stands before their first colons.
        pasted: numbers of headers that are text.
    """

    encoding: Encoding
    form: Form
    headers: int
    order: Order
    roster: Roster
    goes_back: bool
    has_marks: bool
    repeated: frozenset[str]
    notes: frozenset[str]
    attached: frozenset[str]
    founded: str | None
    sketch: dict[int, str]
    pasted: frozenset[int] = frozenset()

    @property
    def is_group(self) -> bool:
        """Whether more than two people are in it, as far as it says."""
        return len(self.roster.speakers) > 2 or self.founded is not None


def looks_like_chat(found: list[str]) -> bool:
    """Whether a file with these first lines is an exported chat: headers, and somebody who says something.

    It begins with a header, unless its beginning was cut off: then most of its lines are headers.
    """
    form, first = _guess(found), _first_shape(found)
    if form is None:
        return False
    headers = [
        (line, header)
        for line in found
        if (header := looks_like_header(line)) is not None and shape_of(header) == form.shape
    ]
    written = sum(1 for line in found if line.strip())
    if not any(_is_said(line[header.end() :].strip()) for line, header in headers):
        return False
    if first != form.shape:
        return len(headers) >= _SEVERAL and len(headers) * 2 > written
    return len(headers) > 1 or written == 1


def _is_said(text: str) -> bool:
    """Whether somebody speaks in a line; programs keep logs that look alike."""
    name = text.partition(": ")[0] if ": " in text else text.removesuffix(":") if text.endswith(":") else ""
    return bool(name) and name.upper() not in _LEVELS


def survey(member: Member, *, is_one_of_many: bool = True) -> Layout | None:
    """Look through a file; None if there is no header in its first lines.

    Args:
        is_one_of_many: whether it will be compared with others, and its sketch is needed.

    Raises:
        InputError: the zip that it is in cannot be read.
    """
    head = first_lines(member)
    form = _guess(head)
    if form is None:
        return None
    encoding = encoding_of(member.head())
    for _ in range(_MOST_PASSES):
        look = _Look(form, encoding, head, is_one_of_many=is_one_of_many)
        try:
            look.through(member)
        except UnicodeDecodeError:
            encoding = second_choice(member) if encoding.name == UTF_8 else encoding._replace(errors="replace")
            continue
        better = look.better()
        if better == form:
            return look.layout()
        form = better
    return look.layout()


def _guess(head: list[str]) -> Form | None:
    shapes = Counter(shape_of(header) for line in head if (header := looks_like_header(line)))
    shape = _choice(shapes, _first_shape(head))
    return None if shape is None else Form(shape)


def _first_shape(head: list[str]) -> Shape | None:
    header = looks_like_header(next((line for line in head if line.strip()), ""))
    return None if header is None else shape_of(header)


def _choice(shapes: Counter[Shape], first: Shape | None) -> Shape | None:
    """The shape of a file's headers: that of its first line, or the most frequent where it does not begin with one."""
    if not shapes:
        return None
    most, count = shapes.most_common(1)[0]
    return first if first is not None and shapes[first] * _RARE >= count else most


class _Look:
    """One pass through a file."""

    def __init__(self, form: Form, encoding: Encoding, head: list[str], *, is_one_of_many: bool) -> None:
        self._is_one_of_many = is_one_of_many
        self._form = form
        self._encoding = encoding
        self._first = _first_shape(head)
        self._names = Names(is_ios=form.shape.is_ios)
        self._dates = Dates(0 if form.shape.wide[0] else 2 if form.shape.wide[2] else None)
        self._others: Counter[Shape] = Counter()
        self._count = self._after_crlf = self._after_lf = 0
        self._begins_crlf = self._ends_crlf = False
        self._single, self._noughts = [0] * 4, [0] * 4
        self._date = ""
        self._clock = (-1, "", "")
        self._hours: dict[tuple[str, str], int] = {}
        self._goes_back = self._has_marks = False
        self._begin: list[str] = []
        self._placeholders: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._attached: set[str] = set()
        self._hashes: dict[int, str] = {}
        self._highest = 1 << 32

    def through(self, member: Member) -> None:
        match, only_crlf = self._form.matcher(), self._form.after_crlf
        begins, is_crlf, is_first = True, False, True
        for line in lines(member, self._encoding):
            if begins and may_begin(line[0]):
                header = match(line)
                if header is not None:
                    if is_crlf:
                        self._after_crlf += 1
                    elif not is_first:
                        self._after_lf += 1
                    if is_crlf or is_first or not only_crlf:
                        self._header(header, line[header.end() :].rstrip("\r\n"))
                elif (other := looks_like_header(line)) is not None:
                    self._others[shape_of(other)] += 1
            if not self._has_marks and OWN in line:
                self._has_marks = True
            if ">" in line[-3:] and len(self._notes) < _PLACEHOLDERS:
                self._notes.update(_NOTE.findall(line[-_LONGEST_NOTE:]))
            is_crlf = line.endswith("\r\n")
            begins = is_crlf or line[-1] in "\r\n"
            if is_first:
                self._begins_crlf, is_first = is_crlf, False
        self._ends_crlf = is_crlf

    def _header(self, header: re.Match[str], text: str) -> None:
        self._count += 1
        date, hour, half, minute, second = header.group("date", "hour", "half", "minute", "second")
        if date != self._date:
            self._date = date
            numbers = header.group("a", "b", "c")
            self._dates.met((int(numbers[0]), int(numbers[1]), int(numbers[2])))
            for place, number in enumerate(numbers):
                self._pad(place, number)
            self._clock = (-1, "", "")
        if (hour, half) not in self._hours:
            self._hours[hour, half] = clock(hour, "0", "", half)
        now = self._hours[hour, half], minute, second
        if now < self._clock:
            self._goes_back = True
        if now[0] != self._clock[0]:
            self._pad(3, hour)
        self._clock = now
        self._names.met(text, is_marked=OWN in header["mark"])
        if self._count <= _FIRST:
            self._begin.append(text)
        if text.endswith(">") and (at := text.find(": <")) > 0 and len(self._placeholders) < _PLACEHOLDERS:
            self._placeholders[text[at + 2 :]] += 1
        if ".txt" in text:
            self._attached.update(_TEXT_FILE.findall(text[:_LONGEST_FILE]))
        if self._is_one_of_many:
            self._sketch(f"{date} {hour}:{minute}{half} {text}", text)

    def _pad(self, place: int, number: str) -> None:
        self._single[place] += len(number) == 1
        self._noughts[place] += len(number) > 1 and number.startswith(self._form.shape.zero)

    def _sketch(self, message: str, text: str) -> None:
        digest = zlib.crc32(message.encode("utf-8", "replace"))
        if digest < self._highest:
            self._hashes[digest] = text.partition(": ")[0]
            if len(self._hashes) >= 4 * SKETCH:
                self._hashes = dict(sorted(self._hashes.items())[:SKETCH])
                self._highest = max(self._hashes)

    def better(self) -> Form:
        """The form that this pass tells the file to have."""
        form = self._form
        shape = _choice(self._others + Counter({form.shape: self._count}), self._first)
        if shape is not None and shape != form.shape:
            return Form(shape)
        padding = [
            known if known is not None or not (single and noughts) else noughts >= single
            for known, single, noughts in zip(
                (*form.padding.date, form.padding.hour), self._single, self._noughts, strict=True
            )
        ]
        return Form(form.shape, Padding((padding[0], padding[1], padding[2]), padding[3]), self._is_after_crlf())

    def _is_after_crlf(self) -> bool:
        if not (self._after_crlf and self._after_lf):
            return False
        is_framed = self._begins_crlf and self._ends_crlf and self._after_crlf > 1
        # A message may end in a lone carriage return itself: a few of these make no file of CRLF.
        is_most = self._after_crlf >= self._after_lf and self._begins_crlf
        return is_framed or is_most or self._after_crlf > 2 * self._after_lf

    def layout(self) -> Layout:
        """What this pass has found."""
        order = self._dates.order(self._usual())
        return Layout(
            self._encoding,
            self._form,
            self._count,
            order,
            self._names.roster(),
            self._goes_back or self._dates.goes_back(order.order),
            self._has_marks,
            frozenset(text for text, count in self._placeholders.items() if count >= _REPEATED and " " in text),
            frozenset(text for text, count in self._notes.items() if count > 1),
            frozenset(self._attached),
            self._founded(),
            dict(sorted(self._hashes.items())[:SKETCH]),
        )

    def _usual(self) -> Usual:
        """The month comes first in American English only: with slashes, without noughts, mostly with AM."""
        shape = self._form.shape
        if any(self._noughts[:2]) or shape.parts[1] != "/" or shape.zero != "0":
            return "day first"
        return "month first" if shape.style == "xM" else ""

    def _founded(self) -> str | None:
        """The name that WhatsApp says a group was given, in quotation marks, at the beginning of a file."""
        roster = self._names.roster()
        for text in self._begin:
            said = roster.split(text)
            words = text if said is None else said[1] if self._form.shape.is_ios and said[1].startswith(OWN) else ""
            if words and (name := quoted(words)):
                return name
        return None


def clock(hour: str, minute: str, second: str, half: str) -> int:
    """Seconds since midnight."""
    hours = int(hour)
    if half and (found := half_of(half)):
        hours = hours % 12 + 12 * found[0]
    return hours * 3600 + int(minute) * 60 + int(second or 0)
