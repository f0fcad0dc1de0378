"""Replaces what identifies people or opens doors in the texts to be learnt: a help, not a guarantee.

What is replaced has a form that can be checked: a telephone number by the plan of its country, a card by its last
digit, an IBAN and a wallet by their checksums. What has none, such as a street or a nickname, stays.
"""

import bisect
import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipeline.config.redaction import Kind

_WORDS: dict[str, str] = {
    "phones": "[phone]",
    "emails": "[email]",
    "cards": "[card]",
    "ibans": "[iban]",
    "codes": "[code]",
    "secrets": "[secret]",
    "wallets": "[wallet]",
    "ips": "[ip]",
    "words": "[removed]",
}

_HOST = re.compile(r"[@＠][\w-]+(?:\.[\w-]+)+\b")  # what stands before the @ is looked for from there
_CARD = re.compile(r"(?<![\w+])[2-6]\d{3}(?:[ -]?\d){9,15}(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b")
_BASE58 = re.compile(r"(?<!\w)[13LMDTA9][1-9A-HJ-NP-Za-km-z]{24,34}(?!\w)")
_WALLET = re.compile(
    r"(?<!\w)(?:0x[0-9a-fA-F]{40}|(?:bc1|ltc1|tb1)[02-9ac-hj-np-z]{11,71}|4[0-9AB][1-9A-Za-z]{93})(?!\w)"
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]{6,39}(?![\w:]))[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
_VERSION = re.compile(r"(?i)\b(?:v|ver|version|release|build)\.? ?$")
_SECRETS = re.compile(
    r"(?<=://)[^\s/@:]{1,100}:[^\s/@]{1,200}(?=@)"
    r"|(?<=[?&#;])(?i:(?:[a-z]{1,12}[_-])?(?:token|key|apikey|secret|password|passwd|pwd|pass|auth|sig|signature|"
    r"credential|session|sid|otp|jwt|ticket))=[^\s&#;]{1,500}"
    r"|\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]{1,20}[-_]){0,3}[A-Za-z0-9]{16,200}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,100}\b|\bgithub_pat_\w{30,100}\b|\bxox[abprs]-[\w-]{10,200}"
    r"|\bAIza[\w-]{35}|\bglpat-[\w-]{20,60}|\bhf_[A-Za-z0-9]{30,60}\b"
    r"|(?<![\w.-])eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,2000}"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----"
)
_SAID = re.compile(
    r"(?i)(?<!\w)(?:password|passwort|kennwort|passcode|pass ?phrase|mot de passe|contraseña|senha|пароль|wachtwoord|"
    r"lösenord|hasło|şifre|parola|пин)(?: ?(?:is|ist|est|es|é|è|:|=|-)){1,2} {0,3}[^\s,;]{3,80}"
)
_CODE_WORD = re.compile(
    r"(?i)(?<![^\W\d_])(?:[^\W\d_]{0,20}codes?|kod|kode|kód|código|codigo|codice|otp|pin|tan|mtan|2fa|verification|"
    r"one[- ]time password|einmalpasswort|vérification|verificación|verifica|код|пин|koodi|koda|kodunuz|doğrulama|"
    r"验证码|驗證碼|認証コード|確認コード|인증번호|رمز|קוד)(?![^\W\d_]{2})"
)
_OTHER_CODE = re.compile(r"(?i)(?:zip|post|postal|area|country|source|dress|qr|bar|error|http|to|i|we|you)[ -]?$")
_DIGITS = re.compile(
    r"(?<![\w.,/#€$£+])(?<!\d[:-])(?:[A-Z]-)?(?:\d{4,8}|\d{3}[ -]\d{3}|\d\d \d\d \d\d)(?![\w%€$£]|[.,:/-]\d)"
)
_JOINED = re.compile(r"(?i)\W*(?:(?:is|ist|lautet|es|est|è|é|to|use|your|ihr)\W*){0,3}")
_NEAR = 40  # characters between the word and five digits or more
_NEARER = 25  # and before the word, of four, which are mostly a year or an amount
_SHORTEST_CODE = 4
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_DASHES = "\u2010-\u2015"
_PHONE = re.compile(
    r"(?<!\w)(?<!\d[.,:/])(?:\+|00)?\(?\d(?:[ \u00a0\u2009\u202f()./·_\u2010-\u2015-]{0,3}\d){5,24}(?!\w)"
    r"(?![.,:]\d{2})"
)
_LINKED_PHONE = re.compile(r"(?:(?<=wa\.me/)|(?<=[?&]phone=))\+?\d{8,15}(?!\w)")
_PART = r"(?:\d{1,2}\.\d{1,2}\.?(?:(?:19|20)?\d\d)?|\d{1,3}(?:\.\d{3,9}){1,4}|(?:1[5-9]|20)\d\d|\d{1,2}\.?)"
_PARTS = re.compile(rf"{_PART}(?: ?[/{_DASHES}-] ?{_PART}| {{1,2}}{_PART}){{0,12}}")
_DATE = re.compile(
    r"(?:(?:19|20)\d\d([-./ ])\d{1,2}\1\d{1,2}|\d{1,2}([-./ ])\d{1,2}\2(?:19|20)?\d\d)(?: {1,2}\d{1,2})?"
)
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{3}){1,4}|\d{1,8}\.\d{1,12}|\d{1,3}(?: 000){1,4}")  # 1.234.567, or 52.520008
_NAME = re.compile(r"[^\W\d_]{2,40}")
_BETWEEN = re.compile(r"[ /]")
_GROUP = re.compile(r"\d+")
_UNDECIDED = re.compile(r"\d(?:[ ./-]?\d){5,}")
_LOOK = re.compile(r"[@＠\d]|\w{26}|://|(?i:pass|kenn|mot de|contra|senha|парол|wacht|lösen|has|şif)|\beyJ|-----BEGIN")

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT, IBAN registry)."""


class Rules(NamedTuple):
    """What to replace.

    Attributes:
        kinds: of KINDS.
        words: names or phrases of the user's own, in any case.
        names: what to call people whose names stand in texts, by each word of their names.
        region: the country whose numbers are written without its code, such as "DE"; None knows none.
        strict: a text with a long number in it of which nobody knows what it is must not be used.
    """

    kinds: Sequence[Kind]
    words: Sequence[str] = ()
    names: Mapping[str, str] = {}
    region: str | None = None
    strict: bool = False


class Redactor:
    """Replaces by kind; the same text always becomes the same.

    Attributes:
        counts: how often each kind was replaced, "words" and "names" too.
    """

    def __init__(self, rules: Rules) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = rules
        self._phones = _Phones(rules.region)
        steps: dict[
            Kind, Callable[[str], str]
        ] = {  # in this order: a card's number looks like a telephone's, and an address on the net like an email's host
            "secrets": lambda text: self._each(_SAID, "secrets", self._each(_SECRETS, "secrets", text), _value),
            "ips": lambda text: self._each(_IPV6, "ips", self._each(_IPV4, "ips", text, _address), _address),
            "emails": self._emails,
            "ibans": lambda text: self._each(_IBAN, "ibans", text, _iban),
            "wallets": lambda text: self._each(_BASE58, "wallets", self._each(_WALLET, "wallets", text), _base58),
            "cards": lambda text: self._each(_CARD, "cards", text, _card),
            "codes": self._codes,
            "phones": lambda text: self._each(
                _PHONE, "phones", self._each(_LINKED_PHONE, "phones", text), spans=self._phones.spans
            ),
        }
        self._steps = [steps[kind] for kind in steps if kind in rules.kinds]
        words = sorted({word for word in rules.words if word.strip()}, key=lambda word: (-len(word), word))
        self._blocked = re.compile(rf"(?i)(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)") if words else None

    def __call__(self, text: str) -> str | None:
        """The text without what is to be replaced; None, in strict mode, where a number is left that may be any."""
        if self._blocked is not None:
            text = self._each(self._blocked, "words", text)
        if self._rules.names:
            text = self._named(text)
        if _LOOK.search(text):
            for step in self._steps:
                text = step(text)
            if self._rules.strict and any(not _is_harmless(found[0]) for found in _UNDECIDED.finditer(text)):
                return None
        return text

    def name(self, name: str) -> str:
        """What to call somebody in prompts and before their words."""
        return self._named(name) if self._rules.names else name

    def _each(
        self,
        pattern: re.Pattern[str],
        kind: str,
        text: str,
        check: Callable[[re.Match[str]], tuple[int, int] | None] | None = None,
        spans: Callable[[re.Match[str]], Iterable[tuple[int, int]]] | None = None,
    ) -> str:
        """Replace what the pattern finds: all, or the part that `check` says (None for nothing), or all `spans`."""
        pieces, done = [], 0
        for found in pattern.finditer(text):
            if spans is not None:
                chosen = list(spans(found))
            else:
                span = (0, len(found[0])) if check is None else check(found)
                chosen = [] if span is None else [span]
            for begin, end in chosen:
                pieces += [text[done : found.start() + begin], _WORDS[kind]]
                done = found.start() + end
                self.counts[kind] += 1
        return "".join([*pieces, text[done:]]) if done else text

    def _emails(self, text: str) -> str:
        """Replace each host with the name before its @; a pattern that begins with the name takes quadratic time."""
        pieces, done = [], 0
        for found in _HOST.finditer(text):
            begin = found.start()
            while begin > done and (text[begin - 1].isalnum() or text[begin - 1] in "_.+-~"):
                begin -= 1
            name = text[begin : found.start()]
            if begin > done or not done:  # else it begins where an address ends
                name = name.lstrip(".+-")
            if name and not found[0].rpartition(".")[2].isdigit():  # lunch@12.30
                pieces += [text[done : found.start() - len(name)], _WORDS["emails"]]
                done = found.end()
                self.counts["emails"] += 1
        return "".join([*pieces, text[done:]])

    def _named(self, text: str) -> str:
        """Call people by their pseudonyms; the words of one name become one."""
        names, pieces, done = self._rules.names, list[str](), 0
        last, end = "", -2
        for found in _NAME.finditer(text):
            name = names.get(found[0])
            if name is None:
                continue
            if name != last or found.start() > end + 1:
                pieces += [text[done : found.start()], name]
                self.counts["names"] += 1
            last, end, done = name, found.end(), found.end()
        return "".join([*pieces, text[done:]])

    def _codes(self, text: str) -> str:
        """Replace digits that stand near a word for a one-time code, the nearest of them for each word."""
        words = [
            found
            for found in _CODE_WORD.finditer(text)
            if not _OTHER_CODE.search(text[max(0, found.start() - 12) : found.start()])
        ]
        if not words:
            return text
        begins, ends = [found.start() for found in words], [found.end() for found in words]
        return self._each(_DIGITS, "codes", text, lambda found: _near(found, begins, ends))


class _Phones:
    """Tells telephone numbers from other numbers, by the plans of all countries (Google's libphonenumber)."""

    def __init__(self, region: str | None) -> None:
        self._region = region

    def spans(self, found: re.Match[str]) -> Iterator[tuple[int, int]]:
        """Where telephone numbers stand in what looks like one or several."""
        text = found[0]
        if _is_harmless(text):
            return
        import phonenumbers

        begin = 0
        while len(text) - begin >= _FEWEST_DIGITS:
            matcher = phonenumbers.PhoneNumberMatcher(
                text[begin:], self._region, phonenumbers.Leniency.VALID, max_tries=3
            )
            match = next(iter(matcher), None)
            if match is None:
                break
            yield begin + match.start, begin + match.end
            begin += match.end
        rest = text[begin:].lstrip(" /-")
        start = len(text) - len(rest)
        for length in _lengths(rest):
            yield start + (text[start] == "(" and ")" not in text[start : start + length]), start + length
            start += length + 1


def _lengths(text: str) -> Sequence[int]:
    """How long each telephone number in a text is: one, or two with a mark between."""
    if _is_written_as_one(text):
        return [len(text)]
    for found in _BETWEEN.finditer(text):
        if _is_written_as_one(text[: found.start()]) and _is_written_as_one(text[found.end() :]):
            return [found.start(), len(text) - found.end()]
    return []


def _is_written_as_one(text: str) -> bool:
    """Whether it has the form of a number that no plan has, such as a film's, or one of an unknown country."""
    groups = _GROUP.findall(text)
    digits = sum(map(len, groups))
    if not _FEWEST_DIGITS <= digits <= _MOST_DIGITS or _is_isbn(text) or _is_harmless(text):
        return False
    widest = max(map(len, groups))
    return (text[0] in "+(0" and widest > 1) or (len(groups) >= 3 and widest > 2)


def _is_harmless(text: str) -> bool:
    """Whether it is dates, times, years, amounts, scores, or the place on a map, one or several."""
    text = text.strip()
    if _DATE.fullmatch(text) or _NUMBER.fullmatch(text):
        return True
    is_french = text[:1] == "0" and "." not in text  # 06 12 34 56 78 is no row of small numbers
    return not is_french and _PARTS.fullmatch(text) is not None


def _is_isbn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    weights = (1, 3) * 7
    return len(digits) == 13 and text.startswith(("978", "979")) and sum(map(_times, digits, weights)) % 10 == 0


def _times(one: int, other: int) -> int:
    return one * other


def _near(found: re.Match[str], begins: Sequence[int], ends: Sequence[int]) -> tuple[int, int] | None:
    """All of it if a word for a code is near, before it or after it.

    Args:
        begins, ends: of the words, in order.
    """
    text, whole = found.string, (0, len(found[0]))
    is_short = len(found[0]) == _SHORTEST_CODE
    last = bisect.bisect_right(ends, found.start()) - 1
    if last >= 0 and found.start() - ends[last] <= _NEAR:
        between = text[ends[last] : found.start()]
        if not is_short or _JOINED.fullmatch(between):
            return whole
    following = bisect.bisect_left(begins, found.end())
    if following < len(begins) and begins[following] - found.end() <= (_NEARER if is_short else _NEAR):
        return whole
    return None


def _value(found: re.Match[str]) -> tuple[int, int] | None:
    """Of "password: hunter2" the last word; after "is" only what is no plain word."""
    text = found[0]
    last = max(text.rfind(mark) for mark in " \t\n:=") + 1
    word = text[last:].rstrip(".!?")
    is_plain = word.isalpha() and (word.islower() or word.istitle())
    is_said = text[:last].rstrip()[-1:] not in (":", "=", "-")
    return None if is_plain and is_said else (last, len(text))


def _card(found: re.Match[str]) -> tuple[int, int] | None:
    """Whether the last digit is right (Luhn's check, ISO/IEC 7812-1)."""
    digits = [int(letter) for letter in reversed(found[0]) if letter.isdigit()]
    total = sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits))
    return (0, len(found[0])) if total % 10 == 0 and len(set(digits)) > 1 else None


