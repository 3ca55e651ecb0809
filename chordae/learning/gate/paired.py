"""The difference of two versions' shares right on the same cases: its interval and its test."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """Candidate less champion."""

    cases: int
    champion: float
    candidate: float
    interval: tuple[float, float]
    """Of the difference, 95 %: Agresti and Min's for matched pairs (Statistics in Medicine 2005;24:729)."""
    p_worse: float
    """One-sided exact McNemar test: chance of as many cases lost among the discordant ones, were both equal."""

    @property
    def change(self) -> float:
        """Of the share right; below 0 the candidate is worse."""
        return self.candidate - self.champion


def difference(champion: Right, candidate: Right) -> Difference:
    """Compare (n,) answers to the same n cases, at least one.

    Raises:
        ValueError: no case, or not as many of both.
    """
    count = len(champion)
    if not count or count != len(candidate):
        raise ValueError("compare as many answers of both versions, at least one")
    lost, won = int((champion & ~candidate).sum()), int((~champion & candidate).sum())
    # half a case is added to each of the four cells: the plain interval is too narrow for few discordant pairs
    b, c, total = lost + 0.5, won + 0.5, count + 2
    middle, half = (c - b) / total, float(norm.ppf(0.975)) * sqrt((b + c) - (c - b) ** 2 / total) / total
    return Difference(
        cases=count,
        champion=float(champion.mean()),
        candidate=float(candidate.mean()),
        interval=(max(-1.0, middle - half), min(1.0, middle + half)),
        p_worse=float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0,
    )
