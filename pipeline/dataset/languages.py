"""Which languages texts are in: of many together, for a chat message alone has too few words to tell."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
    "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian",
    "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "mr": "Marathi", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese",
    "zh": "Chinese",
}  # fmt: skip
"""What is told apart. Of languages that are hardly written in chats, short texts have too many chance likenesses."""

SAMPLE = 200_000
"""Characters that are enough to tell, and are told in a tenth of a second."""

_PIECE = 200  # letters
_ENOUGH = 60  # letters; of scripts with a sign for a word or a syllable a third will do
_DENSE = re.compile("[\u0900-\u0dff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_SURE = 0.8
_SURE_OF_ONE = 0.95
_LEAST_SHARE, _TELLING_SHARE = 0.05, 0.1
_NOT_WORDS = re.compile(r"https?://\S*|www\.\S*|(?<!\S)[^\s@]*@\S*|\[[a-z ]{1,20}\]|\d+")


def languages_of(texts: Iterable[str]) -> dict[str, float]:
    """The share of each language in what is written, the most used first, by letters; codes are those of ISO 639-1.

    Empty where too little is written to tell, or in no language that is known. A share below a twentieth is left out.
    """
    lines, weights = _lines(texts)
    if sum(weights) < _ENOUGH:
        return {}
    of_pieces = _of_pieces(lines, weights)
    # Languages mixed line by line make mixed pieces. Some lines are sure by themselves; where there are no languages to
    # choose from but those, most lines are.
    sure = _sure_lines(lines, weights, None)
    by_themselves = [code for code, weight in sure.items() if weight >= _TELLING_SHARE * sure.total()]
    there = {*of_pieces, *by_themselves, "en"}
    if len(there) == 1:
        return of_pieces
    return _shares(_sure_lines(lines, weights, tuple(sorted(there))), sum(weights)) or of_pieces


def in_words(shares: dict[str, float]) -> str:
    """Such as "English" or "mostly German, a quarter English"; "" where nobody knows."""
    named = [(name_of(code), share) for code, share in shares.items()]
    if not named:
        return ""
    (first, most), *others = named
    if not others:
        return first
    second, share = others[0]
    if most < 1.5 * share and len(others) == 1:
        return f"half {first}, half {second}"
    rest = ", ".join(f"{_part(share)} {name}" for name, share in others[:2])
    return f"{'mostly' if most > 0.5 else _part(most)} {first}, {rest}"


def name_of(code: str) -> str:
    """A language's name, such as "German"."""
    return NAMES.get(code, code)


def _part(share: float) -> str:
    for least, words in ((0.42, "nearly half"), (0.29, "a third"), (0.2, "a quarter"), (0.12, "a sixth")):
        if share >= least:
            return words
    return "a little"


def _lines(texts: Iterable[str]) -> tuple[list[str], list[int]]:
    """What is said in words, and how much: letters, those of dense scripts three times."""
    lines, weights, left = [], [], SAMPLE
    for text in texts:
        words = " ".join(_NOT_WORDS.sub(" ", text).split())
        letters = sum(map(str.isalpha, words))
        if not letters:
            continue
        lines.append(words)
        weights.append(letters + 2 * len(_DENSE.findall(words)))
        left -= len(words)
        if left < 0:
            break
    return lines, weights


def _of_pieces(lines: Sequence[str], weights: Sequence[int]) -> dict[str, float]:
    identifier, found = _identifier(None), Counter[str]()
    piece: list[str] = []
    weight = 0
    for number, (line, letters) in enumerate(zip(lines, weights, strict=True), start=1):
        piece.append(line)
        weight += letters
        if weight >= _PIECE or number == len(lines):
            code, sure = identifier.classify("\n".join(piece))
            if sure >= _SURE:
                found[code] += weight
            piece, weight = [], 0
    return _shares(found, sum(weights))


def _sure_lines(lines: Sequence[str], weights: Sequence[int], there: tuple[str, ...] | None) -> Counter[str]:
    identifier, found = _identifier(there), Counter[str]()
    for line, letters in zip(lines, weights, strict=True):
        code, sure = identifier.classify(line)
        if sure >= _SURE_OF_ONE:
            found[code] += letters
    return found


def _shares(found: Counter[str], of: int) -> dict[str, float]:
    known = found.total()
    if known < of / 3:
        return {}
    return {code: weight / known for code, weight in found.most_common() if weight / known >= _LEAST_SHARE}


def _identifier(codes: tuple[str, ...] | None) -> "LanguageIdentifier":
    """What tells these languages apart, all where none are named."""
    identifier = _loaded()
    identifier.set_languages(list(codes or NAMES))
    return identifier


@functools.cache
def _loaded() -> "LanguageIdentifier":
    """Takes half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
