"""A file of records to records, by what its name says it is."""

from __future__ import annotations

from pathlib import Path

from chordae.platform.errors import BadInput
from chordae.preprocessing.records.json_records import from_json
from chordae.preprocessing.records.mapping import Mapping
from chordae.preprocessing.records.result import ReadRecord
from chordae.preprocessing.records.table import from_table

LARGEST = 64 * 2**20
"""Bytes of a file of records: some hundred thousand rows."""


def read_records(path: Path, mapping: Mapping | None = None) -> list[ReadRecord]:
    """Read a file of records.

    Args:
        path: `.json` (one record or a list), `.csv`, `.tsv` or `.xlsx` with a header and one row a patient.
        mapping: of a spreadsheet's columns; without one they are named as records name them.

    Raises:
        BadInput: not there, too large, of another kind, or no record in it.
    """
    suffix = path.suffix.lower()
    if suffix in (".xls", ".xlsm", ".xlsb", ".ods"):
        raise BadInput(f"{path.name} is a workbook of a kind that is not read here", "save it as .xlsx or CSV UTF-8")
    if suffix not in (".json", ".csv", ".tsv", ".xlsx"):
        raise BadInput(f"{path.name} is no file of records", "send .json, .csv, .tsv or .xlsx")
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path.name} is larger than {LARGEST >> 20} MiB", "split it")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read", f"{error.strerror}; name another file") from error
    if suffix == ".xlsx":
        from chordae.preprocessing.records.workbook import from_workbook  # openpyxl: only who reads workbooks waits

        return from_workbook(content, path.name, mapping)
    try:
        text = content.decode("utf-8-sig")  # spreadsheets write a byte-order mark
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8", "save it as UTF-8 (in a spreadsheet: CSV UTF-8)") from error
    if suffix == ".json":
        return from_json(text, path.name)
    return from_table(text, path.name, mapping, "\t" if suffix == ".tsv" else ",")
