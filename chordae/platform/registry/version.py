"""What is known of one version of a model's weights, and whether its files still are what was registered."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from chordae.platform.calibration import Calibration, read_calibration
from chordae.platform.canaries import read_canaries
from chordae.platform.diagnosis.temperature import Temperature, read_temperature
from chordae.platform.errors import BadSettings, DamagedVersion
from chordae.platform.noun import Noun, WeightsVersion
from chordae.platform.schemas import Modality
from chordae.platform.weights import CALIBRATION, CANARIES, MANIFEST, TEMPERATURE, VERSION, identify, read_manifest

FITTED = (CALIBRATION, TEMPERATURE, CANARIES)
"""What may come after the weights."""


class ModelVersion(Noun):
    """What `version.json` holds."""

    weights: WeightsVersion
    kind: Literal["reasoner"] | None = Field(None, description="None: a vision-language expert")
    modality: Modality | None = None
    files: dict[str, str] = Field(min_length=1, description="SHA-256 by path below the version's directory")
    lineage: dict[str, Any] = Field(description="Data, configuration and checkpoints before; by digest")
    metrics: dict[str, float | int | str | None] = Field(description="What training measured")
    calibration: Calibration | None = Field(None, description="Of an expert's gate")
    temperature: Temperature | None = Field(None, description="Of the reasoner's probabilities")
    canaries: int = Field(0, ge=0, description="Canary probes")

    @property
    def lacks(self) -> tuple[str, ...]:
        """What it must have before it is promoted, and has not."""
        fitted, file = (self.temperature, TEMPERATURE) if self.kind == "reasoner" else (self.calibration, CALIBRATION)
        return (*(() if fitted else (file,)), *(() if self.canaries else (CANARIES,)))


def describe(directory: Path, files: dict[str, str]) -> ModelVersion:
    """What the files of a checkpoint say, whose digests are `files`.

    Raises:
        BadSettings: its manifest, calibration or temperature cannot be read.
        BadInput: its canary probes cannot.
    """
    weights, manifest = identify(directory), read_manifest(directory)
    said = _manifest(directory)
    canaries = read_canaries(directory)
    try:
        return ModelVersion(
            weights=weights,
            kind=manifest.kind,
            modality=manifest.modality,
            files=dict(sorted(files.items())),
            lineage=said.get("lineage") or {},
            metrics=said.get("metrics") or {},
            calibration=read_calibration(directory, weights.digest),
            temperature=read_temperature(directory, weights.digest),
            canaries=len(canaries.probes) if canaries else 0,
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"{directory / MANIFEST}: {key}: {first['msg']}", "correct the manifest") from error


def read_version(directory: Path) -> ModelVersion:
    """What `version.json` says.

    Raises:
        DamagedVersion: it is missing, or cannot be read.
    """
    path = directory / VERSION
    try:
        return ModelVersion.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DamagedVersion(f"{path} is missing", "register the checkpoint again") from error
    except ValidationError as error:
        raise DamagedVersion(f"{path} is damaged", "register the checkpoint again") from error


def verify_files(directory: Path, recorded: str) -> ModelVersion:
    """Hold a version on disk against what was registered; returns it.

    Args:
        recorded: SHA-256 of its `version.json`, as the registry has it.

    Raises:
        DamagedVersion: names the file that is missing or changed.
    """
    version = read_version(directory)
    if sha256(directory / VERSION) != recorded:
        raise DamagedVersion(f"{directory / VERSION} has changed", "register the checkpoint again")
    for name, digest in version.files.items():
        if not (directory / name).is_file():
            raise DamagedVersion(f"{directory / name} is missing", "register the checkpoint again")
        if sha256(directory / name) != digest:
            raise DamagedVersion(f"{directory / name} has changed", "register the checkpoint again")
    return version


def sha256(path: Path) -> str:
    """Of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(directory: Path) -> dict[str, Any]:
    """All of it; `read_manifest` has looked at it before."""
    path = directory / MANIFEST
    said: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return said
