import math
from collections import Counter

import torch

from pipeline.inference.protocol import Sampling
from pipeline.inference.sampling import Sampler


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
