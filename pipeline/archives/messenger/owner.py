"""Who the owner of a download is, where it says so: its profile lies beside the messages."""

import json

from pipeline.archives.members import Member, Members
from pipeline.archives.messenger.rows import name_of
from pipeline.archives.messenger.text import repaired

_PROFILES = ("profile_information.json", "personal_information.json")
_LARGEST = 5_000_000


def owner_of(members: Members) -> frozenset[str]:
    """What the owner may be called in threads; empty if the download has no profile.

    Instagram's profile has its labels in the language of the account: of an unknown language all values are taken,
    which are compared with senders' names alone.
    """
    names: set[str] = set()
    for member in members.named(*_PROFILES):
        if member.size <= _LARGEST:
            names |= _names(member)
    return frozenset(names)


def _names(member: Member) -> set[str]:
    try:
        profile = json.loads(member.read().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return set()  # what is damaged here costs nobody their messages
    found: set[str] = set()
    if isinstance(profile, dict):
        for key in ("profile_v2", "profile"):
            name = _within(profile, key, "name")
            full = name.get("full_name") if isinstance(name, dict) else name
            found.add(full if isinstance(full, str) else "")
        users = profile.get("profile_user")
        for user in users if isinstance(users, list) else ():
            found |= _of_instagram(_within(user, "string_map_data"))
    return {name_of(name) for name in found if name.strip()}


def _of_instagram(data: object) -> set[str]:
    if not isinstance(data, dict):
        return set()
    values = {
        repaired(str(key)): each["value"]
        for key, each in data.items()
        if isinstance(each, dict) and isinstance(each.get("value"), str)
    }
    known = {values[key] for key in ("Name", "Username") if key in values}
    return known or set(values.values())


def _within(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
