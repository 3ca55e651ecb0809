"""Which version a replica begins with: the one that is wanted, or, where that cannot be, the settings' own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chordae.deployments.loaded import Loaded, look_at
from chordae.deployments.reconcile import Desired
from chordae.deployments.staging import check_version, same_model
from chordae.platform.errors import ChordaeError
from chordae.platform.wanted import Wanted
from chordae.platform.weights import read_manifest


@dataclass(frozen=True)
class Beginning:
    """What is loaded, and how that came about."""

    loaded: Loaded
    own: Path
    """The settings' checkpoint, to fall back on."""
    wanted: Wanted | None = None
    problem: ChordaeError | None = None
    """Why what is wanted is not what is loaded; or why it is not known."""


def begin(own: Path, desired: Desired | None) -> Beginning:
    """The version to load before anything is served.

    Raises:
        BadSettings: the settings' checkpoint, where it is needed, cannot be served.
    """
    manifest = read_manifest(own)
    if desired is None:
        return Beginning(look_at(own), own)
    wanted = None
    try:
        wanted = desired.wanted(manifest.name)
        if wanted is None:
            return Beginning(look_at(own), own)
        found = check_version(wanted)
        same_model(found, look_at(own))  # the settings' engine is for the settings' architecture, and falls back on it
        return Beginning(found, own, wanted)
    except ChordaeError as error:
        return Beginning(look_at(own), own, wanted, error)
