"""Risk against coverage: if only the most trusted answers are given, how many of those are wrong?

The area under the curve is the mean risk over every coverage 1/n, 2/n, ... 1 (AURC; Geifman et al., ICLR 2019,
arXiv:1805.08206). Answers with the same score are in no order: their risk is its expectation over all orders. A
constant score has the error rate for its area, a perfect one of m errors in n (n - m) ln((n - m) / n) / n + m / n in
the limit of many.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chordae.learning.statistics import BATCH_VALUES, LEVEL, RESAMPLES, SEED

Values = NDArray[np.float64]
DECIMALS = 6
"""Scores that agree so far are equal: embeddings of one text differ by their rounding."""


def risk_coverage(scores: Values, wrong: Values) -> tuple[Values, Values]:
    """Coverage and risk, (n,) each, at 1, 2, ... n answers.

    Args:
        scores: (n,) the higher, the more an answer is trusted.
        wrong: (n,) 1 for wrong answers, 0 for right ones.
    """
    _, counts, errors = _groups(scores, wrong)
    rates = np.repeat(errors / counts, counts.astype(int))
    answered = np.arange(1, len(scores) + 1)
    return answered / len(scores), np.cumsum(rates) / answered


def area(scores: Values, wrong: Values) -> float:
    """The area under the curve, 0 to 1; arguments as for `risk_coverage`."""
    return float(risk_coverage(scores, wrong)[1].mean())


def resampled_areas(scores: Values, wrong: Values, patients: Sequence[str]) -> Values:
    """(resamples,) areas where patients are drawn anew, each with all its answers.

    The same patients in the same order are drawn alike: areas of two scores may be subtracted one by one.
    """
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    group, counts, _ = _groups(scores, wrong)
    people = int(member.max()) + 1
    number, errors = np.zeros((people, len(counts))), np.zeros((people, len(counts)))
    np.add.at(number, (member, group), 1.0)
    np.add.at(errors, (member, group), wrong)
    rng, batch, areas = np.random.default_rng(SEED), max(1, BATCH_VALUES // max(len(counts), people)), []
    for first in range(0, RESAMPLES, batch):
        drawn = rng.multinomial(people, np.full(people, 1 / people), size=min(batch, RESAMPLES - first))
        areas.append(_areas(drawn @ number, drawn @ errors))
    return np.concatenate(areas)


def interval(resampled: Values) -> tuple[float, float]:
    """The 95 % percentile interval."""
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _groups(scores: Values, wrong: Values) -> tuple[NDArray[np.intp], Values, Values]:
    """Of each answer the group of its score, most trusted first; of each group its size and its errors."""
    _, group = np.unique(-np.round(scores, DECIMALS), return_inverse=True)
    return group, np.bincount(group).astype(float), np.bincount(group, weights=wrong).astype(float)


def _areas(number: Values, errors: Values) -> Values:
    """Areas of samples, (samples, groups) answers and errors each, most trusted first.

    Within a group of N answers with rate r, after B answers with E errors, the expected risk at B + j is
    (E + j r) / (B + j) = r + (E - r B) / (B + j); its sum over j is r N + (E - r B) (H(B + N) - H(B)).
    """
    after = np.cumsum(number, axis=1)
    before, earlier = after - number, np.cumsum(errors, axis=1) - errors
    rate = np.divide(errors, number, out=np.zeros_like(errors), where=number > 0)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int(after.max()) + 1))])
    steps = harmonic[after.astype(int)] - harmonic[before.astype(int)]
    return np.asarray((rate * number + (earlier - rate * before) * steps).sum(axis=1) / after[:, -1])
