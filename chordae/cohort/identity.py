"""Who a simulated patient is to a hospital: what the files of all modalities say alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Identity:
    """The patient and the study of one modality."""

    patient_id: str
    name: str
    """As DICOM writes names: family^given."""
    birth_date: str
    """YYYYMMDD."""
    sex: Literal["F", "M"]
    study: str
    """Seed of the unique identifiers."""
    when: datetime
    """When the study began."""
