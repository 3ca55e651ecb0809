"""Records that nobody has judged, as learning takes them in: examined, pseudonymous, each under an id of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chordae.platform.diagnosis.examine import examine
from chordae.platform.ledger_records import ProspectiveRecord
from chordae.preprocessing.identity import Site
from chordae.preprocessing.records.mapping import Mapping
from chordae.preprocessing.records.reading import read_records
from chordae.preprocessing.records.result import ReadRecord


def read_prospective(
    files: Sequence[Path], mapping: Mapping | None, site: Site
) -> tuple[list[tuple[str, ProspectiveRecord]], list[tuple[str, str]]]:
    """Those of the files that can be learned from, and why the others cannot, each with its place in its file.

    Places are numbers: files' names may be patients' names.

    Raises:
        BadInput: a file that holds no record at all, or whose columns need a mapping.
    """
    taken, refused = [], []
    for at, file in enumerate(files, start=1):
        before = f"file {at}, " if len(files) > 1 else ""
        for read in read_records(file, mapping):
            examined = examine(read.record, read.problems)
            if examined.withheld:
                refused.append((before + read.where, "; ".join(one.text for one in examined.problems)))
            else:
                taken.append((before + read.where, _prospective(read, examined.record.model_dump(mode="json"), site)))
    return taken, refused


def _prospective(read: ReadRecord, content: dict[str, object], site: Site) -> ProspectiveRecord:
    key = read.record.patient_key
    content["patient_key"] = None
    said = read.record.model_dump_json(exclude={"patient_key"})
    return ProspectiveRecord(
        id=site.pseudonym("record", f"{key}\0{said}"),
        site=site.name,
        patient=None if key is None else site.pseudonym("patient", key),
        content=content,
    )
