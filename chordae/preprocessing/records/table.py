"""Records of a spreadsheet: a header, then one row a patient, its columns mapped to a record's fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import UNITS, CmrRecord, Parameter, Sex
from chordae.platform.errors import BadInput
from chordae.preprocessing.records import fields
from chordae.preprocessing.records.cells import Cell, Refused
from chordae.preprocessing.records.mapping import Column, Limit, Mapping, plain_mapping
from chordae.preprocessing.records.result import ReadRecord

_MAP = "name the columns in a mapping file, as configs/records/acdc.yaml does"


def from_table(text: str, name: str, mapping: Mapping | None, delimiter: str) -> list[ReadRecord]:
    """Records of a delimited text; blank rows are none.

    Args:
        text: the file, without its byte-order mark.
        name: of the file, for messages.
        mapping: of its columns; without one they are named as records name them.
        delimiter: where no mapping says which.

    Raises:
        BadInput: not a table, or as `from_rows`.
    """
    delimiter = delimiter if mapping is None else mapping.delimiter
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise BadInput(f"{name} is not a table: {error}", "save it as CSV with one row a patient") from error
    return from_rows([list[Cell](row) for row in rows], name, mapping)


def from_rows(rows: Sequence[Sequence[Cell]], name: str, mapping: Mapping | None) -> list[ReadRecord]:
    """Records of a header and its rows, wherever they were written; blank rows are none.

    Raises:
        BadInput: no header, no rows, columns that the mapping names are not there, or a column is there twice.
    """
    cells = [[cell if isinstance(cell, Refused) else cell.strip() for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if len(cells) < 2:
        raise BadInput(f"{name} holds no rows", "send a header and one row a patient")
    header = ["" if isinstance(cell, Refused) else cell for cell in cells[0]]
    mapping = mapping or plain_mapping(header)
    if mapping is None:
        raise BadInput(f"{name} has no column that is named as records name parameters ({', '.join(UNITS)})", _MAP)
    absent = [column for column in mapping.needed if column not in header]
    if absent:
        raise BadInput(f"{name} has no column {', '.join(absent)}", _MAP)
    doubled = [column for column in mapping.needed if header.count(column) > 1]
    if doubled:
        raise BadInput(f"{name} has more than one column {', '.join(doubled)}", "give each column its own name")
    return [_read(row, header, mapping, f"row {at}") for at, row in enumerate(cells[1:], start=1)]


def _read(row: list[Cell], header: list[str], mapping: Mapping, where: str) -> ReadRecord:
    problems: list[Problem] = []
    if len(row) != len(header):
        # cells may have shifted into the wrong columns, so that none of them can be trusted
        text = f"The row has {len(row)} cells where the header has {len(header)}; nothing of it was read."
        problem = Problem(kind="unreadable", text=text)
        return ReadRecord(where=where, record=CmrRecord(), problems=(problem,))
    cells = {}
    for column, cell in zip(header, row, strict=True):
        if isinstance(cell, Refused) and column in mapping.needed:
            problems.append(Problem(kind="unreadable", text=f"The cell of column {column} {cell} and was left out."))
        cells[column] = "" if isinstance(cell, Refused) else cell
    sex = fields.sex(_cell(cells, mapping.sex), problems)
    read = {
        column.parameter: _parameter(cells, name, column, sex, problems) for name, column in mapping.columns.items()
    }
    described = _cell(cells, mapping.description) or ""
    record = CmrRecord(
        parameters=tuple(one for one in (read.get(name) for name in UNITS) if one is not None),
        description=fields.findings([(text, None) for text in fields.sentences(described)], problems),
        sex=sex,
        age=fields.age(_cell(cells, mapping.age), problems),
        patient_key=_cell(cells, mapping.patient) or None,
    )
    return ReadRecord(
        where=where, record=record, problems=tuple(problems), category=_category(cells, mapping, problems)
    )


def _parameter(
    cells: dict[str, str], name: str, column: Column, sex: Sex | None, problems: list[Problem]
) -> Parameter | None:
    low, high = (_limit(cells, column, limit, sex, problems) for limit in (column.low, column.high))
    return fields.parameter(
        column.parameter, cells[name], column.scale, low, high, column.source, column.digits, problems
    )


def _limit(
    cells: dict[str, str], column: Column, limit: Limit, sex: Sex | None, problems: list[Problem]
) -> float | None:
    if isinstance(limit, str):
        return fields.limit(column.parameter, cells[limit], column.scale, problems)
    if isinstance(limit, dict):
        return limit.get(sex) if sex is not None else None
    return limit


def _cell(cells: dict[str, str], column: str | None) -> str | None:
    return cells[column] if column is not None else None


def _category(cells: dict[str, str], mapping: Mapping, problems: list[Problem]) -> Category | None:
    if mapping.category is None:
        return None
    given = cells[mapping.category.column]
    if given and given not in mapping.category.values:
        problems.append(Problem(kind="unknown", text="The known diagnosis is not one that the mapping names."))
    return mapping.category.values.get(given)
