"""Texts with what is to be replaced in them, and texts that only look so, made by rules: the truth is known."""

import hashlib
import ipaddress
import random
from typing import NamedTuple

import phonenumbers

from pipeline.config.redaction import Kind
from pipeline.dataset.redact import _ALPHABET, _IBAN_LENGTHS

REGIONS = ("DE", "US", "GB", "FR", "IN", "BR", "TR", "IT", "ES", "NL", "PL", "AU", "MX", "JP", "ZA", "SE", "AT", "CH")


class Labelled(NamedTuple):
    """A text, and what in it is to be replaced."""

    text: str
    secret: str
    kind: Kind | None
    region: str | None = None


def phone(dice: random.Random) -> Labelled:
    region = dice.choice(REGIONS)
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    example = phonenumbers.example_number_for_type(region, dice.choice(kinds))
    assert example is not None
    national = str(example.national_number)
    for _ in range(50):  # other last digits, as long as the plan has them
        other = phonenumbers.PhoneNumber(
            example.country_code,
            int(national[:-4] + f"{dice.randrange(10000):04}"),
            italian_leading_zero=example.italian_leading_zero,
        )
        if phonenumbers.is_valid_number(other):
            example = other
            break
    form = dice.choice(
        (
            phonenumbers.PhoneNumberFormat.E164,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.NATIONAL,
        )
    )
    written = phonenumbers.format_number(example, form)
    if dice.random() < 0.2 and form == phonenumbers.PhoneNumberFormat.INTERNATIONAL:
        written = written.replace("+", "00", 1)
    frames = (
        "call me on {}",
        "{} is my number",
        "meine nummer: {}.",
        "{}",
        "tel {}, after six",
        "ist das ({}) richtig?",
    )
    return Labelled(dice.choice(frames).format(written), written, "phones", region)


def email(dice: random.Random) -> Labelled:
    name = dice.choice(("ann", "j.doe", "o'brien", "max+news", "x_y", "müller", "info", "a-b"))
    host = dice.choice(("example.org", "mail.example.co.uk", "uni-köln.de", "x.io", "sub.host-name.museum"))
    name = name.replace("'", "")
    written = f"{name}@{host}"
    return Labelled(
        dice.choice(("mail {}", "{}?", "an {} bitte", "<{}>", "mailto:{}")).format(written), written, "emails"
    )


def card(dice: random.Random) -> Labelled:
    front, length = dice.choice((("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6011", 16), ("2221", 16)))
    digits = front + "".join(dice.choice("0123456789") for _ in range(length - len(front) - 1))
    total = sum(int(d) if n % 2 else sum(divmod(2 * int(d), 10)) for n, d in enumerate(reversed(digits)))
    digits += str(-total % 10)
    separator = dice.choice(("", " ", "-"))
    written = separator.join(digits[at : at + 4] for at in range(0, length, 4))
    return Labelled(dice.choice(("card {}", "{} exp 12/27", "meine karte: {}")).format(written), written, "cards")


def iban(dice: random.Random) -> Labelled:
    country = dice.choice(("DE", "FR", "GB", "NL", "ES", "CH", "AT", "IT", "PL", "NO"))
    rest = "".join(dice.choice("0123456789") for _ in range(_IBAN_LENGTHS[country] - 4))
    number = int("".join(str(int(each, 36)) for each in f"{rest}{country}00"))
    whole = f"{country}{98 - number % 97:02}{rest}"
    written = whole if dice.random() < 0.5 else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    return Labelled(dice.choice(("IBAN {}", "to {} please", "{}", "auf {} DANKE")).format(written), written, "ibans")


def code(dice: random.Random) -> Labelled:
    digits = "".join(dice.choice("0123456789") for _ in range(dice.choice((4, 5, 6, 6, 6, 8))))
    digits = f"5{digits[1:]}"  # no year
    written = f"{digits[:3]} {digits[3:]}" if len(digits) == 6 and dice.random() < 0.2 else digits
    frames = (
        "Your code is {}",
        "{} is your WhatsApp code",
        "Ihr Bestätigungscode lautet {}",
        "G-{} is your Google code",
        "Votre code de vérification : {}",
        "Tu código es {}",
        "Il tuo codice è {}",
        "Ваш код: {}",
        "your OTP {} expires",
        "TAN: {}",
        "Twój kod to {}",
        "验证码 {}，请勿泄露",
        "doğrulama kodunuz {}",
        "use {} as your verification code",
        "PIN ist {}",
    )
    frame = dice.choice(frames)
    return Labelled(frame.format(written), written, "codes")


