"""How much a pseudo-labelled case weighs in the update.

Its answers are worth what they would be with a true label (`curriculum.rewards`). Group-relative advantages are in
units of their group's standard deviation, in which any factor of a group's rewards cancels; so the confidence of the
label scales the advantages, a number a case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chordae.learning.curriculum.advantages.advantage import Array
from chordae.learning.pcrl.abstention import PseudoLabel


def case_weights(labels: Sequence[PseudoLabel | None]) -> Array:
    """(P,) how much each case counts, 0 to 1: its label's confidence, 0 where it abstained; 1 of a labelled case, which
    has no pseudo-label."""
    return np.array([1.0 if one is None else one.confidence for one in labels], dtype=float)


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
