"""What a cell of a spreadsheet holds: text, or something that must not be read as a value."""

from __future__ import annotations

from enum import StrEnum


class Refused(StrEnum):
    """A cell that has no value to take; its words complete "The cell of column LVEF ..."."""

    DATE = "is a date"
    """Spreadsheets make dates of numbers: 1.2 becomes 1 February."""
    UNCALCULATED = "is a formula without a stored value"


Cell = str | Refused
"""Text as it was written; a number as text."""