def secret(dice: random.Random) -> Labelled:
    word = "".join(dice.choice("abcdefghijklmnopqrstuvwxyzABCDEF0123456789") for _ in range(32))
    kinds = (
        (f"https://example.org/reset?token={word}&x=1", word),
        (f"https://u:{word}@example.org/", word),
        (f"https://example.org/j/123?pwd={word}", word),
        (f"key sk-proj-{word}", word),
        (f"ghp_{word}abcd", word),
        (f"password: {word[:10]}", word[:10]),
        (f"das passwort ist {word[:10]}", word[:10]),
        (f"eyJhbGciOiJIUzI1NiJ9.{word}.{word[::-1]}x", word),
        (f"https://x.org/#access_token={word}", word),
    )
    text, hidden = dice.choice(kinds)
    return Labelled(text, hidden, "secrets")


def wallet(dice: random.Random) -> Labelled:
    raw = bytes([dice.choice((0, 5, 48, 30, 65))]) + dice.randbytes(20)
    raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
    number, written = int.from_bytes(raw), ""
    while number:
        number, rest = divmod(number, 58)
        written = _ALPHABET[rest] + written
    written = "1" * (len(raw) - len(raw.lstrip(b"\0"))) + written
    bech = "bc1q" + "".join(dice.choice("023456789acdefghjklmnpqrstuvwxyz") for _ in range(38))
    written = dice.choice((written, bech, f"0x{dice.randbytes(20).hex()}"))
    return Labelled(dice.choice(("send to {}", "{}", "btc: {}!")).format(written), written, "wallets")


def ip(dice: random.Random) -> Labelled:
    four = str(ipaddress.IPv4Address(dice.randrange(1 << 24, 223 << 24)))
    six = str(ipaddress.IPv6Address((0x20010DB8 << 96) | dice.randrange(1 << 64)))
    written = dice.choice((four, four, six))
    return Labelled(
        dice.choice(("ssh root@{}", "{} is down", "http://{}/x", "ping {}")).format(written), written, "ips"
    )


def harmless(dice: random.Random) -> Labelled:
    def n(most: int, least: int = 0) -> int:
        return dice.randint(least, most)

    texts = (
        f"on {n(28, 1):02}.{n(12, 1):02}.{n(2026, 1950)}",
        f"{n(2026, 1950)}-{n(12, 1):02}-{n(28, 1):02} {n(23):02}:{n(59):02}",
        f"{n(12, 1)}/{n(28, 1)}/{n(2026, 1990)} at {n(12, 1)}:{n(59):02} pm",
        f"the years {n(1999, 1900)}-{n(2026, 2000)}",
        f"{n(999, 1)}.{n(999):03}.{n(999):03} euros",
        f"{n(99)},{n(99):02} €",
        f"${n(9999):,}.{n(99):02}",
        f"room {n(9999)}",
        f"we won {n(9)}:{n(9)}",
        f"version {n(9)}.{n(20)}.{n(9)}.{n(9)}",
        f"v{n(9)}.{n(20)}.{n(9)}",
        f"{n(99)}.{n(999999):06}, {n(99)}.{n(999999):06}",
        f"{n(100)}%",
        f"flight LH{n(9999, 100)}",
        f"at {n(23)}:{n(59):02}:{n(59):02}",
        f"order #{n(99999999, 1000000)}",
        f"{n(42195)} steps today",
        f"chapter {n(30)}, page {n(900)}",
        f"std::vector<int> a[{n(99)}];",
        f"@ann see {n(9)}",
        f"zip {n(99999, 10000)}",
        f"ISBN 978-3-16-148410-0, {n(9)} left",
        f"{n(9)} x {n(999)} mm",
        f"#{n(999999, 100000)} is a colour",
        f"1{'0' * n(9, 3)} thanks",
        f"born {n(2010, 1950)}",
        f"mach {n(9)} mal {n(99)} km",
        f"{n(2026, 1990)}/{n(99):02}",
        "haha 777 lucky",
        "call me at 5",
        "code red",
        f"http error code {n(599, 400)}",
        f"{n(99999, 10000)} followers",
        f"https://example.org/post/{n(99999999, 10000000)}",
        f"https://example.org/?page={n(99)}&sort=new",
    )
    return Labelled(dice.choice(texts), "", None, dice.choice(REGIONS))


MAKERS = {
    "phones": phone,
    "emails": email,
    "cards": card,
    "ibans": iban,
    "codes": code,
    "secrets": secret,
    "wallets": wallet,
    "ips": ip,
}


def labelled(number: int, seed: int) -> list[Labelled]:
    """So many texts of each kind, and as many of all kinds together that are harmless."""
    dice = random.Random(seed)
    made = [make(dice) for make in MAKERS.values() for _ in range(number)]
    return made + [harmless(dice) for _ in range(number * len(MAKERS))]
