"""Figures of a diagnosis over eight categories, each with its 95 % interval over patients.

Every figure is computed from weights of the cases: ones for the figure itself, and how often each case was drawn where
patients are resampled (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). A case is a
patient's only one. Macro figures are over the categories that a sample holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from statsmodels.stats.proportion import proportion_confint

from chordae.learning.statistics import BATCH_VALUES, LEVEL, RESAMPLES, SEED
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.temperature import BINS

Values = NDArray[np.float64]
Places = NDArray[np.int64]
Figure = Callable[["Answers", Values], Values]
NONE = len(CATEGORIES)
"""Place of an answer without a category: wrong, and no category's."""


class Estimate(BaseModel):
    """A figure and the 95 % interval of it; none where no case defines it."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Answers:
    """What was answered about n cases."""

    truth: Places
    """(n,) index into `CATEGORIES`."""
    chosen: Places
    """(n,) the same, or `NONE`."""
    probabilities: Values
    """(n, 8) at temperature 1; zeros: there are none."""
    faithful: NDArray[np.bool_]
    """(n,) every citation of the chain holds."""
    flagged: NDArray[np.bool_]
    """(n,) not to be relied on, as the diagnosis itself says."""

    def at(self, places: Places) -> "Answers":
        """Some of the cases, or some several times."""
        return Answers(
            self.truth[places],
            self.chosen[places],
            self.probabilities[places],
            self.faithful[places],
            self.flagged[places],
        )


def accuracy(answers: Answers, weights: Values) -> Values:
    """(R,) share of the right category; weights (R, n)."""
    return _share(weights, answers.chosen == answers.truth)


def unanswered(answers: Answers, weights: Values) -> Values:
    """(R,) share without a category."""
    return _share(weights, answers.chosen == NONE)


def faithfulness(answers: Answers, weights: Values) -> Values:
    """(R,) share of faithful chains."""
    return _share(weights, answers.faithful)


def relied_on(answers: Answers, weights: Values) -> Values:
    """(R,) share that is not flagged."""
    return _share(weights, ~answers.flagged)


def accuracy_relied_on(answers: Answers, weights: Values) -> Values:
    """(R,) share of the right category among those that are not flagged."""
    kept = weights * ~answers.flagged
    return _ratio(kept @ (answers.chosen == answers.truth).astype(float), kept.sum(axis=1))


def recalls(answers: Answers, weights: Values) -> Values:
    """(R, 8) share of each category that was found; NaN where a sample holds none."""
    _, there, right, _ = _confusion(answers, weights)
    return _ratio(right, there)


def recall_of(categories: Sequence[int]) -> Figure:
    """Mean recall of these categories, of those that a sample holds."""

    def recall(answers: Answers, weights: Values) -> Values:
        return _mean(recalls(answers, weights)[:, list(categories)])

    return recall


def macro_f1(answers: Answers, weights: Values) -> Values:
    """(R,) mean F1 over the categories that a sample holds."""
    _, there, right, taken = _confusion(answers, weights)
    f1 = np.divide(2 * right, there + taken, out=np.full_like(right, np.nan), where=there > 0)
    return _mean(f1)


def auc(answers: Answers, weights: Values) -> Values:
    """(R,) mean over categories of the area under one-vs-rest's ROC curve (ties half); NaN with one category."""
    areas = np.stack([_area(answers, weights, index) for index in range(len(CATEGORIES))], axis=1)
    return _mean(areas)


def calibration_error(answers: Answers, weights: Values) -> Values:
    """(R,) |accuracy - mean confidence| in `BINS` equal bins of the highest probability, weighted by size.

    Of the cases that have probabilities (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """
    has = answers.probabilities.any(axis=1)
    confidence = answers.probabilities.max(axis=1)
    right = answers.probabilities.argmax(axis=1) == answers.truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps: Values = np.stack(
        [weights[:, has & (bins == one)] @ (right - confidence)[has & (bins == one)] for one in range(BINS)]
    )
    total = weights[:, has].sum(axis=1)
    return _ratio(np.abs(gaps).sum(axis=0), total)


def estimate(answers: Answers, figure: Figure, cases: int | None = None) -> Estimate:
    """A figure and its percentile interval.

    Where resampling moves nothing (a share of 0 or 1) the interval is Wilson's, for one without width claims too much.
    The calibration error of a resample is larger than the sample's, since chance adds to the gap of every bin: its
    interval is moved down by the mean excess.

    Args:
        answers: of all cases.
        figure: what is estimated.
        cases: of how many it is a share; none: of all.
    """
    count = len(answers.truth)
    if not count:
        return Estimate(value=None, interval=None)
    value = float(figure(answers, np.ones((1, count)))[0])
    if np.isnan(value):
        return Estimate(value=None, interval=None)
    found = resampled(answers, figure)
    if figure is calibration_error:
        found = np.maximum(found - (np.nanmean(found) - value), 0.0)
    low, high = quantiles(found)
    if low == high == value and value in (0.0, 1.0):
        held = count if cases is None else cases
        low, high = proportion_confint(value * held, held, alpha=1 - LEVEL, method="wilson")
    return Estimate(value=value, interval=(float(low), float(high)))


def resampled(answers: Answers, figure: Figure, resamples: int = RESAMPLES) -> Values:
    """(resamples,) the figure where patients are drawn anew; the same number of cases is drawn alike."""
    count = len(answers.truth)
    rng, batch, found = np.random.default_rng(SEED), max(1, BATCH_VALUES // count), []
    for first in range(0, resamples, batch):
        size = min(batch, resamples - first)
        found.append(figure(answers, rng.multinomial(count, np.full(count, 1 / count), size=size).astype(float)))
    return np.concatenate(found)


def quantiles(found: Values) -> tuple[float, float]:
    """The 95 % percentile interval of those that are defined."""
    low, high = np.nanquantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _share(weights: Values, marked: NDArray[np.bool_]) -> Values:
    return np.asarray(weights @ marked.astype(float) / weights.sum(axis=1))


def _confusion(answers: Answers, weights: Values) -> tuple[Values, Values, Values, Values]:
    """(R, 8, 9) weights of truth and choice, (R, 8) of each truth, of those found, of each choice."""
    cells = np.eye(len(CATEGORIES) * (NONE + 1))[answers.truth * (NONE + 1) + answers.chosen]
    table = (weights @ cells).reshape(len(weights), len(CATEGORIES), NONE + 1)
    there, taken = table.sum(axis=2), table.sum(axis=1)[:, :NONE]
    return table, there, np.asarray(np.diagonal(table, axis1=1, axis2=2)), taken


def confusion(answers: Answers) -> Places:
    """(8, 9) cases by truth and answer, the last column those without a category."""
    table = _confusion(answers, np.ones((1, len(answers.truth))))[0]
    return np.asarray(table[0].round(), np.int64)


def _area(answers: Answers, weights: Values, index: int) -> Values:
    """(R,) P(score of a case of the category > score of another) + half of P(equal)."""
    _, group = np.unique(answers.probabilities[:, index], return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    mine = (answers.truth == index).astype(float)
    positive = np.add.reduceat((weights * mine)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * (1 - mine))[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio((positive * below).sum(axis=1), pairs)


def _mean(values: Values) -> Values:
    """(R,) mean over the columns that are defined; NaN where none is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return _ratio(total, count)


def _ratio(part: Values, whole: Values) -> Values:
    """part / whole; NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0), float)
