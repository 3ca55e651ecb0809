"""Weights of cases with the advantages that training uses, beside what `test_pcrl_votes` shows."""

from __future__ import annotations

import numpy as np
import pytest

from chordae.learning.curriculum.advantages.grpo import group_relative
from chordae.learning.pcrl.rewards import weighted_advantages

REWARDS = np.random.default_rng(1).uniform(0, 2, (6, 8))
CLASSES = ["a"] * 6


def test_grpo_undoes_a_factor_on_rewards_so_that_confidence_has_to_scale_the_advantages() -> None:
    factors = np.linspace(0.3, 1, 6)
    plain = group_relative(REWARDS, CLASSES)
    assert group_relative(REWARDS * factors[:, None], CLASSES) == pytest.approx(plain, rel=2e-3)
    weighted = weighted_advantages(plain, factors)
    assert np.abs(weighted).sum(1) / np.abs(plain).sum(1) == pytest.approx(factors)


def test_groups_keep_their_mean_of_0_and_a_case_of_weight_0_trains_nothing() -> None:
    weighted = weighted_advantages(group_relative(REWARDS, CLASSES), np.array([0, 0.1, 0.5, 0.7, 0.9, 1]))
    assert weighted.mean(1) == pytest.approx(np.zeros(6), abs=1e-12)
    assert not weighted[0].any()


def test_the_advantages_that_were_given_stay_as_they_were() -> None:
    advantages = REWARDS.copy()
    assert (weighted_advantages(advantages, np.ones(6)) == REWARDS).all()
    weighted_advantages(advantages, np.zeros(6))
    assert (advantages == REWARDS).all()


@pytest.mark.parametrize("wrong", [-0.1, 1.001, np.nan, np.inf])
def test_one_weight_that_is_no_share_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        weighted_advantages(REWARDS, np.array([1, 1, 1, wrong, 1, 1]))


@pytest.mark.parametrize("shape", [(5,), (8,), (6, 1), ()])
def test_weights_that_are_not_one_a_case_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="6 cases"):
        weighted_advantages(REWARDS, np.ones(shape))
