"""Spreadsheets become records, a row a patient, by a mapping; the hundred real rows of ACDC do."""

import csv
from collections import Counter
from fractions import Fraction
from math import lcm
from pathlib import Path

import pytest
from pydantic import ValidationError

from chordae.cohort.record import INDEXED, RV_EF, WALL
from chordae.platform.diagnosis.examine import examine
from chordae.platform.diagnosis.record import UNITS
from chordae.platform.errors import BadInput, BadSettings
from chordae.preprocessing.records import Column, Mapping, load_mapping, read_records

ACDC = Path("configs/records/acdc.yaml")
MAPPING = Mapping(
    columns={
        "EF (0-1)": Column(parameter="LV EF", unit="fraction", low=53, high=74),
        "EDV": Column(parameter="LV EDV", unit="uL", low="EDV low", high="EDV high"),
        "mass/2": Column(parameter="LV mass", unit="g", factor=2, low={"female": 80, "male": 110}, digits=0),
    },
    patient="id",
    sex="sex",
    age="age",
    description="findings",
)
HEADER = "id,sex,age,EF (0-1),EDV,EDV low,EDV high,mass/2,findings,other"


def _file(folder: Path, *lines: str, name: str = "records.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def test_a_row_becomes_a_record_in_the_units_that_are_kept(tmp_path: Path) -> None:
    row = '17,F,54,0.409,130000,99000,199000,50.3,"Enlarged left ventricle; no effusion.",x'
    for encoding in ("utf-8", "utf-8-sig"):
        [read] = read_records(_file(tmp_path, HEADER, row, "", encoding=encoding), MAPPING)
        ef, edv, mass = read.record.parameters
        assert (ef.value, ef.unit, ef.flag) == (pytest.approx(0.409 * 100), "%", "low")
        assert (edv.value, edv.low, edv.high) == (130000 / 1000, 99, 199)
        assert (mass.value, mass.low, mass.high) == (101, 80, None)  # 2 * 50.3 = 100.6
        assert (read.record.sex, read.record.age, read.record.patient_key) == ("female", 54, "17")
        assert [one.text for one in read.record.description] == ["Enlarged left ventricle;", "no effusion."]
        assert read.problems == () and read.where == "row 1"


def test_what_a_row_lacks_or_garbles_is_told_and_the_next_row_read(tmp_path: Path) -> None:
    rows = ["1,?,old,x,,,,50,,", "2,M,60,0.6,130000,,,", "3,男,60,0.6,,,,50,,"]
    garbled, short, whole = read_records(_file(tmp_path, HEADER, *rows), MAPPING)
    assert [one.kind for one in garbled.problems] == ["unreadable"] * 3
    assert [one.name for one in garbled.record.parameters] == ["LV mass"]
    assert garbled.record.parameters[0].low is None  # which of the sexes' limits it is, is not known
    assert short.record.parameters == () and "8 cells" in short.problems[0].text
    assert whole.problems == () and whole.record.sex == "male"


def test_columns_named_as_records_name_them_need_no_mapping(tmp_path: Path) -> None:
    lines = ("patient\tLV EF\tLV EF low\tLV EF high\tdescription", "7\t40.9\t59\t83\tNo effusion")
    [read] = read_records(_file(tmp_path, *lines, name="records.tsv"))
    assert read.record.parameters[0].flag == "low" and read.record.description[0].text == "No effusion"


def test_numbers_that_programs_write_with_all_their_digits_are_read(tmp_path: Path) -> None:
    values = (0.1 + 0.2, 1 / 30, 5e-324, 1e22 / 1e20)
    rows = [f"{number},{value!r}" for number, value in enumerate(values)]
    read = read_records(_file(tmp_path, "patient,LV EF", *rows))
    assert [one.record.parameters[0].value for one in read] == [0.3, 0.03, 0, 100]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((HEADER,), "no rows"),
        ((), "no rows"),
        (("id,sex", "1,F"), "has no column EF"),
        ((HEADER + ",EDV", "1,F,1,1,1,1,1,1,1,1,1"), "more than one column EDV"),
        ((HEADER, '1,"F'), "not a table"),
    ],
)
def test_a_file_that_does_not_fit_its_mapping_is_refused(tmp_path: Path, lines: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        read_records(_file(tmp_path, *lines), MAPPING)


def test_files_of_other_kinds_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="CSV UTF-8"):
        read_records(_file(tmp_path, "", name="records.xls"))
    with pytest.raises(BadInput, match="not UTF-8"):
        read_records(_file(tmp_path, HEADER, "1,女,左心室扩大", encoding="gb18030"))
    with pytest.raises(BadInput, match="no file of records"):
        read_records(_file(tmp_path, "", name="records.pdf"))
    with pytest.raises(BadInput, match="cannot be read"):
        read_records(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match="named as records name parameters"):
        read_records(_file(tmp_path, "a,b", "1,2"))


