"""All that belongs to one version of a model's weights, which changes when they do and only then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chordae.platform.calibration import Calibration, read_calibration
from chordae.platform.canaries import Canaries, read_canaries
from chordae.platform.diagnosis.temperature import Temperature, read_temperature
from chordae.platform.noun import WeightsVersion
from chordae.platform.wanted import Wanted
from chordae.platform.weights import Manifest, identify, read_manifest


@dataclass(frozen=True)
class Loaded:
    """A version, and what was fitted for its very digest."""

    directory: Path
    manifest: Manifest
    weights: WeightsVersion
    calibration: Calibration | None
    temperature: Temperature | None
    canaries: Canaries | None


def look_at(checkpoint: Path) -> Loaded:
    """What a checkpoint says of itself; reads all of its bytes.

    Raises:
        BadSettings: no weights, or a manifest, calibration or temperature that cannot be read.
        BadInput: canary probes that cannot be read.
    """
    weights = identify(checkpoint)
    return Loaded(
        directory=checkpoint,
        manifest=read_manifest(checkpoint),
        weights=weights,
        calibration=read_calibration(checkpoint, weights.digest),
        temperature=read_temperature(checkpoint, weights.digest),
        canaries=read_canaries(checkpoint),
    )


def look_at_version(wanted: Wanted) -> Loaded:
    """`look_at` a registered version, which goes by the registry's name for it. Raises as that does."""
    found = look_at(wanted.directory)
    weights = found.weights.model_copy(update={"name": wanted.model, "version": wanted.version})
    return Loaded(**{**vars(found), "weights": weights})
