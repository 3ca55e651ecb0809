"""Advantages scaled by how rare and how hard a prompt's class is: domain-aware relative policy optimisation (DRPO).

Source: Dai, Chen, Ekbote and Liang, QoQ-Med, NeurIPS 2025, arXiv:2506.00711v2, section 3.3. A domain is a class here.
With s the group-relative advantage, per step, for a prompt of class g in cluster c:

    T_g = max(sqrt(N_g) mu_g, eps)      N_g prompts of the class, mu_g the mean of their rewards
    T_cg = max(sqrt(N_cg) mu_cg, eps)   the same within a cluster of the class            (both equation 2)
    A = s / (T_g T_cg) / std of s / (T_g T_cg) over the step                              (equation 3 and below)

Clusters are of prompts, K-means on their reward vectors, their number by the paper's elbow rule (appendix B.1).

Three things differ from the paper. Its KL factor m is left out (its variant "NoKL"), for a divergence is not a reward.
Rewards are mapped from [low, high] to [0, 1] where difficulty is concerned: the paper's are never below 0, and a root
scaled by a negative mean would turn advantages round. And mu_g is the plain mean that the paper states; its released
code weighs cluster means by inverse size, and counts prompts since the start rather than of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from chordae.learning.curriculum.advantages.advantage import Array
from chordae.learning.curriculum.advantages.grpo import group_relative

EPSILON = 1e-6
"""Of the released code."""
MAX_CLUSTERS, TOLERANCE = 10, 0.1
"""The paper's: k at most, and the share of the drop in inertia before that a further cluster must bring."""


@dataclass(frozen=True)
class DomainScaled:
    """Group-relative advantages over the temperatures of class and cluster."""

    low: float
    """The least reward there can be."""
    high: float
    """The most."""

    def __call__(self, rewards: Array, classes: Sequence[str]) -> Array:
        """(P, G) advantages of (P, G) rewards; their standard deviation over the step is 1, unless all are 0.

        Raises:
            ValueError: another number of classes than of prompts.
        """
        if len(classes) != len(rewards):
            raise ValueError(f"{len(rewards)} prompts, but {len(classes)} classes")
        named = np.array(classes)
        ease = (rewards - self.low) / (self.high - self.low)
        temperatures = np.empty(len(rewards))
        for name in set(classes):
            places = np.flatnonzero(named == name)
            clusters = cluster(ease[places])
            for number in set(clusters.tolist()):
                members = places[clusters == number]
                temperatures[members] = temperature(ease[places]) * temperature(ease[members])
        scaled: Array = group_relative(rewards, classes) / temperatures[:, None]
        spread = float(scaled.std(ddof=1))
        return scaled / (spread + EPSILON)


def temperature(ease: Array) -> float:
    """max(sqrt(N) mean, eps) of (N, G) rewards from 0 to 1: low where prompts are few or hard."""
    return max(float(np.sqrt(len(ease)) * ease.mean()), EPSILON)


def cluster(vectors: Array) -> NDArray[np.int64]:
    """Which cluster each of N reward vectors (N, G) is in: (N,), K-means with k by the elbow rule.

    k is raised until the inertia drops by less than a tenth of what it dropped before.
    """
    most = min(MAX_CLUSTERS, len(np.unique(vectors, axis=0)))
    fits = [KMeans(1, n_init=1, random_state=0).fit(vectors)]
    drop = 0.0
    for count in range(2, most + 1):
        fit = KMeans(count, n_init=1, random_state=0).fit(vectors)
        drop, before = fits[-1].inertia_ - fit.inertia_, drop
        if drop < TOLERANCE * before:
            break
        fits.append(fit)
    labels: NDArray[np.int64] = fits[-1].labels_
    return labels.astype(np.int64)
