"""Odd records beside what `test_pcrl_records` shows: against sklearn, gaps that depend on values, and other units."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from chordae.learning.pcrl.ood import LARGEST_SCORE, RecordDetector, fit
from chordae.platform.diagnosis.record import UNITS, CmrRecord, Parameter
from chordae.platform.errors import BadInput

NAMES = list(UNITS)
SURFACE = 1.9
"""Body surface in m2, of everybody here but for noise."""


def patients(count: int, seed: int) -> np.ndarray:
    """(count, 12) parameters of invented patients, dependent as real ones are: EF from volumes, indices from both."""
    rng = np.random.default_rng(seed)
    surface = rng.normal(SURFACE, 0.15, count)
    edv, ef = rng.normal(160, 25, count), rng.normal(58, 6, count)
    mass, wall = rng.normal(110, 20, count), rng.normal(9, 1.2, count)
    rv_edv, rv_ef = 0.7 * edv + rng.normal(55, 15, count), rng.normal(55, 6, count)
    columns = {
        "LV EF": ef,
        "LV EDV": edv,
        "LV ESV": edv * (1 - ef / 100),
        "LV mass": mass,
        "LV EDV index": edv / surface,
        "LV mass index": mass / surface,
        "Wall thickness": wall,
        "RV EF": rv_ef,
        "RV EDV": rv_edv,
        "RV ESV": rv_edv * (1 - rv_ef / 100),
        "RV EDV index": rv_edv / surface,
        "LA volume index": rng.normal(40, 8, count),
    }
    return np.stack([columns[name] for name in NAMES], axis=1)


def with_gaps(rows: np.ndarray, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(rows.shape) < 0.4, np.nan, rows)


def record(row: np.ndarray) -> CmrRecord:
    return CmrRecord(
        parameters=tuple(
            Parameter(name=name, value=value, unit=UNITS[name])
            for name, value in zip(NAMES, row, strict=True)
            if not np.isnan(value)
        )
    )


@pytest.fixture(scope="module")
def detector() -> RecordDetector:
    return fit(with_gaps(patients(1500, 1), 2))


def correlated(count: int, seed: int) -> np.ndarray:
    """Three columns, correlated; so many rows that hardly anything is shrunk."""
    rng = np.random.default_rng(seed)
    return np.array([10.0, 200, 3]) + rng.normal(size=(count, 3)) @ np.array([[2, 30, 0.3], [0, 20, 0.5], [0, 0, 0.4]])


def test_complete_records_score_as_with_sklearns_mahalanobis_distance_and_scipys_chi_squared() -> None:
    rows, fresh = correlated(5000, 1), correlated(50, 2)
    detector = fit(rows)
    found = [detector.score(row) for row in fresh]
    mean, spread = rows.mean(0), rows.std(0)
    shrunk = LedoitWolf().fit((rows - mean) / spread)
    expected = -chi2.logsf(shrunk.mahalanobis((fresh - mean) / spread), 3)
    assert found == pytest.approx(list(expected), rel=1e-4, abs=1e-4)
    plain = EmpiricalCovariance().fit(rows)
    expected = -chi2.logsf(plain.mahalanobis(fresh), 3)
    assert found == pytest.approx(list(expected), rel=0.02), "of so many rows hardly anything is shrunk"
    scores = -chi2.logsf(plain.mahalanobis(rows), 3)
    assert detector.threshold == pytest.approx(float(np.quantile(scores, 0.99)), rel=0.02)


def test_a_partial_record_is_judged_by_what_it_holds_alone() -> None:
    rows = correlated(5000, 1)
    detector, reference = fit(rows), EmpiricalCovariance().fit(rows[:, [0, 2]])
    for row in correlated(20, 3):
        expected = -chi2.logsf(reference.mahalanobis(row[None, [0, 2]])[0], 2)
        assert detector.score(np.array([row[0], np.nan, row[2]])) == pytest.approx(expected, rel=0.02, abs=0.01)


def test_values_missing_where_another_value_is_high_do_not_bend_the_mean_as_complete_cases_do() -> None:
    """Missing at random in Rubin's sense: what is missing depends on what is seen."""
    rows = correlated(6000, 4)
    true_mean, true_covariance = np.array([10.0, 200, 3]), np.cov(rows.T)
    holes = rows.copy()
    holes[rows[:, 0] > 10.5, 1] = np.nan
    complete = np.nanmean(holes[:, 1])
    spread = np.sqrt(np.diag(true_covariance))
    assert complete < true_mean[1] - 0.3 * spread[1], "the bias that is to be undone"
    detector = fit(holes)
    found = np.diag(detector.scale) @ detector.covariance @ np.diag(detector.scale)
    assert (detector.centre - true_mean) / spread == pytest.approx(np.zeros(3), abs=0.06)
    assert found / np.outer(spread, spread) == pytest.approx(true_covariance / np.outer(spread, spread), abs=0.03)


def test_about_one_in_a_hundred_records_of_the_same_kind_is_flagged_gaps_and_all(detector: RecordDetector) -> None:
    flagged = [detector.unlike(record(row)) for row in with_gaps(patients(2000, 3), 4)]
    assert 0.003 < np.mean(flagged) < 0.025


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("LV EF", 0.01),
        ("RV EF", 0.01),
        ("LV EDV index", SURFACE),
        ("LV mass index", SURFACE),
        ("LV EDV", 0.001),
        ("LV ESV", 1000),
        ("Wall thickness", 0.1),
    ],
)
def test_a_record_with_one_value_in_another_unit_is_flagged(detector: RecordDetector, name: str, factor: float) -> None:
    rows = patients(100, 5)
    rows[:, NAMES.index(name)] *= factor
    assert np.mean([detector.unlike(record(row)) for row in rows]) > 0.95


def test_units_of_all_training_records_changed_alike_change_no_score() -> None:
    rows, fresh, factors = patients(400, 6), patients(20, 7), np.logspace(-3, 3, 12)
    one, other = fit(rows), fit(rows * factors)
    assert other.threshold == pytest.approx(one.threshold)
    assert [other.score(row * factors) for row in fresh] == pytest.approx([one.score(row) for row in fresh])


def test_a_record_however_far_away_has_a_finite_score_and_is_flagged(detector: RecordDetector) -> None:
    far = np.full(12, 1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detector.score(far) == LARGEST_SCORE > detector.threshold
    assert detector.unlike(CmrRecord()), "nothing is known of a record without parameters"


def test_parameters_that_never_varied_or_never_came_leave_the_others_judged() -> None:
    rows = patients(200, 8)
    rows[:, 6], rows[:, 11] = 9.0, np.nan
    detector = fit(rows)
    fresh = patients(300, 9)
    fresh[:, 6], fresh[:, 11] = 9.0, np.nan
    assert np.mean([detector.score(row) > detector.threshold for row in fresh]) < 0.06
    fresh[:, 0] /= 100
    assert all(detector.score(row) > detector.threshold for row in fresh)


def test_rows_without_any_parameter_are_left_out_and_infinite_values_refused() -> None:
    rows = patients(60, 10)
    assert fit(np.vstack([rows, np.full((30, 12), np.nan)])).threshold == fit(rows).threshold
    rows[3, 4] = np.inf
    with pytest.raises(BadInput, match="records"):
        fit(rows)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.5, float("nan")])
def test_a_quantile_outside_0_to_1_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        fit(patients(60, 11), quantile)
