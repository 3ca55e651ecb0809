"""How far confidence is from accuracy, and whether a candidate is worse at it than its champion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chordae.learning.gate.measured import Outcome
from chordae.platform.diagnosis.temperature import BINS

Values = NDArray[np.float64]
RESAMPLES, SEED = 2000, 20_260_101


def calibration_errors(outcomes: Sequence[Outcome], weights: Values) -> Values:
    """(R,) |accuracy - mean confidence| in `BINS` equal bins, weighted by size (Guo et al. 2017); weights (R, n) > 0.

    Raises:
        ValueError: an outcome without a confidence.
    """
    given = [one.confidence for one in outcomes if one.confidence is not None]
    if len(given) < len(outcomes):
        raise ValueError("an outcome has no confidence")
    confidence = np.array(given, dtype=float)
    right = np.array([one.right for one in outcomes], dtype=float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = weights @ (np.eye(BINS)[bins] * (right - confidence)[:, None])
    errors: Values = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
    return errors


def calibration_change(champion: Sequence[Outcome], candidate: Sequence[Outcome]) -> tuple[float, float, Values]:
    """Both versions' calibration error, and (R,) candidate's less champion's where the same cases are drawn anew.

    Raises:
        ValueError: an outcome without a confidence.
    """
    count = len(champion)
    whole = np.ones((1, count))
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(float)
    was, is_now = (float(calibration_errors(some, whole)[0]) for some in (champion, candidate))
    return was, is_now, calibration_errors(candidate, drawn) - calibration_errors(champion, drawn)
