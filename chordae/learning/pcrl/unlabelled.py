"""Prospective records as PCRL takes them: opaque ids, the record as it was examined, and no category at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field

from chordae.cohort.dataset import read_rows, write_rows
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadInput
from chordae.platform.noun import Noun

RECORDS = "records.jsonl"


class Unlabelled(Noun):
    """A record that nobody has judged."""

    id: str = Field(min_length=1, description="Opaque")
    site: str = Field(description="For its stratum; never part of a prompt")
    record: CmrRecord = Field(description="Without the patient's key")


def write_unlabelled(directory: Path, records: Iterable[Unlabelled]) -> None:
    """Write `records.jsonl`, whole or not at all, without patients' keys."""
    directory.mkdir(parents=True, exist_ok=True)
    nobodys = (one.model_copy(update={"record": _nobodys(one.record)}) for one in records)
    write_rows(directory / RECORDS, nobodys)


def read_unlabelled(directories: Sequence[Path]) -> dict[str, Unlabelled]:
    """The records of all these directories, by id.

    Raises:
        BadInput: none in one of them, a line that is none, or an id that is there twice.
    """
    read = [one for directory in directories for one in read_rows(directory / RECORDS, Unlabelled)]
    by_id = {one.id: one for one in read}
    if len(by_id) < len(read):
        raise BadInput("an unlabelled record is there twice", "name every directory once")
    return by_id


def _nobodys(record: CmrRecord) -> CmrRecord:
    return record.model_copy(update={"patient_key": None})
