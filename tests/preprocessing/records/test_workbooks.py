"""A workbook reads as the CSV file of the same cells; what is no value in it is said by its column; no file harms."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.platform.errors import BadInput
from chordae.preprocessing.records import Column, Mapping, read_records

openpyxl = pytest.importorskip("openpyxl")
from chordae.preprocessing.records import workbook  # noqa: E402 - needs openpyxl

MAPPING = Mapping(
    columns={
        "EF (0-1)": Column(parameter="LV EF", unit="fraction", low=53, high=74),
        "EDV": Column(parameter="LV EDV", unit="uL", low="EDV low", high={"female": 187, "male": 199}),
    },
    patient="id",
    sex="sex",
    age="age",
    description="findings",
)
HEADER = ["id", "sex", "age", "EF (0-1)", "EDV", "EDV low", "findings", "other"]
SHEET = "xl/worksheets/sheet1.xml"


def book(*rows: list[Any], more: dict[str, list[list[Any]]] | None = None, hidden: tuple[str, ...] = ()) -> bytes:
    whole = openpyxl.Workbook()
    for row in rows:
        whole.active.append(row)
    for title, lines in (more or {}).items():
        sheet = whole.create_sheet(title)
        for row in lines:
            sheet.append(row)
    for title in hidden:
        whole[title].sheet_state = "hidden"
    content = io.BytesIO()
    whole.save(content)
    return content.getvalue()


def changed(content: bytes, change: Callable[[str], str], part: str = SHEET) -> bytes:
    """The same workbook, one of its parts rewritten."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, change(data.decode()).encode() if name == part else data)
    return written.getvalue()


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "records.xlsx"
    path.write_bytes(content)
    return path


def exported(value: Any) -> Any:
    """As spreadsheets write a cell to CSV."""
    return f"{value:.15g}" if isinstance(value, float) else "" if value is None else value


