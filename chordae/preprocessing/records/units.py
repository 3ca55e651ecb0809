"""Units that records come in, and what a value is in the one that is kept (`chordae.platform.diagnosis.record`)."""

from __future__ import annotations

import unicodedata

from chordae.platform.diagnosis.record import UNITS

_VOLUME = {"ml": 1.0, "cm3": 1.0, "cc": 1.0, "mm3": 1e-3, "ul": 1e-3, "l": 1e3, "dl": 100.0}
_MASS = {"g": 1.0, "mg": 1e-3, "kg": 1e3}
_FACTORS: dict[str, dict[str, float]] = {
    "%": {"%": 1.0, "percent": 1.0, "fraction": 100.0},
    "mL": _VOLUME,
    "g": _MASS,
    "mm": {"mm": 1.0, "cm": 10.0},
    "mL/m2": {f"{unit}/m2": factor for unit, factor in _VOLUME.items()},
    "g/m2": {f"{unit}/m2": factor for unit, factor in _MASS.items()},
}
"""By the unit that is kept: what one of another unit is in it."""


def factor_to_kept(name: str, unit: str) -> float | None:
    """What a parameter's value in `unit` is multiplied by to be in the unit that is kept; None: not a unit of it."""
    return _FACTORS[UNITS[name]].get(_plain(unit))


def known_units(name: str) -> str:
    """The units in which a parameter can be given, as a list in words."""
    return ", ".join(_FACTORS[UNITS[name]])


def _plain(unit: str) -> str:
    """`mL/m²`, `ml / m^2` and `ML/M2` are one; so are the micro sign, the Greek letter and u."""
    folded = unicodedata.normalize("NFKC", unit).casefold()
    return "".join(folded.split()).replace("^", "").replace("μ", "u")
