"""Which version a replica begins with: the one that is wanted, or, where that cannot be, one to fall back on.

Its engine is started from that version's directory, so that it may be of another architecture than the settings' own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chordae.deployments.loaded import Loaded, look_at
from chordae.deployments.reconcile import Desired
from chordae.deployments.staging import check_version, of_one_model
from chordae.platform.errors import ChordaeError
from chordae.platform.wanted import Wanted
from chordae.platform.weights import read_manifest


@dataclass(frozen=True)
class Beginning:
    """What is loaded, and how that came about."""

    loaded: Loaded
    fallback: Callable[[], Loaded]
    """What else could be; may raise ChordaeError."""
    wanted: Wanted | None = None
    problem: ChordaeError | None = None
    """Why what is wanted is not what is loaded; or why it is not known."""
    registered: bool = False
    """A version of the registry is loaded, not the settings' own checkpoint: it is served when it is proven."""


def begin(own: Path, desired: Desired | None, instead: Wanted | None = None) -> Beginning:
    """The version to load before anything is served.

    Args:
        own: the settings' checkpoint, to fall back on.
        desired: says what is wanted; none: the settings' checkpoint.
        instead: for whose sake this replica replaces another (`replacement.py`): falls back on that one, so that nobody
            who serves a promoted version is replaced by the settings' own.

    Raises:
        ChordaeError: neither what is wanted nor what to fall back on can be served.
    """
    manifest = read_manifest(own)
    fallback = partial(look_at, own) if instead is None else partial(check_version, instead)
    if desired is None:
        return Beginning(look_at(own), fallback)
    wanted = None
    try:
        wanted = desired.wanted(manifest.name)
        if wanted is None:
            return Beginning(look_at(own), fallback)
        found = check_version(wanted)
        of_one_model(found, manifest)
        return Beginning(found, fallback, wanted, registered=True)
    except ChordaeError as error:
        return Beginning(fallback(), fallback, wanted, error, registered=instead is not None)
