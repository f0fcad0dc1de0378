"""The mutants are of today's code: one that changes nothing any more would look like one that was not caught."""

import pytest

from tests.chaos.mutants import MUTANTS, mutated


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_one_place_of_the_code_as_it_is(name: str) -> None:
    function, source = mutated(name)
    compile(source, name, "exec")
    assert function.__name__ in source
