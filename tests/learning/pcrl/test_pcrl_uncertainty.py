"""Uncertainty beside what `test_pcrl_votes` shows: closed forms from scipy, bounds and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gmean

from chordae.learning.pcrl.uncertainty import VotingAnswer, sequence_entropy, uncertainty

some_answers = st.lists(
    st.builds(
        VotingAnswer,
        category=st.one_of(st.none(), st.sampled_from("abc")),
        logprobs=st.lists(st.floats(-30, 0), max_size=6).map(tuple),
        wording=st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)


def test_without_another_wording_the_certainty_is_the_geometric_mean_of_the_tokens_probabilities() -> None:
    probabilities = np.random.default_rng(1).uniform(0.01, 1, 500)
    answer = VotingAnswer(category="a", logprobs=tuple(np.log(probabilities)))
    assert 1 - uncertainty(answer, [answer]) == pytest.approx(gmean(probabilities), rel=1e-12)


@given(some_answers, st.floats(0, 1))
def test_uncertainty_is_from_0_to_1_and_does_not_depend_on_the_order_of_the_answers(
    answers: list[VotingAnswer], weight: float
) -> None:
    doubts = [uncertainty(one, answers, weight) for one in answers]
    assert all(0 <= doubt <= 1 for doubt in doubts)
    assert [uncertainty(one, answers[::-1], weight) for one in answers] == doubts
    assert all(doubt == 1 for one, doubt in zip(answers, doubts, strict=True) if one.category is None)


def test_each_agreeing_answer_to_another_wording_lowers_the_uncertainty_as_much() -> None:
    judged = VotingAnswer(category="a", logprobs=(-0.7,))
    doubts = []
    for agreeing in range(5):
        others = [
            VotingAnswer(category="a" if place < agreeing else "b", logprobs=(-0.1,), wording=1) for place in range(4)
        ]
        doubts.append(uncertainty(judged, [judged, *others], 0.25))
    assert np.diff(doubts) == pytest.approx([-0.75 / 4] * 4)
    assert doubts[4] == pytest.approx(0.25 * (1 - math.exp(-0.7)))


@pytest.mark.parametrize("wrong", [0.01, math.nan, math.inf])
def test_what_is_no_log_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="at most 0"):
        sequence_entropy([-1.0, wrong])


def test_a_log_probability_above_0_by_rounding_alone_counts_as_certain() -> None:
    assert sequence_entropy([5e-7, 5e-7]) == 0.0


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_a_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        uncertainty(VotingAnswer(category="a", logprobs=(-1.0,)), [], weight)
