"""Records without a category: wordings keep the meaning, odd ones are told apart, patients' keys stay outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from chordae.learning.pcrl.ood import FEWEST, fit, parameters
from chordae.learning.pcrl.rewording import reworded
from chordae.learning.pcrl.unlabelled import RECORDS, Unlabelled, read_unlabelled, write_unlabelled
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter
from chordae.platform.errors import BadInput

LINES = ("Enlarged left ventricle", "Normal right ventricle", "Raised T1 and T2", "No pericardial effusion")


def record(lines: tuple[str, ...] = LINES, key: str | None = None) -> CmrRecord:
    return CmrRecord(
        parameters=(Parameter(name="LV EF", value=40, unit="%", low=55, high=75),),
        description=tuple(Finding(number=3 * place + 2, text=text) for place, text in enumerate(lines)),
        sex="female",
        patient_key=key,
    )


@given(st.integers(0, 50), st.integers(0, 4))
def test_another_wording_says_the_same_lines_under_the_same_numbers(number: int, count: int) -> None:
    original = record(LINES[:count])
    other = reworded(original, number)
    assert [one.number for one in other.description] == [one.number for one in original.description]
    assert sorted(one.text for one in other.description) == sorted(one.text for one in original.description)
    assert other.model_copy(update={"description": ()}) == original.model_copy(update={"description": ()})
    assert (other == original) == (number == 0 or count < 2)
    assert reworded(original, number) == other


def test_records_come_back_as_they_were_but_for_whose_they_are(tmp_path: Path) -> None:
    write_unlabelled(tmp_path / "a", [Unlabelled(id="1", site="north", record=record(key="Anna Muster"))])
    write_unlabelled(tmp_path / "b", [Unlabelled(id="2", site="south", record=record())])
    assert "Muster" not in (tmp_path / "a" / RECORDS).read_text()
    found = read_unlabelled([tmp_path / "a", tmp_path / "b"])
    assert found["1"].record == record()
    assert "category" not in json.loads((tmp_path / "a" / RECORDS).read_text())
    with pytest.raises(BadInput, match="twice"):
        read_unlabelled([tmp_path / "a", tmp_path / "a"])
    with pytest.raises(BadInput, match=r"records\.jsonl"):
        read_unlabelled([tmp_path / "none"])


def gaussian(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of five dependent values, their mean and covariance."""
    rng = np.random.default_rng(0)
    mixing, mean = rng.normal(size=(5, 5)), np.array([50, 100, 150, 10, 30.0])
    rows = mean + np.random.default_rng(seed).normal(size=(count, 5)) @ mixing.T
    return rows, mean, mixing @ mixing.T


def test_the_score_is_the_chi_squared_tail_of_the_mahalanobis_distance() -> None:
    rows, mean, covariance = gaussian(20_000, 1)
    detector = fit(rows)
    for row in gaussian(20, 2)[0]:
        gap = row - mean
        expected = -chi2.logsf(gap @ np.linalg.solve(covariance, gap), 5)
        assert detector.score(row) == pytest.approx(expected, rel=0.15, abs=0.1)


def test_gaps_in_the_records_do_not_bend_what_is_learned_of_them() -> None:
    rows, mean, covariance = gaussian(4000, 3)
    holes = rows.copy()
    holes[np.random.default_rng(4).random(rows.shape) < 0.3] = np.nan
    detector = fit(holes)
    scale = np.diag(detector.scale)
    assert detector.centre == pytest.approx(mean, abs=0.25)
    assert scale @ detector.covariance @ scale == pytest.approx(covariance, abs=0.15 * np.diag(covariance).max())


def test_one_in_a_hundred_of_its_own_kind_is_odd_and_a_record_in_other_units_is() -> None:
    detector = fit(gaussian(4000, 5)[0])
    fresh = gaussian(4000, 6)[0]
    odd = np.mean([detector.score(row) > detector.threshold for row in fresh])
    assert 0.004 < odd < 0.02
    fresh[:, 0] /= 100  # a share, where percent is meant
    assert np.mean([detector.score(row) > detector.threshold for row in fresh[:200]]) > 0.99


def test_a_record_without_parameters_is_odd_and_too_few_tell_nothing() -> None:
    rows = gaussian(FEWEST, 7)[0]
    assert fit(rows).score(np.full(5, np.nan)) == np.inf
    with pytest.raises(BadInput, match="records"):
        fit(rows[:-1])
    assert np.isnan(parameters(record())[1:]).all()
    assert parameters(record())[0] == 40
