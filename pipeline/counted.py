"""Numbers with what they count."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Such as "1 session" or "1,234 sessions"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
