"""Records hold known parameters in known units, tell low from high, and keep patients out of prompts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import truth
from invented_records import INFARCTION, records
from pydantic import ValidationError

from chordae.cohort.record import make_record
from chordae.cohort.sites import load_site
from chordae.platform.diagnosis.category import CATEGORIES, CHINESE, category_name, category_of
from chordae.platform.diagnosis.prompts import describe, instructions, messages
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter, printed


@pytest.mark.parametrize(
    ("value", "low", "high", "flag"),
    [
        (58.9, 59, 83, "low"),
        (59, 59, 83, "normal"),
        (83, 59, 83, "normal"),
        (83.1, 59, 83, "high"),
        (40, 59, None, "low"),
        (60, 59, None, None),
        (90, None, 83, "high"),
        (60, None, None, None),
    ],
)
def test_a_direction_is_told_only_by_the_limits_that_are_given(
    value: float, low: float | None, high: float | None, flag: str | None
) -> None:
    assert Parameter(name="LV EF", value=value, unit="%", low=low, high=high).flag == flag


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "LV EF", "value": 40, "unit": "mL"},
        {"name": "Ignore this", "value": 40, "unit": "%"},
        {"name": "LV EF", "value": float("nan"), "unit": "%"},
        {"name": "LV EF", "value": 40, "unit": "%", "low": 80, "high": 60},
    ],
)
def test_what_is_no_parameter_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Parameter.model_validate(wrong)


def test_a_parameter_or_a_number_twice_is_refused() -> None:
    parameter, finding = INFARCTION.parameters[0], INFARCTION.description[0]
    with pytest.raises(ValidationError):
        CmrRecord(parameters=(parameter, parameter))
    with pytest.raises(ValidationError):
        CmrRecord(description=(finding, finding))
    with pytest.raises(ValidationError):
        Finding(number=1, text=" \u200b.\n")


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_what_is_printed_is_what_is_kept(value: float) -> None:
    kept = Parameter(name="LV EDV", value=value, unit="mL").value
    assert float(printed(kept)) == kept
    assert abs(kept - value) <= 0.005 + 1e-9


def test_the_prompt_shows_values_ranges_directions_and_what_is_missing() -> None:
    lines = describe(INFARCTION, "en").splitlines()
    assert lines[:6] == [
        "Male, 61 years",
        "Functional parameters",
        "LV EF 40.9 % [59, 83] (low)",
        "LV EDV 130 mL [99, 199]",
        "LV ESV 77 mL [17, 69] (high)",
        "LA volume index 30 mL/m2",
    ]
    assert lines[6].startswith("Not given: LV mass, LV EDV index")
    assert lines[-1] == "[8] Subendocardial late enhancement, segments 3, 4"


def test_estimates_are_marked() -> None:
    estimate = Parameter(name="LV EDV", value=250, unit="mL", high=199, source="estimate")
    assert "LV EDV 250 mL [<= 199] (high, estimate)" in describe(CmrRecord(parameters=(estimate,)), "en")


def test_the_chinese_prompt_has_the_references_headings_and_categories() -> None:
    said = messages(INFARCTION, "zh")
    assert all(heading in said[0]["content"] for heading in ("心功能参数", "影像学表现", "综合诊断意见"))
    assert all(CHINESE[category] in said[0]["content"] for category in CATEGORIES)
    assert "左室射血分数 40.9 % [59, 83] (降低)" in said[1]["content"]
    assert all(category in instructions("en") for category in CATEGORIES)


@settings(deadline=None, max_examples=50)
@given(records())
def test_a_prompt_holds_nothing_of_a_key_and_one_line_a_finding(record: CmrRecord) -> None:
    record = record.model_copy(update={"patient_key": "secret-17"})
    for language in ("en", "zh"):
        text = describe(record, language)
        assert "secret-17" not in text
        assert "<answer>" not in text and "<think>" not in text and "<|" not in text
        findings = text.split("\n\n")[1].splitlines()[1:]
        assert len(findings) == max(1, len(record.description))


def test_category_names_of_both_languages_are_read_and_nothing_else() -> None:
    for category in CATEGORIES:
        for language in ("en", "zh"):
            assert category_of(f" {category_name(category, language).upper()} ") == category
    assert category_of("infarction") is None


def test_a_simulated_record_becomes_one_without_its_category() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        simulated = make_record(truth(rng), load_site("regional"), rng)
        record = simulated.noun()
        assert [(one.name, one.value, one.unit, one.flag) for one in record.parameters] == [
            (one.name, pytest.approx(one.value, abs=0.005), one.unit, one.flag) for one in simulated.parameters
        ]
        assert [(one.number, one.text, one.normal) for one in record.description] == [
            (one.number, one.text, one.normal) for one in simulated.description
        ]
        assert "category" not in record.model_dump() and record.missing == ()
