"""Tapbacks and edits that arrive as plain text: `Liked “See you at nine”`, `Edited to “See you at ten”`.

To people without iMessage a tapback is sent as an SMS or RCS message in words; Messages before macOS 13 is told of an
edit in words too. Kept, they teach the model to answer by quoting. Known are Apple's English wording and the form of
Google Messages, which marks its own with characters of no width (octoshrimpy/quik-sms#846).
"""

import re
from collections.abc import Callable, Iterable

EDIT_WORDS = ("Edited to ",)
"""How such texts begin."""

TAPBACK_WORDS = (
    *("Liked ", "Loved ", "Disliked ", "Laughed at ", "Emphasi", "Questioned ", "Reacted ", "Removed a"),
    *"\u200a\u200b\u200c\u200d",
)
"""Likewise."""

_TAPBACK = re.compile(
    r"(?:Liked|Loved|Disliked|Laughed at|Emphasi[sz]ed|Questioned|Reacted \S+ to|Removed an? [\w ]+ from) "
    r"(?:[“\"](?P<quoted>.*)[”\"]|an? (?:image|photo|picture|video|movie|attachment|audio message|sticker))",
    re.DOTALL,
)
_GOOGLE_TAPBACK = re.compile(
    r"[\u200a-\u200d]+[^\u200a-\u200d]+[\u200a-\u200d]+ to [“\"](?P<quoted>.*)[”\"]\s*", re.DOTALL
)
_WIDTHLESS = "\u200a\u200b\u200c\u200d "
_EDIT = re.compile(r"Edited to [“\"].*[”\"]", re.DOTALL)


def is_text_tapback(text: str, earlier: Callable[[], Iterable[str]]) -> bool:
    """Whether `text` is a tapback on an attachment or on a message that is among `earlier()` in the conversation."""
    if match := _TAPBACK.fullmatch(text):
        return match["quoted"] is None or match["quoted"] in earlier()
    match = _GOOGLE_TAPBACK.fullmatch(text)
    return match is not None and match["quoted"].strip(_WIDTHLESS) in earlier()


def is_text_edit(text: str) -> bool:
    """Whether `text` says that an earlier message was edited."""
    return _EDIT.fullmatch(text) is not None
