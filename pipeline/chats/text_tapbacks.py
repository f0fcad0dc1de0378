"""Tapbacks that arrive as plain text: `Liked “See you at nine”`.

To people without iMessage a tapback is sent as an SMS or RCS message in words. Kept, they teach the model to answer by
quoting. Only the English wording is known here.
"""

import re
from collections.abc import Container

_TAPBACK = re.compile(
    r"(?:Liked|Loved|Disliked|Laughed at|Emphasi[sz]ed|Questioned|Reacted \S+ to|Removed an? [\w ]+ from) "
    r"(?:[“\"](?P<quoted>.*)[”\"]|an? (?:image|photo|picture|video|movie|attachment|audio message|sticker))",
    re.DOTALL,
)


def is_text_tapback(text: str, earlier: Container[str]) -> bool:
    """Whether `text` is a tapback on an attachment or on a message that is among `earlier` in the conversation."""
    match = _TAPBACK.fullmatch(text)
    return match is not None and (match["quoted"] is None or match["quoted"] in earlier)
