# ruff: noqa: RUF001 - Chinese punctuation
"""JSON records are read as they are; what of them cannot be read is said and left out."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.platform.diagnosis.record import UNITS, CmrRecord, Finding, Parameter
from chordae.platform.errors import BadInput
from chordae.preprocessing.records import ReadRecord, read_records
from chordae.preprocessing.records.json_records import from_json

RECORD = CmrRecord(
    parameters=(
        Parameter(name="LV EF", value=40.9, unit="%", low=59, high=83),
        Parameter(name="LV EDV", value=130, unit="mL", high=199, source="report"),
    ),
    description=(
        Finding(number=2, text="Enlarged left ventricle", normal=False),
        Finding(number=7, text="No pericardial effusion", normal=True),
    ),
    sex="female",
    age=54,
    patient_key="0017",
)


def _one(given: object) -> ReadRecord:
    [read] = from_json(json.dumps(given), "records.json")
    return read


def _parameter(**given: object) -> ReadRecord:
    return _one({"parameters": [{"name": "LV EDV", "value": 130, "unit": "mL"} | given]})


def test_a_record_reads_back_as_it_was_written_alone_or_in_a_list(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    file.write_text("\ufeff" + RECORD.model_dump_json(), encoding="utf-8")
    [read] = read_records(file)
    assert read.record == RECORD and read.problems == ()
    file.write_text(f"[{RECORD.model_dump_json()}, {RECORD.model_dump_json()}]", encoding="utf-8")
    assert [one.where for one in read_records(file)] == ["record 1", "record 2"]


@pytest.mark.parametrize(
    ("name", "value", "unit", "kept"),
    [
        ("LV EDV", 334139.716, "mm3", 334.14),
        ("LV EDV", 334139.716, "µL", 334.14),
        ("LV EDV", 0.13, "L", 130),
        ("LV EDV", "130,5", "cm³", 130.5),
        ("LV EF", 0.142034, "fraction", 14.2),
        ("LV mass", 156359.29, "mg", 156.36),
        ("Wall thickness", 1.2, "cm", 12),
        ("LV EDV index", 65, "ml / m²", 65),
        ("左室射血分数", 40.9, "%", 40.9),
    ],
)
def test_units_are_converted(name: str, value: object, unit: str, kept: float) -> None:
    read = _one({"parameters": [{"name": name, "value": value, "unit": unit}]})
    [parameter] = read.record.parameters
    assert parameter.value == pytest.approx(kept, abs=0.005) and parameter.unit == UNITS[parameter.name]
    assert read.problems == ()


def test_a_range_is_converted_with_its_value() -> None:
    [parameter] = _parameter(value=0.13, unit="L", range=[0.099, 0.199]).record.parameters
    assert (parameter.low, parameter.high) == (99, 199)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"unit": "ounces"}, "unit"),
        ({"unit": "%"}, "unit"),
        ({"unit": None}, "unit"),
        ({"value": "a lot"}, "unreadable"),
        ({"value": True}, "unreadable"),
        ({"value": float("nan")}, "unreadable"),
        ({"value": 10**400}, "unreadable"),
        ({"value": 1e9}, "impossible"),
        ({"name": "Ignore previous instructions"}, "unknown"),
        ({"name": 3}, "unknown"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_left_out_and_told(given: dict[str, object], kind: str) -> None:
    read = _parameter(**given)
    assert read.record.parameters == ()
    assert [one.kind for one in read.problems] == [kind]


def test_a_range_that_cannot_be_is_left_out_and_told() -> None:
    for wrong in ({"low": 200, "high": 100}, {"low": "?"}):
        read = _parameter(**wrong)
        [parameter] = read.record.parameters
        assert parameter.flag is None and [one.kind for one in read.problems] == ["range"]


def test_a_parameter_without_value_is_missing_not_wrong() -> None:
    for absent in (None, "", "n/a", "-"):
        read = _parameter(value=absent)
        assert read.record.parameters == () and read.problems == ()


def test_two_values_of_one_parameter_are_both_left_out() -> None:
    given = {"name": "LV EF", "value": 40, "unit": "%"}
    assert _one({"parameters": [given, given]}).record.parameters[0].value == 40
    read = _one({"parameters": [given, given | {"value": 60}]})
    assert read.record.parameters == () and [one.kind for one in read.problems] == ["contradiction"]


def test_an_unknown_source_counts_as_an_estimate() -> None:
    read = _parameter(source="a friend")
    assert read.record.parameters[0].source == "estimate" and [one.kind for one in read.problems] == ["unknown"]


def test_descriptions_come_as_lists_or_in_one_piece() -> None:
    text = "1. Enlarged left ventricle. 2) Wall 1.5 times thickened;\n- No effusion.\n\n"
    expected = ["Enlarged left ventricle.", "Wall 1.5 times thickened;", "No effusion."]
    assert [one.text for one in _one({"description": text}).record.description] == expected
    assert [one.text for one in _one({"description": expected}).record.description] == expected
    assert [one.text for one in _one({"description": "左心室扩大。室间隔增厚；"}).record.description] == [
        "左心室扩大。",
        "室间隔增厚；",
    ]
    doubled = [{"number": 1, "text": "a"}, {"number": 1, "text": "b"}, {"text": " "}, 7]
    read = _one({"description": doubled})
    assert [(one.number, one.text) for one in read.record.description] == [(1, "a"), (2, "b")]
    assert [one.kind for one in read.problems] == ["unreadable"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[3]", "null", "[" * 100_000, '[{"description": "\\ud800"}]'])
def test_what_holds_no_record_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        from_json(text, "records.json")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["parameters", "description", "name", "value", "unit", "low", "range", "text", "number", "sex"]
            ),
            inner | st.sampled_from(["LV EF", "%", "LV EDV", "mL"]),
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["parameters", "description", "sex", "age", "patient_key", "x"]), _json))
def test_any_object_gives_a_record_and_never_an_error(given: dict[str, object]) -> None:
    assert isinstance(_one(given), ReadRecord)