def test_a_mapping_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for wrong in ({"parameter": "EF", "unit": "%"}, {"parameter": "LV EF", "unit": "mL"}, {"parameter": "LV EF"}):
        with pytest.raises(ValidationError):
            Mapping.model_validate({"columns": {"EF": wrong}})
    with pytest.raises(ValidationError, match="two columns"):
        Mapping(columns={name: Column(parameter="LV EF", unit="%") for name in ("a", "b")})
    for text in ("columns: {}", "columns: [", "columns: {a: {parameter: LV EF, unit: stone}}"):
        with pytest.raises(BadSettings):
            load_mapping(_file(tmp_path, text, name="mapping.yaml"))
    with pytest.raises(BadSettings):
        load_mapping(tmp_path / "absent.yaml")


def test_the_mapping_of_acdc_has_the_cohorts_ranges_for_either_sex() -> None:
    """1.71 and 1.91 m2: mean body surface of women and men (Sacco et al., PLoS ONE 2010;5:e8933)."""
    columns = {one.parameter: one for one in load_mapping(ACDC).columns.values()}
    for name in INDEXED["female"]:
        assert columns[name].low == round(INDEXED["female"][name][0] * 1.71)
        assert columns[name].high == round(INDEXED["male"][name][1] * 1.91)
    assert (columns["RV EF"].low, columns["RV EF"].high) == RV_EF
    assert (columns["Wall thickness"].low, columns["Wall thickness"].high) == WALL["male"]


@pytest.mark.real_data
def test_the_hundred_patients_of_acdc_are_read_in_their_units(real_data: Path) -> None:
    folder = real_data / "cmr_tabular" / "acdc_features"
    read = read_records(folder / "Cardiac_parameters_training.csv", load_mapping(ACDC))
    assert Counter(one.category for one in read) == {
        "dilated cardiomyopathy": 20,
        "hypertrophic cardiomyopathy": 20,
        "myocardial infarction": 20,
        "normal": 20,
        "right-ventricular abnormality": 20,
    }
    for one in read:
        assert one.problems == () and len(one.record.parameters) == 8 and one.record.description == ()
        # in the right units nothing is impossible, and EF follows from the volumes
        assert {problem.kind for problem in examine(one.record).problems} == {"missing", "no description"}
    first = {one.name: one.value for one in read[0].record.parameters}
    assert first["LV EF"] == 14.2 and first["LV EDV"] == 334 and first["LV mass"] == 164
    assert set(first) < set(UNITS)


@pytest.mark.real_data
def test_every_value_of_acdc_is_what_the_table_says_by_arithmetic_of_its_own(real_data: Path) -> None:
    path = real_data / "cmr_tabular" / "acdc_features" / "Cardiac_parameters_training.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = {  # mm3 to mL, volume of muscle to g, fraction to percent
        "LV EF": ("EF(LV)", 100, 0.05),
        "LV EDV": ("ED[vol(LV)]", 1e-3, 0.5),
        "LV ESV": ("ES[vol(LV)]", 1e-3, 0.5),
        "LV mass": ("ED[mass(MYO)]", 1.05e-3, 0.5),
        "Wall thickness": ("ED[max(mean(MWT|SA)|LA)]", 1, 0.5),
        "RV EF": ("EF(RV)", 100, 0.05),
        "RV EDV": ("ED[vol(RV)]", 1e-3, 0.5),
        "RV ESV": ("ES[vol(RV)]", 1e-3, 0.5),
    }
    for row, one in zip(rows, read_records(path, load_mapping(ACDC)), strict=True):
        assert one.record.patient_key == row["Name"]
        assert {parameter.name for parameter in one.record.parameters} == set(kept)
        for parameter in one.record.parameters:
            column, factor, half = kept[parameter.name]
            assert abs(parameter.value - factor * float(row[column])) <= half + 1e-9


@pytest.mark.real_data
def test_what_acdc_calls_mass_is_a_volume(real_data: Path) -> None:
    """Volumes are whole numbers of voxels. The largest voxel of which a row's five volumes are whole numbers divides
    its mass too, which it would not divide had that been multiplied by the density of muscle."""
    path = real_data / "cmr_tabular" / "acdc_features" / "Cardiac_parameters_training.csv"
    volumes = ("ED[vol(LV)]", "ES[vol(LV)]", "ED[vol(RV)]", "ES[vol(RV)]", "ES[vol(MYO)]")
    found = Counter[tuple[bool, bool]]()
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            values = [float(row[name]) for name in volumes]
            ratios = [Fraction(value / values[0]).limit_denominator(200_000) for value in values]
            voxel = values[0] / lcm(*(ratio.denominator for ratio in ratios))
            counts = (float(row["ED[mass(MYO)]"]) / voxel / density for density in (1, 1.05))
            found[tuple(abs(count - round(count)) < 1e-3 for count in counts)] += 1
    assert found[True, False] > 90
    assert found[False, True] == 0
