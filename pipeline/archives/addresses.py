"""Phone numbers and email addresses in the form in which two of one person are equal."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.sessions.session import Person

ENOUGH = 500
"""Telephone numbers by which the country of an archive is told."""

_PREFIX = re.compile(r"^(?:e:|p:|tel:|mailto:)+", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d\s().\u00a0/-]+")
_PHONE_DIGITS = 10  # as many last digits tell two numbers apart, with or without a country's code
_MOST_DIGITS = 20  # no plan has numbers of more than 15
_LOCAL_DIGITS = 7  # a shorter number is a service's
_TRUNK = re.compile(r"\(\s*0\s*\)")  # as in +49 (0) 160 1234567


def normal_address(address: str) -> str:
    """Bring a phone number or an email address to the form in which two of one person are equal.

    Of a number the last ten digits count: "+1 (555) 010-0100" and "5550100100" are one. What is neither stays as it is.
    """
    address = _PREFIX.sub("", address.strip()).lower()
    if not _PHONE.fullmatch(address):
        return address
    digits = "".join(character for character in address if character.isdecimal())
    return digits[-_PHONE_DIGITS:] if len(digits) >= _LOCAL_DIGITS else address


@lru_cache(4096)
def exact_address(address: str) -> str:
    """Bring an address to a form that loses nothing of it.

    A phone number becomes its digits, after a "+" where it has its country's code, else without leading zeros.
    """
    address = _PREFIX.sub("", address.strip()).lower()
    digits = "".join(character for character in address if character.isdecimal())
    if not _PHONE.fullmatch(address) or len(digits) < _LOCAL_DIGITS:
        return address
    if address.startswith("+") or digits.startswith("00"):
        return "+" + "".join(filter(str.isdecimal, _TRUNK.sub("", address))).removeprefix("00")
    local = digits.lstrip("0")
    return local if len(local) >= _LOCAL_DIGITS else digits


def is_same_address(address: str, other: str) -> bool:
    """Whether two addresses are one person's: with two countries' codes they must be wholly equal."""
    one, two = exact_address(address), exact_address(other)
    if one == two:
        return True
    if one.startswith("+") == two.startswith("+"):
        return not one.startswith("+") and normal_address(one) == normal_address(two)
    full, local = (one, two) if one.startswith("+") else (two, one)
    return local.isdecimal() and len(local) >= _LOCAL_DIGITS and full.endswith(local)


class Numbers:
    """Tells the phone numbers of one archive apart, in whatever spelling, as they are met.

    A number without its country's code is the one with a code that ends so, if there is exactly one by then.
    """

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        # Up to two keys each, for two are several: of those with their country's code by how they end, of the others by
        # their last ten digits.
        self._ending: defaultdict[str, set[str]] = defaultdict(set)
        self._normal: defaultdict[str, set[str]] = defaultdict(set)
        self._taken: set[str] = set()
        self._full: set[str] = set()  # the keys of numbers with their country's code

    def of(self, address: str) -> str:
        """What is the same for all spellings of an address: the first one's normal form, if nobody else has that."""
        exact = exact_address(address)
        if not exact.removeprefix("+").isdecimal():
            return exact
        if exact not in self._keys:
            key = self._keys[exact] = self._key(address, exact)
            if exact.startswith("+"):
                self._full.add(key)
                places = [self._ending[end] for end in _ends(exact)]
            else:
                places = [self._normal[normal_address(exact)]]
            for keys in places:
                if len(keys) < 2:
                    keys.add(key)
        return self._keys[exact]

    def _key(self, address: str, exact: str) -> str:
        if exact.startswith("+"):
            keys = {self._keys[end] for end in _ends(exact) if end in self._keys} - self._full
        else:
            keys = self._normal.get(normal_address(exact), set()) | self._ending.get(exact, set())
        if len(keys) == 1:
            return keys.pop()
        key = normal_address(address)
        if key in self._taken:
            key = exact
        while key in self._taken:
            key = f"0{key}"
        self._taken.add(key)
        return key


def _ends(full: str) -> Iterator[str]:
    """What a number with its country's code may be written as without it."""
    return (full[-length:] for length in range(_LOCAL_DIGITS, min(len(full), _MOST_DIGITS + 1)))


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
