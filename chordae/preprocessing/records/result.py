"""What reading a file of records gives."""

from __future__ import annotations

from pydantic import Field

from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.schemas import Noun


class ReadRecord(Noun):
    """One record of a file."""

    where: str = Field(description="`row 2` or `record 1`, counted from 1 without the header")
    record: CmrRecord
    problems: tuple[Problem, ...] = Field((), description="What could not be read of it; goes to `examine`")
    category: Category | None = Field(None, description="The known diagnosis, where the mapping names its column")
