"""What can be replaced in the texts to be learnt; apart from redact.py, for the config is read at every start."""

from typing import Literal, get_args

Kind = Literal["phones", "emails", "cards", "ibans", "codes", "secrets", "wallets", "ips"]

KINDS: tuple[Kind, ...] = get_args(Kind)

USUAL: tuple[Kind, ...] = ("phones", "emails", "cards", "codes")
"""What is replaced in a person's own chats unless the config says otherwise."""
