"""Risk against coverage, held against closed forms, brute force over orders, and resampling by hand."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.risk_coverage import area, interval, resampled_areas, risk_coverage
from chordae.learning.statistics import RESAMPLES, SEED

answers = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)


def errors(count: int, of: int) -> np.ndarray:
    return np.array([0.0] * (of - count) + [1.0] * count)


@pytest.mark.parametrize(("wrong", "of"), [(0, 10), (1, 10), (30, 100), (100, 100)])
def test_a_perfect_order_has_the_area_of_the_closed_form(wrong: int, of: int) -> None:
    # the last m of n are wrong: the mean of (k - (n - m)) / k over k > n - m
    expected = sum((k - (of - wrong)) / k for k in range(of - wrong + 1, of + 1)) / of
    assert area(-np.arange(of, dtype=float), errors(wrong, of)) == pytest.approx(expected)


def test_of_many_answers_a_perfect_order_has_the_logarithm_of_geifman() -> None:
    rate, count = 0.2, 200_000
    found = area(-np.arange(count, dtype=float), errors(int(rate * count), count))
    assert found == pytest.approx(rate + (1 - rate) * np.log(1 - rate), abs=1e-5)


@pytest.mark.parametrize("wrong", [0, 3, 10])
def test_a_constant_score_has_the_error_rate_at_every_coverage(wrong: int) -> None:
    coverage, risk = risk_coverage(np.full(10, 0.7), errors(wrong, 10))
    np.testing.assert_allclose(coverage, np.arange(1, 11) / 10)
    np.testing.assert_allclose(risk, wrong / 10)
    assert area(np.full(10, 0.7), errors(wrong, 10)) == pytest.approx(wrong / 10)


def test_a_random_order_has_the_error_rate_on_average() -> None:
    rng = np.random.default_rng(0)
    found = [area(rng.random(200), errors(50, 200)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.01)


@given(answers)
def test_ties_count_as_the_mean_over_all_their_orders(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in rows], dtype=float)
    wrong = np.array([bad for _, bad in rows], dtype=float)
    found = []
    for order in permutations(range(len(rows))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            found.append(np.mean(np.cumsum(wrong[list(order)]) / np.arange(1, len(rows) + 1)))
    assert area(scores, wrong) == pytest.approx(np.mean(found))


def test_scores_that_differ_by_rounding_are_a_tie() -> None:
    scores = np.array([0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.5])
    assert area(scores, np.array([0.0, 1.0, 0.0, 1.0])) == pytest.approx(0.5)


def test_resampled_areas_are_those_of_the_patients_drawn() -> None:
    rng = np.random.default_rng(3)
    patients = [f"p{number // 3}" for number in range(24)]
    scores, wrong = np.round(rng.random(24), 1), (rng.random(24) < 0.4).astype(float)
    found = resampled_areas(scores, wrong, patients)
    assert found.shape == (RESAMPLES,)
    drawn = np.random.default_rng(SEED).multinomial(8, np.full(8, 1 / 8), size=RESAMPLES)
    for row in (0, 1, 17, RESAMPLES - 1):
        copies = np.repeat(np.arange(24), drawn[row][np.arange(24) // 3])
        assert found[row] == pytest.approx(area(scores[copies], wrong[copies]))


def test_the_same_patients_are_drawn_for_two_scores_so_that_areas_subtract() -> None:
    rng = np.random.default_rng(4)
    patients = [f"p{number % 20}" for number in range(60)]
    wrong = (rng.random(60) < 0.3).astype(float)
    good, none = -wrong + 0.01 * rng.random(60), np.ones(60)
    low, high = interval(resampled_areas(none, wrong, patients) - resampled_areas(good, wrong, patients))
    assert 0 < low < area(none, wrong) - area(good, wrong) < high


def test_an_interval_is_wider_where_a_patient_has_many_answers() -> None:
    rng = np.random.default_rng(5)
    scores, wrong = rng.random(100), np.repeat((rng.random(10) < 0.5).astype(float), 10)
    apart = interval(resampled_areas(scores, wrong, [str(number) for number in range(100)]))
    together = interval(resampled_areas(scores, wrong, [str(number // 10) for number in range(100)]))
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])
