"""Quotas sum to the batch, follow their weights, and Thompson sampling turns to the weak classes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior, uninformed
from chordae.learning.curriculum.quota import apportion
from chordae.learning.curriculum.samplers.inverse_frequency import sample_inverse_frequency
from chordae.learning.curriculum.samplers.sampler import Sampler
from chordae.learning.curriculum.samplers.thompson import sample_thompson
from chordae.learning.curriculum.samplers.uniform import sample_uniform

SAMPLERS = [sample_uniform, sample_inverse_frequency, sample_thompson]
SIZES = {"common": 600, "usual": 300, "rare": 100}


def pools(sizes: dict[str, int] = SIZES, seed: int = 0) -> Pools:
    ids = {name: [f"{name}-{number}" for number in range(count)] for name, count in sizes.items()}
    return Pools.begin(ids, 50, np.random.default_rng(seed))


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 1e300)), min_size=1, max_size=12),
    st.integers(0, 3000),
    st.integers(0, 2**32),
)
def test_quotas_sum_to_the_batch_and_each_is_its_share_rounded_up_or_down(
    weights: list[float], size: int, seed: int
) -> None:
    quota = apportion({str(number): weight for number, weight in enumerate(weights)}, size, np.random.default_rng(seed))
    assert sum(quota.values()) == size
    largest = max(weights) or 1.0
    parts = [weight / largest if max(weights) else 1.0 for weight in weights]
    for number, part in enumerate(parts):
        assert abs(quota[str(number)] - size * part / sum(parts)) < 1 + 1e-6


def test_the_largest_remainders_get_what_is_left() -> None:
    # Shares of 10 are 4.17, 3.33 and 2.5: the last one is rounded up.
    assert apportion({"a": 5, "b": 4, "c": 3}, 10, np.random.default_rng(0)) == {"a": 4, "b": 3, "c": 3}


def test_among_equal_remainders_no_class_is_always_left_out() -> None:
    generator = np.random.default_rng(0)
    counts = Counter()
    for _ in range(800):
        counts.update(apportion(dict.fromkeys("abcdefgh", 1.0), 3, generator))
    assert chisquare([counts[name] for name in "abcdefgh"]).pvalue > 0.01


@pytest.mark.parametrize("weights", [{}, {"a": -1.0}, {"a": float("nan")}, {"a": float("inf")}])
def test_weights_that_cannot_be_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="apportioned"):
        apportion(weights, 4, np.random.default_rng(0))


@settings(deadline=None)
@given(
    st.sampled_from(SAMPLERS),
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_every_batch_is_as_large_as_asked_for_and_holds_nothing_twice(
    sampler: Sampler, counts: list[int], part: float, seed: int
) -> None:
    held = pools({str(number): count for number, count in enumerate(counts)})
    size = round(part * sum(counts))
    batch = sampler(held, uninformed(held.by_class), size, np.random.default_rng(seed))
    assert len(set(batch.ids)) == len(batch.ids) == sum(batch.quota.values()) == sum(batch.drawn.values()) == size


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_generator_draws_the_same_batch(sampler: Sampler) -> None:
    posteriors = uninformed(SIZES)
    first, again = (sampler(pools(), posteriors, 64, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    assert sampler(pools(), posteriors, 64, np.random.default_rng(4)) != first


def quotas(sampler: Sampler, posteriors: dict[str, Posterior], batches: int = 400, size: int = 16) -> dict[str, float]:
    """Mean share of each class."""
    held, generator, counts = pools(), np.random.default_rng(1), Counter()
    for _ in range(batches):
        counts.update(sampler(held, posteriors, size, generator).quota)
    return {name: counts[name] / batches / size for name in SIZES}


def test_uniform_draws_classes_as_often_as_they_are_frequent() -> None:
    assert quotas(sample_uniform, uninformed(SIZES)) == pytest.approx(
        {"common": 0.6, "usual": 0.3, "rare": 0.1}, abs=0.02
    )


def test_inverse_frequency_draws_all_classes_equally_often() -> None:
    assert quotas(sample_inverse_frequency, uninformed(SIZES)) == pytest.approx(dict.fromkeys(SIZES, 1 / 3), abs=0.01)


def test_thompson_gives_weak_classes_more_than_uniform_whatever_their_frequency() -> None:
    accuracies = {"common": 0.95, "usual": 0.9, "rare": 0.3}
    posteriors = {name: Posterior().updated(round(200 * share), 200) for name, share in accuracies.items()}
    thompson, uniform = (quotas(sampler, posteriors) for sampler in (sample_thompson, sample_uniform))
    assert thompson["rare"] > 5 * uniform["rare"]
    assert thompson["common"] < uniform["common"]
    wrong = {name: 1 - posterior.mean for name, posterior in posteriors.items()}
    expected = {name: share / sum(wrong.values()) for name, share in wrong.items()}
    assert thompson == pytest.approx(expected, abs=0.02), "narrow posteriors: quotas are the shares of errors"


def test_thompson_shares_evenly_what_it_knows_nothing_of_and_varies_from_round_to_round() -> None:
    assert quotas(sample_thompson, uninformed(SIZES)) == pytest.approx(dict.fromkeys(SIZES, 1 / 3), abs=0.02)
    generator = np.random.default_rng(0)
    drawn = {tuple(sample_thompson(pools(), uninformed(SIZES), 16, generator).quota.values()) for _ in range(10)}
    assert len(drawn) > 3


def test_over_rounds_thompson_brings_a_weak_class_to_the_level_of_the_others_faster_than_uniform() -> None:
    """A learner whose error in a class halves with every 100 prompts of it: the accuracy of the weakest class."""

    def weakest(sampler: Sampler, seed: int) -> float:
        error, generator = {"common": 0.2, "usual": 0.3, "rare": 0.8}, np.random.default_rng(seed)
        held, posteriors = pools(seed=seed), uninformed(SIZES)
        for _ in range(8):
            drawn = sampler(held, posteriors, 60, generator).drawn
            error = {name: error[name] * 0.5 ** (drawn[name] / 100) for name in SIZES}
            posteriors = {
                name: posteriors[name].updated(int(generator.binomial(50, 1 - error[name])), 50) for name in SIZES
            }
        return 1 - max(error.values())

    seeds = range(20)
    assert min(weakest(sample_thompson, seed) for seed in seeds) > max(weakest(sample_uniform, seed) for seed in seeds)
