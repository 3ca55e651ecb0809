"""Posteriors are those of a uniform prior and binomial assessments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, kstest

from chordae.learning.curriculum.posterior import Posterior, assessed, uninformed

assessments = st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(assessments, max_size=6))
def test_it_counts_one_and_the_right_ones_one_and_the_wrong_ones(
    rounds: list[tuple[int, int]],
) -> None:
    posterior = Posterior()
    for correct, total in rounds:
        posterior = posterior.updated(correct, total)
    right, asked = sum(correct for correct, _ in rounds), sum(total for _, total in rounds)
    assert (posterior.alpha, posterior.beta) == (1 + right, 1 + asked - right)
    assert posterior.mean == pytest.approx((1 + right) / (2 + asked))  # Laplace's rule of succession


def test_it_is_the_uniform_prior_times_the_binomial_likelihood() -> None:
    posterior, grid = Posterior().updated(7, 9), np.linspace(0.01, 0.99, 99)
    likelihood = binom.pmf(7, 9, grid)
    density = beta.pdf(grid, posterior.alpha, posterior.beta)
    assert density / density.sum() == pytest.approx(likelihood / likelihood.sum())


def test_draws_follow_the_distribution_and_the_generator() -> None:
    posterior = Posterior(alpha=3, beta=8)
    drawn = [posterior.draw(np.random.default_rng(4)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    generator = np.random.default_rng(5)
    assert kstest([posterior.draw(generator) for _ in range(2000)], beta(3, 8).cdf).pvalue > 0.01


def test_a_class_that_was_not_assessed_stays_as_it_was() -> None:
    after = assessed(uninformed(["a", "b"]), {"b": (1, 4)})
    assert after == {"a": Posterior(), "b": Posterior(alpha=2, beta=4)}


@pytest.mark.parametrize("counts", [{"a": (2, 1)}, {"a": (-1, 1)}, {"c": (0, 0)}])
def test_counts_that_cannot_be_are_refused(counts: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"cannot|not trained"):
        assessed(uninformed(["a", "b"]), counts)


@given(assessments)
def test_it_survives_json(counts: tuple[int, int]) -> None:
    posterior = Posterior().updated(*counts)
    assert Posterior.model_validate_json(posterior.model_dump_json()) == posterior
