"""Advantages are TRL's, and DRPO's weigh rare and hard classes more, by the paper's formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chordae.learning.curriculum.advantages.drpo import DomainScaled, cluster, temperature
from chordae.learning.curriculum.advantages.grpo import group_relative

rewards_of = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(2, 6)),
    elements=st.sampled_from([-1.0, -0.75, 0.0, 0.5, 2.0, 3.0]),
)


@pytest.mark.slow
def test_group_relative_advantages_are_those_of_trl() -> None:
    import torch

    from chordae.platform.torch_libs import mend_torchvision

    mend_torchvision()  # trl imports transformers' processors
    from trl.trainer.utils import nanstd

    rewards = np.random.default_rng(0).choice([-1.0, -0.75, 0.0, 2.0, 3.0], (200, 6))
    groups = torch.from_numpy(rewards)
    # GRPOTrainer with scale_rewards="group": reward less mean, over nanstd and 1e-4.
    expected = (groups - groups.mean(1, keepdim=True)) / (nanstd(groups, dim=1)[:, None] + 1e-4)
    assert group_relative(rewards, ["a"] * 200) == pytest.approx(expected.numpy(), abs=1e-6), "nanstd counts in float32"


def test_a_worked_group() -> None:
    # Mean 1, sum of squares 4, standard deviation sqrt(4 / 3).
    expected = np.array([1, 1, -1, -1]) / (np.sqrt(4 / 3) + 1e-4)
    assert group_relative(np.array([[2.0, 2.0, 0.0, 0.0]]), ["a"])[0] == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(rewards_of, st.lists(st.sampled_from("abc"), min_size=6, max_size=6))
def test_domain_scaling_keeps_every_groups_mean_and_order_and_the_steps_spread(
    rewards: np.ndarray, classes: list[str]
) -> None:
    classes = classes[: len(rewards)]
    scaled, plain = DomainScaled(-1, 3)(rewards, classes), group_relative(rewards, classes)
    assert np.isfinite(scaled).all()
    assert scaled.mean(1) == pytest.approx(0, abs=1e-6)
    assert (np.sign(np.round(scaled, 9)) == np.sign(np.round(plain, 9))).all()
    if plain.any():
        assert scaled.std(ddof=1) == pytest.approx(1, abs=1e-2)


def test_a_step_worked_by_hand() -> None:
    """Four prompts of class a with the same rewards, one of b: one cluster each, so that T = N mu^2 for both."""
    rewards = np.array([[1.0, 1.0, 1.0, 0.0]] * 4 + [[1.0, 0.0, 0.0, 0.0]])
    scaled = DomainScaled(0, 1)(rewards, ["a"] * 4 + ["b"])
    plain = group_relative(rewards, ["a"] * 5)
    unscaled = plain / np.array([4 * 0.75**2] * 4 + [1 * 0.25**2])[:, None]
    assert scaled == pytest.approx(unscaled / unscaled.std(ddof=1), rel=1e-4)
    ratio = np.abs(scaled[4]).max() / np.abs(scaled[0]).max()
    assert ratio == pytest.approx(4 * 0.75**2 / 0.25**2, rel=1e-6), "rarer by 4, harder by 9"


def test_within_a_class_the_rare_hard_cluster_weighs_more() -> None:
    rewards = np.array([[1.0, 1.0, 1.0, 0.0]] * 5 + [[1.0, 0.0, 0.0, 0.0]])
    scaled = np.abs(DomainScaled(0, 1)(rewards, ["a"] * 6)).max(1)
    assert scaled[5] / scaled[0] == pytest.approx(np.sqrt(5) * 3, rel=1e-6)


def test_rewards_below_zero_do_not_turn_advantages_round() -> None:
    rewards = np.array([[-1.0, -1.0, -0.5, -1.0]])
    assert DomainScaled(-1, 3)(rewards, ["a"])[0, 2] > 0


def test_clusters_are_found_where_there_are_some() -> None:
    two = np.array([[0.0, 0.1], [0.1, 0.0], [0.0, 0.0], [1.0, 0.9], [0.9, 1.0], [1.0, 1.0]])
    labels = cluster(two)
    assert len(set(labels[:3].tolist())) == len(set(labels[3:].tolist())) == 1
    assert labels[0] != labels[3]
    assert cluster(np.ones((5, 4))).tolist() == [0] * 5
    assert cluster(np.ones((1, 4))).tolist() == [0]


def test_a_class_that_earned_nothing_has_a_temperature_above_zero() -> None:
    assert temperature(np.zeros((3, 4))) == 1e-6
    assert temperature(np.full((4, 2), 0.5)) == 1.0
    assert (DomainScaled(0, 1)(np.zeros((2, 4)), ["a", "b"]) == 0).all()


def test_classes_must_be_those_of_the_prompts() -> None:
    with pytest.raises(ValueError, match="1 classes"):
        DomainScaled(0, 1)(np.zeros((2, 4)), ["a"])
