"""What was fitted for one version of an expert's weights: alpha and threshold, and on what they rest.

Stored beside the weights. A calibration of other weights is none: it says nothing about these.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from chordae.platform.errors import BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Noun
from chordae.platform.weights import CALIBRATION


class Calibration(Noun):
    """alpha and threshold of `platform.probing.confidence`, and the held-out answers that they were fitted on."""

    alpha: float = Field(ge=0, le=1, description="Weight of rephrase agreement; the rest weighs the image delta")
    threshold: float = Field(ge=0, le=1, description="Confidence below this is flagged")
    weights: str = Field(min_length=1, description="Digest of the weights that answered")
    split: str = Field(description="Held-out dataset")
    questions: str = Field(description="SHA-256 of its questions (cohort.items.checksum)")
    n: int = Field(ge=1, description="Answers scored, over all conditions")
    correct: int = Field(ge=1, description="Of those with the picture present, the correct ones")
    coverage: float = Field(ge=0, le=1, description="Share of the correct answers that is not flagged")
    coverage_interval: tuple[float, float] = Field(description="95 %, over patients")
    negatives: int = Field(ge=1, description="Answers to questions whose truth is negative, over all conditions")
    patients: int = Field(ge=1, description="Patients of whom those are")
    mirages: int = Field(ge=0, description="Mirages among them before gating; after gating there is none")
    mirage_bound: float = Field(ge=0, le=1, description="Upper 95 % bound of the gated mirage rate, over patients")
    date: str = Field(description="ISO 8601")


def read_calibration(checkpoint: Path, digest: str) -> Calibration | None:
    """What was fitted for the weights of that digest.

    Args:
        checkpoint: the weights' directory.
        digest: theirs, as `weights.identify` tells.

    Returns:
        None where nothing was, or only for other weights: the caller serves its conservative default, and says so.

    Raises:
        BadSettings: there is a file, and it cannot be read.
    """
    path = checkpoint / CALIBRATION
    if not path.is_file():
        return None
    try:
        found = Calibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise BadSettings(
            f"{path} is no calibration ({key}: {first['msg']})", "run `chordae calibrate` again, or delete it"
        ) from error
    return found if found.weights == digest else None


def write_calibration(checkpoint: Path, calibration: Calibration) -> Path:
    """Keep it beside the weights, whole or not at all; one of other weights is replaced. Returns the file."""
    path = checkpoint / CALIBRATION
    write_atomically(path, (calibration.model_dump_json(indent=1) + "\n").encode())
    path.chmod(0o644)  # temporary files are the owner's alone; replicas may run as somebody else
    return path
