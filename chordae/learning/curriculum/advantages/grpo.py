"""An answer's reward less its group's mean, in units of the group's standard deviation (Shao et al. 2024, eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

from chordae.learning.curriculum.advantages.advantage import Array

EPSILON = 1e-4
"""TRL's: added to the standard deviation."""


def group_relative(rewards: Array, classes: Sequence[str]) -> Array:
    """(r - mean) / (std + 1e-4) within each group, with the n - 1 standard deviation, as TRL's `scale_rewards="group"`.

    Args:
        rewards: (P, G), G at least 2.
        classes: not looked at.

    Returns:
        (P, G).
    """
    spread = rewards.std(1, ddof=1, keepdims=True)
    advantages: Array = (rewards - rewards.mean(1, keepdims=True)) / (spread + EPSILON)
    return advantages
