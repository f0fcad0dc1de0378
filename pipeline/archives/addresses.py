"""Phone numbers and email addresses in the form in which two of one person are equal."""

import re

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
