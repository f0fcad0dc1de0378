"""What holds for every upload, and the words that clients are refused with, whatever the store is made of."""

from collections.abc import Mapping, Sequence

LASTS_S = 3600  # OpenAI API reference, uploads: "an Upload expires after an hour"


class UploadRefused(Exception):
    """A part cannot be added, or an upload completed, as asked; `param` is the field at fault, if one is."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def beyond(declared: int, room: int) -> str:
    """Say that a part is more than its upload still takes."""
    held = f"its other parts hold {declared - room} of them"
    return f"The part is too large: the upload was created for {declared} bytes, and {held}."


def has_ended() -> UploadRefused:
    """The answer to a request that another one has overtaken."""
    return UploadRefused("Another request has ended this upload meanwhile.")


def check_parts(declared: int, sizes: Mapping[str, int], part_ids: Sequence[str]) -> None:
    """Check what an upload is to be completed with.

    Args:
        declared: how many bytes it was created for.
        sizes: of every part that it has.

    Raises:
        UploadRefused: a part is unknown or named twice, or the sizes do not add up.
    """
    for number, part_id in enumerate(part_ids):
        if part_id not in sizes:
            raise UploadRefused(f"No such part of this upload: {part_id}", f"part_ids[{number}]")
    if len(set(part_ids)) < len(part_ids):
        raise UploadRefused("A part is named more than once.", "part_ids")
    if (total := sum(sizes[part_id] for part_id in part_ids)) != declared:
        message = f"The parts hold {total} bytes together, but the upload was created for {declared}."
        raise UploadRefused(message, "part_ids")


def check_hash(md5: str | None, found: str) -> None:
    """Compare the hash that a client has given, if it has, with that of all parts together; both in hexadecimal.

    Raises:
        UploadRefused: it is another one.
    """
    if md5 is not None and found != md5.lower():
        raise UploadRefused("The MD5 checksum of the parts together is another one.", "md5")
