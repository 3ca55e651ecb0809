"""Of an interpretation only the words of ECG interpretation get through, in bounded number and length."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.preprocessing.ecg.device import (
    MAX_CHARACTERS,
    MAX_STATEMENTS,
    VOCABULARY,
    DeviceReport,
    device_report,
    is_impersonal,
)


@pytest.mark.parametrize(
    "statement",
    [
        "Normal sinus rhythm",
        "ABNORMAL ECG",
        "Sinus bradycardia, rate< 50",
        "Atrial fibrillation with rapid ventricular response",
        "Inferior infarct, acute (LCx), ST>0.10mV, II III aVF, STd V1-V3",
        "2:1 AV block",
        "Left axis deviation, QRS axis < -30",
        ">>> Acute MI <<<",
        "Nonspecific intraventricular conduction delay, QRSd >115mS, not LBBB/RBBB",
        "SINUS RHYTHM, normal P axis, V-rate 50-99",
        "Cannot rule out Anterior infarct, age undetermined",
        "Left ventricular hypertrophy with repolarization abnormality",
        "Wolff-Parkinson-White pattern",
    ],
)
def test_statements_of_devices_are_kept(statement: str) -> None:
    assert device_report([statement], {}).statements


@pytest.mark.parametrize(
    "statement",
    [
        "Confirmed by Smith, John MD",
        "Confirmed by SMITH MD, J. (342) on 12/24/2008 8:45:00 AM",
        "Electronically signed by A. Meyer",
        "When compared with ECG of 12-DEC-2008 10:15, no significant change",
        "When compared with ECG of 12-12-2008, no change",
        "Normal ECG at 10:15",
        "Normal ECG, 2008",
        "Normal ECG, 123456",
        "Normal ECG, 1/2/08",
        "Sinus rhythm, Müller",
        "Normal ECG, 王伟",
        "White, W",
        "Parkinson J",
        "Block",
        "P R",
        "12",
        "Normal ECG, jdoe@hospital.example",
    ],
)
def test_statements_that_may_say_who_or_when_are_withheld(statement: str) -> None:
    report = device_report([statement], {})
    assert (report.statements, report.withheld) == ((), 1)


@given(st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=12))
def test_no_word_outside_the_vocabulary_gets_through(word: str) -> None:
    assert is_impersonal(f"Normal ECG, {word}") == (word.lower() in VOCABULARY)


@given(st.integers(1000, 10**12))
def test_no_long_number_gets_through(number: int) -> None:
    assert not is_impersonal(f"Normal ECG {number}")


def test_statements_are_bounded_in_number_and_length() -> None:
    report = device_report(["normal " * 100, *[f"Sinus rhythm, rate {n}" for n in range(100)]], {})
    assert len(report.statements) == MAX_STATEMENTS
    assert max(map(len, report.statements)) <= MAX_CHARACTERS
    assert report.withheld == 101 - MAX_STATEMENTS


@pytest.mark.parametrize("value", ["29999", "-1", "", "0", "x", None, math.nan, "1e999"])
def test_what_was_not_measured_is_left_out(value: str | float | None) -> None:
    assert device_report([], {"heart_rate_bpm": value}) == DeviceReport()


def test_a_report_says_what_there_is_and_nothing_else() -> None:
    assert device_report(["- NORMAL  ECG -", ""], {"qrs_ms": "92", "pr_ms": None}).as_json() == {
        "statements": ["NORMAL ECG"],
        "qrs_ms": 92.0,
    }
    assert DeviceReport().as_json() == {}
