"""Phone numbers and email addresses in the form in which two of one person are equal."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.sessions.session import Person

ENOUGH = 500
"""Telephone numbers by which the country of an archive is told."""

_PREFIX = re.compile(r"^(?:e:|p:|tel:|mailto:)+", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d\s().\u00a0/-]+")
_PHONE_DIGITS = 10  # as many last digits tell two numbers apart, with or without a country's code
_LOCAL_DIGITS = 7  # a shorter number is a service's


def normal_address(address: str) -> str:
    """Bring a phone number or an email address to the form in which two of one person are equal.

    Of a number the last ten digits count: "+1 (555) 010-0100" and "5550100100" are one. What is neither stays as it is.
    """
    address = _PREFIX.sub("", address.strip()).lower()
    if not _PHONE.fullmatch(address):
        return address
    digits = "".join(character for character in address if character.isdecimal())
    return digits[-_PHONE_DIGITS:] if len(digits) >= _LOCAL_DIGITS else address


def is_address(text: str) -> bool:
    """Whether a text is a phone number, an email address or a business's address, rather than a name."""
    normal = normal_address(text)
    return "@" in normal or normal.startswith("urn:") or (normal.isdecimal() and len(normal) >= _LOCAL_DIGITS)


def is_service(address: str) -> bool:
    """Whether a normal address is a business's or a short code, such as a bank's or a carrier's."""
    return address.startswith("urn:biz:") or (address.isdecimal() and len(address) < _LOCAL_DIGITS)


def numbers_of(people: "Mapping[str, Person]") -> Iterator[str]:
    """The telephone numbers with a country's code that people are known by."""
    for sender, person in people.items():
        for address in (sender, *person.addresses):
            written = _PREFIX.sub("", address.strip())
            if written.startswith("+") and _PHONE.fullmatch(written):
                yield written


def region_of(numbers: Collection[str]) -> str | None:
    """The country that most of these telephone numbers are of, such as "DE"; None where none is of any."""
    if not numbers:
        return None
    import phonenumbers

    regions: Counter[str] = Counter()
    for number in sorted(numbers):
        try:
            region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        except phonenumbers.NumberParseException:
            continue
        if region and region.isalpha():  # "001" is no country
            regions[region] += 1
    return max(regions, key=lambda region: (regions[region], region), default=None)
