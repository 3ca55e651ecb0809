"""Records hold what was measured, ranges that fit the person, and a description whose mistakes are counted."""

import numpy as np
import pytest
from invented import truth

from chordae.cohort import findings
from chordae.cohort.record import INDEXED, Record, make_record
from chordae.cohort.sites import SiteProfile, Wording, load_site
from chordae.cohort.truth import CATEGORIES, Truth


def _site(omissions: float = 0.0, errors: float = 0.0, ef: tuple[float, float] = (53.0, 74.0)) -> SiteProfile:
    wording = Wording(omissions=omissions, errors=errors, lv_ef_range=ef)
    return load_site("university").model_copy(update={"wording": wording})


def _records(count: int, site: SiteProfile) -> list[tuple[Truth, Record]]:
    rng = np.random.default_rng(0)
    people = [truth(rng) for _ in range(count)]
    return [(person, make_record(person, site, rng)) for person in people]


def test_parameters_are_the_measured_values_in_their_units() -> None:
    for person, record in _records(30, _site()):
        measured, bsa = person.measured, person.bsa
        expected = {
            "LV EF": (measured.lv_ef, "%"),
            "LV EDV": (measured.lv_edv, "mL"),
            "LV ESV": (measured.lv_esv, "mL"),
            "LV mass": (measured.lv_mass, "g"),
            "LV EDV index": (measured.lv_edv / bsa, "mL/m2"),
            "LV mass index": (measured.lv_mass / bsa, "g/m2"),
            "Wall thickness": (max(measured.wall_ed), "mm"),
            "RV EF": (measured.rv_ef, "%"),
            "RV EDV": (measured.rv_edv, "mL"),
            "RV ESV": (measured.rv_esv, "mL"),
            "RV EDV index": (measured.rv_edv / bsa, "mL/m2"),
            "LA volume index": (measured.la_volume / bsa, "mL/m2"),
        }
        assert {one.name for one in record.parameters} == set(expected)
        for one in record.parameters:
            value, unit = expected[one.name]
            assert one.value == pytest.approx(value, abs=0.05 if unit == "%" else 0.5)
            assert one.unit == unit
            assert one.flag == ("low" if one.value < one.low else "high" if one.value > one.high else "normal")


def test_ranges_follow_sex_body_size_and_site() -> None:
    rng = np.random.default_rng(1)
    small, tall = (
        make_record(truth(rng, sex="female", height_cm=height, weight_kg=weight), _site(), rng)
        for height, weight in ((150, 50), (185, 95))
    )
    man = make_record(truth(rng, sex="male", height_cm=185, weight_kg=95), _site(), rng)
    assert small.parameter("LV EDV").high == round(92 * (150 * 50 / 3600) ** 0.5)
    assert small.parameter("LV EDV").high < tall.parameter("LV EDV").high < man.parameter("LV EDV").high
    assert tall.parameter("LV EDV index").high == INDEXED["female"]["LV EDV"][1]
    elsewhere = make_record(truth(rng), _site(ef=(55.0, 75.0)), rng)
    assert (elsewhere.parameter("LV EF").low, elsewhere.parameter("LV EF").high) == (55.0, 75.0)


def test_the_description_is_numbered_and_names_what_is_true() -> None:
    keys = {"lv_function", "rv_function", "lge", "tissue", "pericardial", "wall_motion", "atrium"}
    for person, record in _records(60, _site()):
        assert [one.number for one in record.description] == list(range(1, 11))
        assert record.altered == ()
        said = {one.key: one for one in record.description}
        true = findings.findings(person, "echo") | findings.findings(person, "cmr")
        for key in keys:
            if true[key] is not None:
                assert said[key].text.startswith(str(true[key]))
        assert said["lv_size"].normal == (record.parameter("LV EDV index").flag != "high")
        assert said["wall"].normal == (record.parameter("Wall thickness").flag != "high")


def test_a_site_says_what_its_descriptions_begin_with() -> None:
    usual = _site()
    first = usual.model_copy(update={"wording": Wording(omissions=0, errors=0, begins_with=("tissue", "lge"))})
    for (_, plain), (_, other) in zip(_records(10, usual), _records(10, first), strict=True):
        keys = [one.key for one in other.description]
        assert keys[:2] == ["tissue", "lge"]
        assert keys[2:] == [one.key for one in plain.description if one.key not in ("tissue", "lge")]
        assert [one.number for one in other.description] == list(range(1, len(keys) + 1))
        assert {one.text for one in other.description} == {one.text for one in plain.description}


def test_the_text_has_table_and_description_and_keeps_the_category_apart() -> None:
    for person, record in _records(40, _site()):
        ef = record.parameter("LV EF")
        assert f"LV EF {ef.value:g} % [53, 74]" in record.text
        assert "\n1. " in record.text
        assert record.category == person.category
        assert not any(category in record.text.lower() for category in CATEGORIES if category != "normal")


def test_omissions_and_errors_come_at_their_rates_and_each_is_recorded() -> None:
    made = _records(500, _site(omissions=0.10, errors=0.05))
    altered = [one for _, record in made for one in record.altered]
    total = 500 * 10
    for kind, rate in (("omitted", 0.10), ("wrong", 0.05)):
        count = sum(one.kind == kind for one in altered)
        assert count / total == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / total)), kind
    for person, record in made:
        perfect = make_record(person, _site(), np.random.default_rng(0))
        right = {one.key: one.text for one in perfect.description}
        said = {one.key: one.text for one in record.description}
        missing = {one.key for one in record.altered if one.kind == "omitted"}
        wrong = {one.key for one in record.altered if one.kind == "wrong"}
        assert set(right) - set(said) == missing
        assert {key for key in said if said[key] != right[key]} == wrong
        assert all(one.truth == right[one.key] for one in record.altered)
        assert record.parameters == perfect.parameters, "numbers are never altered"


def test_a_record_survives_its_file() -> None:
    for _, record in _records(5, _site(0.2, 0.2)):
        assert Record.model_validate_json(record.model_dump_json()) == record
