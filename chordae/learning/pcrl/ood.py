"""Is a record like those that the model was trained on? The Mahalanobis distance of its parameters.

A record holds some of the twelve parameters. Mean and covariance are fitted by expectation-maximisation over what each
record holds (Little and Rubin, Statistical Analysis with Missing Data, 2019, 11.2), and the covariance is shrunk
towards the identity (Ledoit and Wolf 2004). A record is judged by the marginal distribution of what it holds: minus the
log of the chi-squared tail at its squared distance, so that records with few and with many parameters compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.covariance import ledoit_wolf_shrinkage

from chordae.platform.diagnosis.record import UNITS, CmrRecord
from chordae.platform.errors import BadInput

Values = NDArray[np.float64]
STEPS, FEWEST = 30, 50
LARGEST_SCORE = 1e6
"""Of a record so far away that the tail's logarithm is not a number any more."""


@dataclass(frozen=True)
class RecordDetector:
    """What records of the training set are like."""

    centre: Values
    """(d,) mean of each parameter."""
    scale: Values
    """(d,) its spread."""
    covariance: Values
    """(d, d) of the standardised parameters, shrunk."""
    threshold: float
    """A score above it is unlike the training records."""

    def score(self, row: Values) -> float:
        """How unlike the training records one is, 0 or more; infinite for a record without any parameter.

        Args:
            row: (d,) parameters in the order of `UNITS`, NaN where the record has none.
        """
        seen = ~np.isnan(row)
        if not seen.any():
            return float("inf")
        gap = ((row - self.centre) / self.scale)[seen]
        squared = float(gap @ np.linalg.solve(self.covariance[np.ix_(seen, seen)], gap))
        tail = -float(chi2.logsf(squared, int(seen.sum())))
        return tail if tail < LARGEST_SCORE else LARGEST_SCORE

    def unlike(self, record: CmrRecord) -> bool:
        """Whether the record is unlike those of the training set."""
        return self.score(parameters(record)) > self.threshold


def parameters(record: CmrRecord) -> Values:
    """(12,) the record's parameters in the order of `UNITS`, NaN where it has none."""
    held = {one.name: one.value for one in record.parameters}
    return np.array([held.get(name, np.nan) for name in UNITS], dtype=float)


def fit(rows: Sequence[Values] | Values, quantile: float = 0.99) -> RecordDetector:
    """Fit the detector.

    Args:
        rows: (n, d) parameters of the training records, NaN where missing; rows without any are left out.
        quantile: of the training records' own scores at which the threshold lies, above 0 and below 1.

    Raises:
        BadInput: fewer than `FEWEST` records with a parameter, or an infinite value.
        ValueError: a quantile outside 0 to 1.
    """
    if not 0 < quantile < 1:
        raise ValueError("the quantile is above 0 and below 1")
    table = np.array(rows, dtype=float).reshape(len(rows), -1)
    table = table[~np.isnan(table).all(axis=1)]
    if len(table) < FEWEST or np.isinf(table).any():
        raise BadInput(
            f"{len(table)} records cannot tell what records are like", f"give {FEWEST} with finite parameters at least"
        )
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    centre = np.where(known, table, 0).sum(axis=0) / np.maximum(count, 1)
    deviation = np.where(known, table - centre, 0)
    spread = np.sqrt((deviation**2).sum(axis=0) / np.maximum(count, 1))
    # of a parameter that never varied, the unit itself: anything else would divide by nothing
    scale = np.where(spread > 0, spread, 1.0)
    mean, covariance, filled = _estimate((table - centre) / scale)
    shrinkage = float(ledoit_wolf_shrinkage(filled, assume_centered=False))
    size = len(covariance)
    target = np.eye(size) * np.trace(covariance) / size
    shrunk = (1 - shrinkage) * covariance + shrinkage * target + 1e-6 * np.eye(size)
    unset = RecordDetector(centre + mean * scale, scale, shrunk, np.inf)
    threshold = float(np.quantile([unset.score(row) for row in table], quantile))
    return RecordDetector(unset.centre, unset.scale, unset.covariance, threshold)


def _estimate(table: Values) -> tuple[Values, Values, Values]:
    """Mean (d,), covariance (d, d) and the table with conditional means (n, d), by expectation-maximisation."""
    missing = np.isnan(table)
    size = table.shape[1]
    mean, covariance = np.zeros(size), np.eye(size)
    filled = np.where(missing, 0.0, table)
    patterns, member = np.unique(missing, axis=0, return_inverse=True)
    for _ in range(STEPS):
        spare = np.zeros((size, size))
        for number, gone in enumerate(patterns):
            rows = np.flatnonzero(member.reshape(-1) == number)
            if not gone.any():
                continue
            here = ~gone
            inner = covariance[np.ix_(here, here)] + 1e-6 * np.eye(int(here.sum()))
            regression = np.linalg.solve(inner, covariance[np.ix_(here, gone)])
            filled[np.ix_(rows, gone)] = mean[gone] + (table[np.ix_(rows, here)] - mean[here]) @ regression
            rest = covariance[np.ix_(gone, gone)] - covariance[np.ix_(gone, here)] @ regression
            spare[np.ix_(gone, gone)] += len(rows) * rest
        mean = filled.mean(axis=0)
        gap = filled - mean
        covariance = (gap.T @ gap + spare) / len(table)
    return mean, covariance, filled
