import pytest

from pipeline.archives.addresses import Numbers, is_same_address


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("+33612345678", "06 12 34 56 78"),
        ("+49 (0) 160 1234567", "0160/1234567"),
        ("0049 160 1234567", "+491601234567"),
        ("+1 (555) 010-0100", "5550100100"),
        ("1 555 010 0100", "(555) 010-0100"),
        ("+39 02 1234567", "02 1234567"),
        ("A@B.example", "mailto:a@b.example"),
    ],
)
def test_two_spellings_of_an_address_are_one(address: str, other: str) -> None:
    numbers = Numbers()
    assert is_same_address(address, other)
    assert is_same_address(other, address)
    assert numbers.of(address) == numbers.of(other)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("+49160 1234567", "+43160 1234567"),
        ("+5511912345678", "+5521912345678"),
        ("0161 1234567", "+491601234567"),
        ("234567", "+491601234567"),
        ("Nell", "Mo"),
    ],
)
def test_two_peoples_addresses_are_two(address: str, other: str) -> None:
    numbers = Numbers()
    assert not is_same_address(address, other)
    assert numbers.of(address) != numbers.of(other)


def test_a_number_without_its_countrys_code_that_fits_two_is_a_third() -> None:
    numbers = Numbers()
    keys = [numbers.of(each) for each in ("+491601234567", "+431601234567", "0160 1234567")]
    assert len(set(keys)) == 3
    assert [numbers.of(each) for each in ("+49 160 1234567", "+43 160 1234567", "01601234567")] == keys
