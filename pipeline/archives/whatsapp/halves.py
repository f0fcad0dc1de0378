"""Morning and afternoon in the languages in which phones count the hours to twelve."""

import functools
import re
from typing import NamedTuple

_MORNINGS = (
    "am \u0635 \u0642\u0638 \u0635\u0628\u0627\u062d\u0627 \u05dc\u05e4\u05e0\u05d4\u05e6 पूर्वाह्न मपू পূর্বাহ্ণ পূর্বাহ্ন "
    "முற்பகல் ಪೂರ್ವಾಹ್ನ ਪੂਦੁ ก่อนเที่ยง sa 오전 午前 上午 凌晨 清晨 早上 "
    "πμ öö de пробяд пробед проб претпл претпладне pd paradites преподне dop to vm fm ap priešpiet priekšp "
    "priekšpusdienā rn fh pg ព្រឹក ກ່ອນທ່ຽງ နံနက် ጥዋት дп үө පෙව asubuhi"
)
_AFTERNOONS = (
    "pm \u0645 \u0628\u0638 \u0645\u0633\u0627\u0621 \u05d0\u05d7\u05d4\u05e6 अपराह्न मउ অপরাহ্ণ অপরাহ্ন "
    "பிற்பகல் ಅಪರಾಹ್ನ ਬਾਦੁ หลังเที่ยง ch 오후 午後 下午 中午 傍晚 晚上 "
    "μμ ös du следобед слоб попл попладне md masdites поподне pop tk nm em ip popiet pēcp pēcpusdienā eh "
    "ptg ល្ងាច ຫຼັງທ່ຽງ ညနေ ከሰዓት пп үх පව jioni"
)
_IGNORED = re.compile("[.\\s\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\"'’״,،]+")
_IS_PM = {
    _IGNORED.sub("", word).casefold(): is_pm
    for is_pm, words in ((False, _MORNINGS), (True, _AFTERNOONS))
    for word in words.split()
}
_WORD = re.compile(r"[^\s,،]+")
_MOST_WORDS = 3


class Half(NamedTuple):
    """A word for morning or afternoon in a text.

    Attributes:
        begin, end: where it stands.
        style: how it is spelt: "XM" and "x. m." are two ways; languages that do not spell it with a and p have one.
    """

    begin: int
    end: int
    is_pm: bool
    style: str


@functools.lru_cache(maxsize=4096)
def half_of(text: str) -> tuple[bool, str] | None:
    """Whether a word for half of a day is afternoon, and its style; None where it is no such word."""
    word = _IGNORED.sub("", text).casefold()
    is_pm = _IS_PM.get(word)
    if is_pm is None:
        return None
    return is_pm, re.sub("[aApP]", "x", text) if word in ("am", "pm") else ""


def half_in(text: str) -> Half | None:
    """The longest such word in what stands beside a time."""
    words = [each for each in _WORD.finditer(text) if any(map(str.isalpha, each[0]))]
    for count in range(min(_MOST_WORDS, len(words)), 0, -1):
        for first in range(len(words) - count + 1):
            begin, end = words[first].start(), words[first + count - 1].end()
            if (found := half_of(text[begin:end])) is not None:
                return Half(begin, end, *found)
    return None
