import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.inference.protocol import Sampling
from pipeline.inference.sampling import Choice, Sampler, token_odds


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def drawn(sampling: Sampling, *probabilities: float, times: int = 2000) -> Counter[int]:
    """How often each token comes first, over many seeds."""
    counts: Counter[int] = Counter()
    for seed in range(times):
        seeded = Sampling(temperature=sampling.temperature, top_p=sampling.top_p, seed=seed)
        counts[Sampler(seeded).choose(logits(*map(math.log, probabilities)))] += 1
    return counts


def test_temperature_0_takes_the_most_likely() -> None:
    sampler = Sampler(Sampling(temperature=0))
    assert [sampler.choose(logits(0, 2, 1)) for _ in range(3)] == [1, 1, 1]


def test_temperature_1_draws_by_probability() -> None:
    counts = drawn(Sampling(), 0.7, 0.3)
    assert 1300 < counts[0] < 1500


def test_a_high_temperature_evens_out() -> None:
    counts = drawn(Sampling(temperature=2), 0.8, 0.2)  # odds of 4 become odds of 2
    assert 1253 < counts[0] < 1413


def test_top_p_keeps_the_fewest_tokens_that_have_it() -> None:
    assert set(drawn(Sampling(top_p=0.5), 0.4, 0.3, 0.2, 0.1, times=300)) == {0, 1}
    assert set(drawn(Sampling(top_p=0), 0.4, 0.6, times=50)) == {1}


def test_a_seed_repeats_itself() -> None:
    first, again = (Sampler(Sampling(seed=-3)) for _ in range(2))
    flat = logits(*[0.0] * 50)
    assert [first.choose(flat.clone()) for _ in range(20)] == [again.choose(flat.clone()) for _ in range(20)]


def test_penalties_count_what_was_chosen_before() -> None:
    frequency = Sampler(Sampling(temperature=0, frequency_penalty=1.0))
    assert [frequency.choose(logits(2.5, 0)) for _ in range(5)] == [0, 0, 0, 1, 0]
    presence = Sampler(Sampling(temperature=0, presence_penalty=1.5))
    assert [presence.choose(logits(1, 0)) for _ in range(4)] == [0, 1, 0, 0]


@given(
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    penalty=st.floats(-2, 2),
    values=st.lists(st.floats(-1e30, 1e30) | st.just(-math.inf), min_size=1, max_size=6),
)
def test_whatever_is_allowed_chooses_a_token_that_the_model_may_say(
    temperature: float, top_p: float, penalty: float, values: list[float]
) -> None:
    likely = [0.0, *values]
    sampler = Sampler(Sampling(temperature=temperature, top_p=top_p, frequency_penalty=penalty, seed=1))
    chosen = [sampler.choose(logits(*likely)) for _ in range(3)]
    assert all(math.isfinite(likely[token]) for token in chosen)


@pytest.mark.parametrize("top_p", [1.0, 0.5])
@pytest.mark.parametrize("temperature", [1e-320, 1e-40, 1e-12, 1e-5])
def test_a_temperature_near_0_takes_the_most_likely(temperature: float, top_p: float) -> None:
    sampler = Sampler(Sampling(temperature=temperature, top_p=top_p))
    assert [sampler.choose(logits(30, 32, 31)) for _ in range(20)] == [1] * 20


@pytest.mark.parametrize(("damaged", "got"), [(math.nan, "nan"), (math.inf, "inf")])
def test_what_is_not_a_number_is_the_fault_of_the_model(damaged: float, got: str) -> None:
    choice = Choice("base model x", Sampling(), lambda _: b"")
    with pytest.raises(InputError) as refused:
        choice.make(logits(0, damaged, 1))
    assert str(refused.value) == (
        f"base model x: its weights are damaged: what it computes is not a number, got {got}. "
        "Put its files back, or choose another model."
    )


def test_a_small_vocabulary_has_fewer_likeliest_tokens_than_were_asked_for() -> None:
    odds = token_odds(logits(0, 1).log_softmax(-1), 0, 20, lambda token: b"%d" % token)
    assert [other.data for other in odds.top] == [b"1", b"0"]
