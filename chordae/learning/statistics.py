"""The statistics of an evaluation: what a share of right answers is worth, and whether two models differ.

Questions about one patient are not independent: intervals resample patients (clusters), not questions (Davison and
Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). Tests are SciPy's and statsmodels'.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import bootstrap, mannwhitneyu
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

RESAMPLES, LEVEL, SEED = 10_000, 0.95, 20_260_101
FEW_DISCORDANT = 25
"""Below this many discordant pairs McNemar's test is exact (binomial)."""
BATCH_VALUES = 2_000_000
"""Values resampled at once; keeps memory near 100 MB."""


class Score(BaseModel):
    """How a set of questions was answered."""

    model_config = ConfigDict(frozen=True)

    asked: int
    patients: int
    correct: int
    incorrect: int
    excluded: int
    accuracy: float | None
    """correct / (correct + incorrect); none where every answer was excluded."""
    interval: tuple[float, float] | None
    """95 % of the accuracy."""


class Comparison(BaseModel):
    """One test of two models; `p_adjusted` is Bonferroni's."""

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    test: str
    questions: int
    only_first: int | None = None
    """Questions that only the first model got right (McNemar)."""
    only_second: int | None = None
    statistic: float
    effect: float
    """McNemar: difference of the shares right. Mann-Whitney: chance that the first scores higher (ties half)."""
    p: float
    p_adjusted: float


def score(right: Sequence[bool | None], patients: Sequence[str]) -> Score:
    """Accuracy with the excluded kept apart, and its interval.

    Args:
        right: (questions,) whether each answer was right; none: excluded.
        patients: (questions,) whom each question is about.
    """
    correct, answered = sum(one is True for one in right), sum(one is not None for one in right)
    interval = None
    if answered:
        values = np.array([bool(one) for one in right if one is not None], dtype=float)
        interval = cluster_interval(values, [p for p, one in zip(patients, right, strict=True) if one is not None])
    return Score(
        asked=len(right),
        patients=len(set(patients)),
        correct=correct,
        incorrect=answered - correct,
        excluded=len(right) - answered,
        accuracy=correct / answered if answered else None,
        interval=interval,
    )


def cluster_interval(values: NDArray[np.float64], patients: Sequence[str]) -> tuple[float, float]:
    """95 % percentile interval of the mean of `values` (n,), resampling the patients (n,) that they belong to.

    Where resampling can move nothing (one patient, or every share right is 0 or 1), a bootstrap interval has no width,
    which claims too much: it is then Wilson's, over patients, for shares, and the mean itself for other values.
    """
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    sums, counts = np.bincount(member, weights=values), np.bincount(member).astype(float)
    mean = float(values.mean())
    if len(sums) == 1 or np.ptp(values) == 0:
        if values.min() < 0 or values.max() > 1:
            return mean, mean
        low, high = proportion_confint(mean * len(sums), len(sums), alpha=1 - LEVEL, method="wilson")
        return float(low), float(high)
    result = bootstrap(
        (sums, counts),
        lambda total, count, axis=-1: total.sum(axis=axis) / count.sum(axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        paired=True,
        vectorized=True,
        method="percentile",
        batch=max(1, BATCH_VALUES // len(sums)),
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(result.low), float(result.high)


def compare_right(models: Mapping[str, Mapping[str, bool]]) -> list[Comparison]:
    """McNemar's test of every two models on the questions that both were asked, with Bonferroni's correction.

    Args:
        models: by model, whether each question (by id) was answered right; an excluded answer is not right, so that
            no model gains by declining.
    """
    rows = []
    for first, second in combinations(models, 2):
        shared = sorted(models[first].keys() & models[second].keys())
        a = np.array([models[first][one] for one in shared], dtype=bool)
        b = np.array([models[second][one] for one in shared], dtype=bool)
        table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
        only_first, only_second = table[0][1], table[1][0]
        few = only_first + only_second < FEW_DISCORDANT
        test = mcnemar(table, exact=few, correction=True)
        rows.append(
            Comparison(
                first=first,
                second=second,
                test="McNemar, exact" if few else "McNemar",
                questions=len(shared),
                only_first=only_first,
                only_second=only_second,
                statistic=float(test.statistic),
                effect=(only_first - only_second) / len(shared) if shared else 0.0,
                p=float(test.pvalue),
                p_adjusted=float(test.pvalue),
            )
        )
    return _adjusted(rows)


def compare_likert_scores(models: Mapping[str, Sequence[int]]) -> list[Comparison]:
    """Two-sided Mann-Whitney U of every two models' Likert scores, with Bonferroni's correction."""
    rows = []
    for first, second in combinations(models, 2):
        a, b = models[first], models[second]
        test = mannwhitneyu(a, b, alternative="two-sided")
        rows.append(
            Comparison(
                first=first,
                second=second,
                test="Mann-Whitney U",
                questions=min(len(a), len(b)),
                statistic=float(test.statistic),
                effect=float(test.statistic) / (len(a) * len(b)),
                p=float(test.pvalue),
                p_adjusted=float(test.pvalue),
            )
        )
    return _adjusted(rows)


def _adjusted(rows: list[Comparison]) -> list[Comparison]:
    if not rows:
        return rows
    corrected = multipletests([row.p for row in rows], method="bonferroni")[1]
    return [row.model_copy(update={"p_adjusted": float(p)}) for row, p in zip(rows, corrected, strict=True)]
