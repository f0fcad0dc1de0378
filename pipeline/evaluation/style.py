"""Sixteen features of how somebody writes, each of which a reply has or has not."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

_EMOJI = re.compile("[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]")
_EMOTICON = re.compile(r"(?<!\w)(?:[:;=8xX]['-]?[)(DPpOo3/|\\\]\[*]|<3|\^\^|\^_\^|[:;]\^?\))(?!\w)")
_LAUGHTER = re.compile(
    r"(?i)(?<![^\W_])(?:l+o+l+|lmao+|rofl|x+d+|(?:a*h+[aeio]+){2,8}h?|jaj(?:a|aja){1,6}|(?:kk){1,20}|www+|хаха\w{0,20}|ㅋㅋ+)"
    r"(?![^\W_])|😂|🤣|😹"
)
_LINK = re.compile(r"(?i)\bhttps?://|\bwww\.")
_LITTLE_I = re.compile(r"(?<![\w'.])i(?![\w.])")
_MARKUP = re.compile(r"\*\*|__|`|^#{1,6} |</?[a-z]{1,10}>", re.MULTILINE)
_LIST = re.compile(r"^ {0,4}(?:[-*•]|\d{1,2}[.)]) ", re.MULTILINE)
_ENDS = re.compile(r"[.!?…)\]}\"'’”*]$")
_LONG = 30  # words

FEATURES: Mapping[str, Callable[[str], bool]] = {
    "begin with a capital": lambda text: text[:1].isupper(),
    "write i small": lambda text: _LITTLE_I.search(text) is not None,
    "end with a full stop": lambda text: text.endswith(".") and not text.endswith(".."),
    "end with a question mark": lambda text: text.endswith("?"),
    "end with no mark at all": lambda text: not (_ENDS.search(text) or _EMOJI.search(text[-2:])),
    "write an exclamation mark": lambda text: "!" in text,
    "write dots ...": lambda text: "..." in text or "…" in text,
    "write an emoticon such as :)": lambda text: _EMOTICON.search(text) is not None,
    "write emoji": lambda text: _EMOJI.search(text) is not None,
    "laugh": lambda text: _LAUGHTER.search(text) is not None,
    "send a link": lambda text: _LINK.search(text) is not None,
    "write several lines": lambda text: "\n" in text,
    "say one word": lambda text: len(text.split()) == 1,
    "write more than 30 words": lambda text: len(text.split()) > _LONG,
    "use bold, code or other markup": lambda text: _MARKUP.search(text) is not None,
    "make a list": lambda text: _LIST.search(text) is not None,
}
"""By what reads on from "you"; the sixteen of the measurements in docs/evaluation.md."""


def rates(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """A row a text, a column a feature: 1 where the text has it."""
    stripped = [text.strip() for text in texts]
    rows = [[float(has(text)) for has in FEATURES.values()] for text in stripped]
    return np.array(rows, float).reshape(len(texts), len(FEATURES))