def _iban(found: re.Match[str]) -> tuple[int, int] | None:
    """Whether the check digits are right (ISO 13616: the remainder by 97 is 1); words may follow in capitals."""
    wanted = _IBAN_LENGTHS.get(found[0][:2])
    if wanted is None:
        return None
    letters = ""
    for place, character in enumerate(found[0], start=1):
        letters += character if character.isalnum() else ""
        if len(letters) == wanted:
            number = "".join(str(int(each, 36)) for each in letters[4:] + letters[:4])
            return (0, place) if int(number) % 97 == 1 else None
    return None


_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _base58(found: re.Match[str]) -> tuple[int, int] | None:
    """Whether the checksum is right (Bitcoin's Base58Check, which Litecoin, Dogecoin and Tron use, too)."""
    number = 0
    for character in found[0]:
        number = number * 58 + _ALPHABET.index(character)
    data = number.to_bytes(25, "big") if number < 1 << 200 else b""
    if len(data) != 25:
        return None
    checked = hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4]
    return (0, len(found[0])) if checked == data[21:] else None


def _address(found: re.Match[str]) -> tuple[int, int] | None:
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return None
    before = found.string[max(0, found.start() - 12) : found.start()]
    return None if address.version == 4 and _VERSION.search(before) else (0, len(found[0]))


def names_of(people: Iterable[str]) -> dict[str, str]:
    """Pseudonyms for the words of people's names, in the order in which they are given; of addresses none.

    A word that two people share, such as a family's name, stands for the first of them.
    """
    pseudonyms: dict[str, str] = {}
    number = 0
    for person in people:
        words = [word for word in _NAME.findall(person) if word[0].isupper() or not word.isascii()]
        fresh = [word for word in words if word not in pseudonyms]
        if fresh and "@" not in person:
            number += 1
            pseudonyms.update(dict.fromkeys(fresh, f"Name-{number}"))
    return pseudonyms
