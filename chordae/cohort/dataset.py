"""What training and evaluation read: one line a study, one line a question, and the media beside them.

A dataset is a directory: `samples.jsonl`, `questions.jsonl` where there are any, and `media/` with the pictures and
videos that preprocessing made of the patients' files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Modality

SAMPLES, QUESTIONS = "samples.jsonl", "questions.jsonl"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(_Row):
    """One study of one patient, and what is true of it."""

    patient: str
    site: str
    modality: Modality
    media: str
    """Path below the dataset."""
    findings: dict[str, str | None]
    """By topic key; none: too near to a limit to be asked about."""
    numbers: dict[str, float]
    """Measured values: rate_bpm, lv_ef, ... by modality."""


class Item(_Row):
    """One question about one study."""

    id: str
    patient: str
    site: str
    modality: Modality
    media: str
    """Path below the dataset."""
    kind: Literal["mcq", "vqa"]
    category: str
    """The reference's: rhythm, LV function, LGE/fibrosis, ..."""
    topic: str
    question: str
    options: tuple[str, ...] = ()
    """Of an MCQ, in the order in which they are lettered."""
    correct: int | None = None
    """Index into `options`."""
    finding: str = ""
    """What is true, by its name in the vocabulary."""
    answer: str
    """The reference answer."""
    claims: tuple[str, ...] = ()
    """The reference answer's atomic claims, each a finding or `name: value unit`."""
    negative: bool = False
    """The truth is that nothing is wrong: a positive finding here would be a mirage or an error."""


Row = TypeVar("Row", bound=BaseModel)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a JSON-lines file.

    Raises:
        BadInput: no such file, nothing in it, or a line that is none; the line's number is named.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise BadInput(f"cannot read {path}", "make the dataset first: docs/train.md") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(kind.model_validate_json(line))
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {error.errors()[0]['msg']}", "make the dataset again") from error
    if not rows:
        raise BadInput(f"{path} is empty", "make the dataset again")
    return rows


def write_rows(path: Path, rows: Iterable[BaseModel]) -> None:
    """Write JSON lines, the file whole or not at all."""
    write_atomically(path, "".join(row.model_dump_json() + "\n" for row in rows).encode())
