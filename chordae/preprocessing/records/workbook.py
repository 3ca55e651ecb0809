"""Records of a workbook (.xlsx): one sheet, a header, then one row a patient, read as a CSV file of the same cells is.

The one module that imports openpyxl. A workbook is a ZIP of XML from anywhere: what it unpacks to is bounded before it
is opened, openpyxl reads XML through defusedxml, no formula is calculated and no link followed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import date, time, timedelta
from itertools import zip_longest
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook

from chordae.platform.errors import BadInput
from chordae.preprocessing.records.cells import Cell, Refused
from chordae.preprocessing.records.mapping import Mapping
from chordae.preprocessing.records.result import ReadRecord
from chordae.preprocessing.records.table import from_rows

LARGEST = 256 * 2**20
"""Bytes that a workbook may unpack to."""
MOST_ROWS = 100_000
MOST_COLUMNS = 200
LAST_ROW = 1_048_576
"""Of a sheet (ECMA-376, the limit that spreadsheets have); a row that calls itself a later one is no sheet's."""

_MALFORMED = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    EOFError,
    LookupError,
    ValueError,  # with defusedxml's EntitiesForbidden
    TypeError,
    AttributeError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member
    RecursionError,
    OSError,
)
"""What openpyxl and zipfile let through of a file that is no sound workbook: they promise no exception of their own."""


def from_workbook(content: bytes, name: str, mapping: Mapping | None) -> list[ReadRecord]:
    """Records of a workbook.

    Numbers are taken with 15 significant digits, as spreadsheets show them at most. Formulas count as the values that
    were stored with them. A cell that is a date, or a formula without a stored value, is left out and said to be, by
    its column.

    Args:
        content: the file.
        name: of it, for messages.
        mapping: of its columns, and the sheet where there are several; without one, columns are named as records do.

    Raises:
        BadInput: no workbook, too large, several sheets and none named, or as `table.from_rows`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
        if unpacked > LARGEST:
            raise BadInput(f"{name} unpacks to more than {LARGEST >> 20} MiB", "split it, or save the sheet as CSV")
        with _opened(content, stored=True) as values, _opened(content, stored=False) as formulas:
            title = _sheet(values.worksheets, name, mapping)
            rows = list(_rows(values[title], formulas[title], name))
    except _MALFORMED as error:
        raise BadInput(
            f"{name} is not a workbook that can be read",
            "save it again as .xlsx, without a password, or save the sheet as CSV UTF-8",
        ) from error
    return from_rows(rows, name, mapping)


def _opened(content: bytes, stored: bool) -> closing[Any]:
    return closing(load_workbook(io.BytesIO(content), read_only=True, data_only=stored, keep_links=False))


def _sheet(sheets: list[Any], name: str, mapping: Mapping | None) -> str:
    """The title of the one to read: the mapping's, or the only one that is not hidden."""
    titles = [str(one.title) for one in sheets]
    shown = [str(one.title) for one in sheets if one.sheet_state == "visible"]
    wanted = mapping.sheet if mapping is not None else None
    if wanted is not None:
        if wanted not in titles:
            raise BadInput(f"{name} has no sheet {wanted}", f"name one of {', '.join(titles)} in the mapping")
        return wanted
    if len(shown) != 1:
        found = f"sheets {', '.join(shown)}" if shown else "no sheet"
        raise BadInput(f"{name} shows {found}", "name the one with the records in the mapping (sheet: ...)")
    return shown[0]


def _rows(values: Any, formulas: Any, name: str) -> Iterator[list[Cell]]:
    """Rows that hold something, their cells as text; each as long as the header, longer only where it holds more."""
    for one in (values, formulas):
        one.reset_dimensions()  # the size that a file gives of itself may be wrong
    stored, written = (one.iter_rows(values_only=True) for one in (values, formulas))
    width = kept = 0
    for at, (row, formula) in enumerate(zip_longest(stored, written, fillvalue=()), start=1):
        cells = [_cell(value, text) for value, text in zip_longest(row, formula)]
        while cells and not cells[-1]:
            cells.pop()
        if len(cells) > MOST_COLUMNS:
            raise BadInput(f"{name} has more than {MOST_COLUMNS} columns", "keep those that the mapping names")
        kept += bool(cells)
        if kept > MOST_ROWS + 1 or at > LAST_ROW:
            raise BadInput(f"{name} has more than {MOST_ROWS} rows", "split it")
        if cells:
            width = width or len(cells)
            yield cells + [""] * (width - len(cells))


def _cell(value: object, formula: object) -> Cell:
    """A cell's text: its stored value, or why it has none to take."""
    if isinstance(value, date | time | timedelta):
        return Refused.DATE
    if value is None:
        return "" if formula is None else Refused.UNCALCULATED
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)
