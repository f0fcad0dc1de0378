"""Replaces what identifies people or opens doors in the texts to be learnt: a help, not a guarantee.

What is replaced has a form that can be checked: a telephone number by the plan of its country, a card by its last
digit, an IBAN and a wallet by their checksums. What has none, such as a street or a nickname, stays.
"""

import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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

_HOST = re.compile(r"@[\w-]+(?:\.[\w-]+)+\b")  # what stands before the @ is looked for from there
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
    r"(?i)(?<![^\W\d_])(?:code|codes|kod|kode|kód|código|codigo|codice|otp|pin|tan|mtan|2fa|passcode|verification|verify|"
    r"verifizierung\w{0,12}|bestätigungs\w{1,12}|sicherheits\w{1,12}|einmal\w{1,12}|vérification|verificación|verifica|код|пин|koodi|koda|"
    r"kodunuz|doğrulama|验证码|驗證碼|認証コード|確認コード|인증번호|रمز|رمز|קוד)"
)
_DIGITS = re.compile(r"(?<![\w.,:/#€$£+-])(?:[A-Z]-)?(?:\d{4,8}|\d{3}[ -]\d{3})(?![\w%€$£]|[.,:/-]\d)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NEAR, _NEAR_YEAR = 40, 12  # characters between the word and the digits
_PHONE = re.compile(r"(?<![\w.,:/#=])(?:\+|00)?\(?\d(?:[ \u00a0\u202f()./-]{0,2}\d){5,16}(?!\w|[.,:]\d)")
_DATE = re.compile(
    r"(?:(?:19|20)\d\d([-./ ])\d{1,2}\1\d{1,2}|\d{1,2}([-./ ])\d{1,2}\2(?:19|20)?\d\d)(?: {1,2}\d{1,2})?"
)
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{3}){1,4}|\d{1,8}\.\d{1,12}|\d{1,3}(?: 000){1,4}")  # 1.234.567, or 52.520008
_NAME = re.compile(r"[^\W\d_]{2,40}")
_GROUP = re.compile(r"\d+")
_UNDECIDED = re.compile(r"\d(?:[ ./-]?\d){5,}")
_LOOK = re.compile(r"[@\d]|\w{26}|://|(?i:pass|kenn|mot de|contra|senha|парол|wacht|lösen|has|şif)|\beyJ|-----BEGIN")

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
            "phones": lambda text: self._each(_PHONE, "phones", text, self._phones.end),
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
    ) -> str:
        """Replace what the pattern finds; of it, from where to where `check` says, or not at all for None."""
        pieces, done = [], 0
        for found in pattern.finditer(text):
            span = (0, len(found[0])) if check is None else check(found)
            if span is None:
                continue
            begin, end = (found.start() + at for at in span)
            pieces += [text[done:begin], _WORDS[kind]]
            done = end
            self.counts[kind] += 1
        return "".join([*pieces, text[done:]]) if done else text

    def _emails(self, text: str) -> str:
        """Replace each host with the name before its @; a pattern that begins with the name takes quadratic time."""
        pieces, done = [], 0
        for found in _HOST.finditer(text):
            begin = found.start()
            while begin > done and (text[begin - 1].isalnum() or text[begin - 1] in "_.+-"):
                begin -= 1
            name = text[begin : found.start()]
            if begin > done or not done:  # else it begins where an address ends
                name = name.lstrip(".+-")
            if name:
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
        places = [(found.start(), found.end()) for found in _CODE_WORD.finditer(text)]
        if not places:
            return text
        return self._each(_DIGITS, "codes", text, lambda found: _near(found, places))


class _Phones:
    """Tells telephone numbers from other numbers, by the plans of all countries (Google's libphonenumber)."""

    def __init__(self, region: str | None) -> None:
        self._region = region

    def end(self, found: re.Match[str]) -> tuple[int, int] | None:
        """From where to where a telephone number stands in what looks like one."""
        text = found[0]
        if _is_harmless(text):
            return None
        import phonenumbers

        for match in phonenumbers.PhoneNumberMatcher(text, self._region, phonenumbers.Leniency.VALID, max_tries=3):
            return match.start, match.end
        digits = sum(character.isdigit() for character in text)
        groups = len(_GROUP.findall(text))
        # Numbers that no plan has, such as those of films, and local ones where the country is not known.
        is_written_so = text[0] in "+(" or text.startswith("0") or (groups >= 3 and digits >= 7)
        if 7 <= digits <= 15 and is_written_so and not _is_isbn(text):
            return 0, len(text)
        return None


def _is_harmless(text: str) -> bool:
    """Whether a number is a date, years, an amount, or the place on a map."""
    return any(pattern.fullmatch(text.strip()) for pattern in (_DATE, _YEARS, _NUMBER))


def _is_isbn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    weights = (1, 3) * 7
    return len(digits) == 13 and text.startswith(("978", "979")) and sum(map(_times, digits, weights)) % 10 == 0


def _times(one: int, other: int) -> int:
    return one * other


def _near(found: re.Match[str], places: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """All of it if a place is near, before it or after it; what may be a year needs to be nearer."""
    most = _NEAR_YEAR if _YEAR.fullmatch(found[0]) else _NEAR
    is_near = any(0 <= max(begin - found.end(), found.start() - end) <= most for begin, end in places)
    return (0, len(found[0])) if is_near else None


def _value(found: re.Match[str]) -> tuple[int, int]:
    """Of "password: hunter2" the last word."""
    text = found[0]
    last = max(text.rfind(mark) for mark in " \t\n:=") + 1
    return last, len(text)


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