CELLS = st.one_of(
    st.none(),
    st.integers(-10, 10**6),
    st.floats(-10, 1e6).map(lambda value: float(f"{value:.15g}")),
    st.sampled_from(["", "F", "男", "n/a", "0,409", "54", "#N/A", "=", "x", "Enlarged left ventricle; no effusion."]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12).filter(
        lambda text: "=" not in text
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=8, max_size=8), min_size=1, max_size=5))
def test_it_reads_as_the_csv_file_of_the_same_cells(tmp_path_factory: Any, rows: list[list[Any]]) -> None:
    folder = tmp_path_factory.mktemp("both")
    with (folder / "records.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *([exported(one) for one in row] for row in rows)])
    path = saved(folder, book(HEADER, *rows))
    try:
        expected = read_records(folder / "records.csv", MAPPING)
    except BadInput as refused:
        with pytest.raises(BadInput, match="holds no rows"):
            read_records(path, MAPPING)
        assert "holds no rows" in str(refused)
        return
    assert read_records(path, MAPPING) == expected


def test_a_row_becomes_a_record_in_the_units_that_are_kept(tmp_path: Path) -> None:
    row = [17, "F", 54, 0.409, 130000, 99000, "Enlarged left ventricle; no effusion.", None]
    [read] = read_records(saved(tmp_path, book([], HEADER, row, [])), MAPPING)
    ef, edv = read.record.parameters
    assert (ef.value, ef.unit, ef.flag) == (40.9, "%", "low")
    assert (edv.value, edv.low, edv.high) == (130, 99, 187)
    assert (read.record.sex, read.record.age, read.record.patient_key) == ("female", 54, "17")
    assert read.problems == () and read.where == "row 1"


def test_of_a_formula_the_stored_value_is_read_and_one_that_has_none_is_told(tmp_path: Path) -> None:
    content = book(["LV EF", "LV EDV"], ["=0.4+0.009", "=65*2"])
    [read] = read_records(saved(tmp_path, content))
    assert read.record.parameters == ()
    assert [one.text for one in read.problems] == [
        f"The cell of column {name} is a formula without a stored value and was left out."
        for name in ("LV EF", "LV EDV")
    ]
    stored = changed(content, lambda text: text.replace("<v></v>", "<v>40.9</v>").replace("<v />", "<v>40.9</v>"))
    [read] = read_records(saved(tmp_path, stored))
    assert [one.value for one in read.record.parameters] == [40.9, 40.9]
    assert read.problems == ()


@pytest.mark.parametrize("moment", [date(2026, 4, 9), datetime(2026, 4, 9, 12, 1), time(9, 40)], ids=str)
def test_a_date_is_never_a_value_and_its_column_is_named(tmp_path: Path, moment: Any) -> None:
    row = [moment, "F", moment, moment, 130000, 99000, moment, moment]
    [read] = read_records(saved(tmp_path, book(HEADER, row)), MAPPING)
    assert [one.name for one in read.record.parameters] == ["LV EDV"]
    assert (read.record.patient_key, read.record.age, read.record.description) == (None, None, ())
    told = {one.text for one in read.problems}
    assert told == {
        f"The cell of column {name} is a date and was left out." for name in ("id", "age", "EF (0-1)", "findings")
    }


def test_of_several_sheets_the_mapping_names_one_and_hidden_ones_do_not_count(tmp_path: Path) -> None:
    first, second = [["LV EF"], [40]], [["LV EF"], [50]]
    path = saved(tmp_path, book(*first, more={"2026": second}))
    with pytest.raises(BadInput, match="shows sheets Sheet, 2026"):
        read_records(path)
    named = Mapping(columns={"LV EF": Column(parameter="LV EF", unit="%")}, sheet="2026")
    assert read_records(path, named)[0].record.parameters[0].value == 50
    with pytest.raises(BadInput, match="has no sheet 2027"):
        read_records(path, named.model_copy(update={"sheet": "2027"}))
    hidden = saved(tmp_path, book(*first, more={"2026": second}, hidden=("2026",)))
    assert read_records(hidden)[0].record.parameters[0].value == 40


def test_the_size_that_a_sheet_gives_of_itself_is_not_believed(tmp_path: Path) -> None:
    content = book(["LV EF", "LV EDV"], [40, 130], [50, 140])
    for size in ("A1", "A1:XFD1048576"):
        lying = changed(content, lambda text, size=size: text.replace('ref="A1:B3"', f'ref="{size}"'))
        assert lying != content
        read = read_records(saved(tmp_path, lying))
        assert [one.record.parameters[1].value for one in read] == [130, 140]


def test_a_row_with_more_cells_than_the_header_is_not_read(tmp_path: Path) -> None:
    short, long = read_records(saved(tmp_path, book(["LV EF", "LV EDV"], [40], [40, 130, 1])))
    assert [one.name for one in short.record.parameters] == ["LV EF"]
    assert long.record.parameters == () and "3 cells" in long.problems[0].text


def test_rows_columns_and_what_is_unpacked_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[list[Any]] = [["LV EF", "LV EDV"], [40, 130], [50, 140]]
    path = saved(tmp_path, book(*rows))
    monkeypatch.setattr(workbook, "MOST_ROWS", 2)
    assert len(read_records(path)) == 2
    monkeypatch.setattr(workbook, "MOST_ROWS", 1)
    with pytest.raises(BadInput, match="more than 1 rows"):
        read_records(path)
    monkeypatch.undo()
    far = [
        changed(path.read_bytes(), lambda text, last=last: text.replace('r="3"', f'r="{last}"'))
        for last in (1000, 10**9)
    ]
    assert len(read_records(saved(tmp_path, far[0]))) == 2  # nothing that lies far below is lost
    monkeypatch.setattr(workbook, "LAST_ROW", 2000)
    with pytest.raises(BadInput, match="rows"):
        read_records(saved(tmp_path, far[1]))
    monkeypatch.undo()
    wide = book(["LV EF"] + [None] * workbook.MOST_COLUMNS + ["x"], [40])
    with pytest.raises(BadInput, match="columns"):
        read_records(saved(tmp_path, wide))
    bomb = changed(book(*rows), lambda text: text.replace("</sheetData>", "</sheetData>" + " " * 2**20))
    monkeypatch.setattr(workbook, "LARGEST", 2**20)
    with pytest.raises(BadInput, match="unpacks to more"):
        read_records(saved(tmp_path, bomb))


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "40"><!ENTITY b "&a;&a;">]>'
    content = changed(book(["LV EF"], [40]), lambda text: bomb + text.replace("<v>40</v>", "<v>&b;</v>"))
    with pytest.raises(BadInput, match="not a workbook"):
        read_records(saved(tmp_path, content))


@pytest.mark.filterwarnings("ignore::UserWarning")  # openpyxl's, of what it leaves out
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_and_never_a_crash(tmp_path_factory: Any, data: Any) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    try:
        read_records(saved(tmp_path_factory.mktemp("damaged"), bytes(content[:cut])))
    except BadInput as refused:
        assert "records.xlsx" in str(refused)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None)
@given(st.sampled_from([SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml"]), st.data())
def test_xml_that_says_something_else_is_refused_or_read_and_never_a_crash(
    tmp_path_factory: Any, part: str, data: Any
) -> None:
    def change(text: str) -> str:
        start = data.draw(st.integers(0, len(text) - 1))
        stop = data.draw(st.integers(start, min(len(text), start + 40)))
        put = data.draw(st.sampled_from(["", "0", "-1", "99999999999", "x", '"', "<c/>", "&#0;", "A1:", "e"]))
        return text[:start] + put + text[stop:]

    try:
        read_records(saved(tmp_path_factory.mktemp("changed"), changed(WHOLE, change, part)))
    except BadInput as refused:
        assert "records.xlsx" in str(refused)


WHOLE = book(["LV EF", "description"], [40.9, "No effusion"], [date(2026, 4, 9), "=1+1"])
