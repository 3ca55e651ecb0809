"""What an answer to a pseudo-labelled case is worth, and how much the case weighs in the update.

The reward is agreement alone. Group-relative advantages are in units of their group's standard deviation, in which any
factor of a group's rewards cancels; so the confidence of the label scales the advantages, a number a case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chordae.learning.curriculum.advantages.advantage import Array
from chordae.learning.pcrl.abstention import PseudoLabel


def agreement_reward(category: str | None, label: PseudoLabel) -> float:
    """1 for the pseudo-label's category, else 0; 0 for every answer where there is no pseudo-label."""
    return float(label.category is not None and category == label.category)


def case_weights(labels: Sequence[PseudoLabel]) -> Array:
    """(P,) how much each case counts, 0 to 1: the label's confidence, 0 where it abstained."""
    return np.array([one.confidence for one in labels], dtype=float)


def weighted_advantages(advantages: Array, weights: Array) -> Array:
    """(P, G) advantages of P cases' G answers, each times its case's weight.

    Labelled cases have weight 1. Advantages that had a mean of 0 within each group keep it.

    Raises:
        ValueError: another number of weights than of cases, or a weight outside 0 to 1.
    """
    if weights.shape != advantages.shape[:1]:
        raise ValueError(f"{len(advantages)} cases, but weights of shape {weights.shape}")
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError("weights are from 0 to 1")
    scaled: Array = advantages * weights[:, None]
    return scaled
