"""A chat message as the base models read it."""

from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn as the chat template sees it."""

    role: Role
    content: str
