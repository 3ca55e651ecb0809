"""Records with nothing to see: whoever names a category on one and is not flagged has made it up."""

from __future__ import annotations

from itertools import product

from chordae.platform.diagnosis.record import CmrRecord, Finding, Sex

STATEMENTS = (
    "Image quality sufficient",
    "Images of good quality, no further statement",
    "Examination completed without complications",
    "Cine and late enhancement images acquired",
    "Report to follow",
)
AGES = (24, 46, 63, 81)


def bare_records() -> list[CmrRecord]:
    """40 records without a parameter, with one line that says nothing of the heart: always the same."""
    sexes: tuple[Sex, ...] = ("female", "male")
    return [
        CmrRecord(description=(Finding(number=1, text=text),), sex=sex, age=age)
        for text, sex, age in product(STATEMENTS, sexes, AGES)
    ]
