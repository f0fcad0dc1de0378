"""Words for people: numbers with what they count, times and sizes, and foreign text as a terminal may have it.

Names, titles, messages, answers, paths and what servers say come from others. ESC and its kin change titles, clear the
screen and write the clipboard; a carriage return overwrites the line; marks of direction turn the rest of it round.
Such a character is shown as JSON escapes it, `\\u001b`: which one it was can be read, in every alphabet and font, and a
line of JSON still means the same.
"""

import re

_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f"  # of England, Scotland, Wales: UTS #51, tag sequences
_UNSEEN = (
    "\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 but the tab, DEL and C1
    "\u2028\u2029\ud800-\udfff\ufffe\uffff"  # ends of lines, halves of characters, and none at all
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction: UAX #9
    # Of no width, or blank as a letter: Unicode's Default_Ignorable_Code_Point and its Hangul fillers.
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags, and of no width
)
# Joiners and selectors shape words and emoji, one at a time; a row of them is text that nobody sees.
_SHAPING = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_FOREIGN = re.compile(f"({_FLAG})|[{_UNSEEN}]|(?<=[{_SHAPING}])(?<!\ufe0f(?=\u200d))[{_SHAPING}]")
_SHORT = {"\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    """`text` on one line, printable; the same if it was so already."""
    return text if text.isascii() and text.isprintable() else _FOREIGN.sub(_spelt, text)


def _spelt(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    character = found[0]
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    return _SHORT.get(character, escaped)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Such as "1 session" or "1,234 sessions"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def took(seconds: float) -> str:
    """How long something took, such as "2 min 10 s"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def about(seconds: float) -> str:
    """A time that somebody chose, such as "2 min"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds:.3g} s"


def in_bytes(size: float) -> str:
    """Such as "27 kB"."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size = round(size / 1000)
    return f"{size:,.0f} GB"
