"""Intervals and tests, each against a closed form, another implementation or a published example."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binomtest

from chordae.learning.statistics import cluster_interval, compare_likert_scores, compare_right, score


def test_excluded_answers_are_in_no_denominator() -> None:
    result = score([True, True, False, None, None], ["a", "b", "c", "d", "e"])
    assert (result.correct, result.incorrect, result.excluded) == (2, 1, 2)
    assert result.accuracy == pytest.approx(2 / 3)


def test_where_all_is_excluded_there_is_no_accuracy() -> None:
    result = score([None, None], ["a", "b"])
    assert result.accuracy is None
    assert result.interval is None


def test_one_question_a_patient_gives_the_binomial_interval() -> None:
    right = [index < 700 for index in range(1000)]
    result = score(right, [str(index) for index in range(1000)])
    half = 1.96 * np.sqrt(0.7 * 0.3 / 1000)  # normal approximation of the binomial
    assert result.interval == pytest.approx((0.7 - half, 0.7 + half), abs=0.002)


def test_ten_equal_questions_a_patient_are_worth_one() -> None:
    right = [patient < 70 for patient in range(100) for _ in range(10)]
    patients = [str(patient) for patient in range(100) for _ in range(10)]
    low, high = score(right, patients).interval or (0.0, 0.0)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 100)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)
    assert (high - low) / 2 > 3 * 1.96 * np.sqrt(0.7 * 0.3 / 1000) * 0.95


def test_patients_of_different_size_agree_with_the_linearised_ratio() -> None:
    """Variance of a ratio of cluster totals: Cochran, Sampling Techniques, 1977, section 6.3."""
    rng = np.random.default_rng(1)
    values: list[float] = []
    patients: list[str] = []
    for patient in range(400):
        count = int(rng.integers(1, 12))
        values += list((rng.random(count) < rng.beta(4, 2)).astype(float))
        patients += [str(patient)] * count
    data = np.array(values)
    totals = np.array([data[np.array(patients) == str(p)].sum() for p in range(400)])
    sizes = np.array([(np.array(patients) == str(p)).sum() for p in range(400)])
    residual = totals - data.mean() * sizes
    error = np.sqrt((residual**2).sum() / 399 / 400) / sizes.mean()
    low, high = cluster_interval(data, patients)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.05)


def test_a_perfect_score_still_has_an_interval() -> None:
    low, high = score([True] * 20, [str(index) for index in range(20)]).interval or (0.0, 0.0)
    assert low == pytest.approx(1 / (1 + 1.96**2 / 20), abs=1e-3)  # Wilson's lower limit at 20 of 20
    assert high == 1.0


def test_three_thousand_questions_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(0)
    right = list(rng.random(3000) < 0.8)
    start = time.perf_counter()
    score([bool(one) for one in right], [str(index) for index in range(3000)])
    assert time.perf_counter() - start < 2.0


def answered(*shares: tuple[int, bool, bool]) -> dict[str, dict[str, bool]]:
    """Two models, so many questions of each kind: (count, first right, second right)."""
    pairs = [(a, b) for count, a, b in shares for _ in range(count)]
    return {
        "first": {str(index): a for index, (a, _) in enumerate(pairs)},
        "second": {str(index): b for index, (_, b) in enumerate(pairs)},
    }


def test_mcnemar_is_the_textbook_one() -> None:
    """Agresti, Categorical Data Analysis, 1990, p. 350: approval ratings 794, 150, 86, 570."""
    models = answered((794, True, True), (150, True, False), (86, False, True), (570, False, False))
    (row,) = compare_right(models)
    assert row.statistic == pytest.approx((abs(150 - 86) - 1) ** 2 / (150 + 86))
    assert row.p == pytest.approx(4.115e-05, rel=1e-3)  # R: mcnemar.test
    assert (row.only_first, row.only_second, row.questions) == (150, 86, 1600)


def test_few_discordant_pairs_are_tested_exactly() -> None:
    (row,) = compare_right(answered((50, True, True), (9, True, False), (2, False, True)))
    assert row.test == "McNemar, exact"
    assert row.p == pytest.approx(binomtest(2, 11, 0.5).pvalue)


def test_models_that_never_differ_have_p_one() -> None:
    (row,) = compare_right(answered((50, True, True), (5, False, False)))
    assert row.p == 1.0


def test_three_models_are_three_comparisons_and_p_is_tripled() -> None:
    models = answered((50, True, True), (9, True, False), (2, False, True))
    rows = compare_right(models | {"third": models["first"]})
    assert len(rows) == 3
    for row in rows:
        assert row.p_adjusted == pytest.approx(min(1.0, 3 * row.p))


def _u(a: Sequence[int], b: Sequence[int]) -> float:
    return sum((x > y) + 0.5 * (x == y) for x in a for y in b)


def test_mann_whitney_counts_pairs_won() -> None:
    rng = np.random.default_rng(2)
    a, b = [int(x) for x in rng.integers(1, 6, 40)], [int(x) for x in rng.integers(2, 6, 50)]
    (row,) = compare_likert_scores({"a": a, "b": b})
    assert row.statistic == _u(a, b)
    assert row.effect == pytest.approx(_u(a, b) / (40 * 50))


def test_mann_whitney_p_agrees_with_shuffling() -> None:
    a, b = [1, 2, 2, 3, 3, 3, 4, 5, 2, 3] * 3, [3, 4, 4, 5, 3, 5, 2, 4, 5, 5] * 2
    (row,) = compare_likert_scores({"a": a, "b": b})
    rng = np.random.default_rng(3)
    pool, centre = np.array(a + b), len(a) * len(b) / 2
    ranks = np.array([(pool < value).sum() + ((pool == value).sum() + 1) / 2 for value in pool])
    sums = np.array([ranks[rng.permutation(len(pool))[: len(a)]].sum() for _ in range(20_000)])
    shuffled = sums - len(a) * (len(a) + 1) / 2
    share = (np.abs(shuffled - centre) >= abs(row.statistic - centre)).mean()
    assert row.p == pytest.approx(share, abs=0.002)
