"""How a file begins, as text: what archives are recognised by."""

import codecs

from pipeline.archives.members import Member


def text_at_head(member: Member) -> str:
    """The beginning of a file, as far as it is text; UTF-8, or UTF-16 as some editors on Windows save it."""
    data = member.head()
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
