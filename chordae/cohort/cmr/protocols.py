"""What a vendor calls its cardiac sequences and writes about them, in the hospital's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chordae.cohort.sites import CmrScanner

Kind = Literal["localiser", "cine", "t1", "t2", "stir", "late"]

_VIEWS = {
    "en": {"short axis": "SAX", "2-chamber": "2ch", "3-chamber": "3ch", "4-chamber": "4ch"},
    "de": {
        "short axis": "kurze Achse",
        "2-chamber": "2-Kammerblick",
        "3-chamber": "3-Kammerblick",
        "4-chamber": "4-Kammerblick",
    },
    "fr": {
        "short axis": "petit axe",
        "2-chamber": "2 cavites",
        "3-chamber": "3 cavites",
        "4-chamber": "4 cavites",
    },
}
_WORDS = {
    "en": {"cine": "cine", "late": "LGE", "study": "Cardiac MRI"},
    "de": {"cine": "Kino", "late": "Spaetanreicherung", "study": "MRT Herz"},
    "fr": {"cine": "cine", "late": "rehaussement tardif", "study": "IRM cardiaque"},
}
_NAMES: dict[str, dict[Kind, str]] = {
    "SIEMENS": {
        "localiser": "localizer",
        "cine": "{cine}_tf2d16_retro_iPAT_{view}",
        "t1": "MyoMaps_T1map_MOLLI_{view}_T1",
        "t2": "MyoMaps_T2map_{view}_T2",
        "stir": "t2_tirm_db_{view}",
        "late": "{late}_tfl_{view}",
    },
    "Philips Medical Systems": {
        "localiser": "Survey_3PL",
        "cine": "sBTFE_{cine}_{view}",
        "t1": "T1map_MOLLI_{view}",
        "t2": "T2map_GraSE_{view}",
        "stir": "T2W_STIR_BB_{view}",
        "late": "{late}_IR_TFE_{view}",
    },
    "GE MEDICAL SYSTEMS": {
        "localiser": "3-plane Loc SSFSE",
        "cine": "FIESTA CINE {view}",
        "t1": "SmartT1Map {view}",
        "t2": "T2 Map {view}",
        "stir": "T2 Triple IR {view}",
        "late": "MDE {late} {view}",
    },
}


@dataclass(frozen=True)
class Protocol:
    """Of one series; times in ms."""

    kind: Kind
    description: str
    sequence_name: str
    """SequenceName, as Siemens writes it; the others leave it out."""
    scanning: str
    variant: str
    repetition: float
    echo: float
    flip: float
    inversion: float | None = None
    train: int = 1
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "M", "ND")
    scale: float = 1.0
    """Stored values for one unit: of blood's signal, or of a ms."""
    slope: float | None = None
    """RescaleSlope, where the vendor writes it."""


_BLOOD = {"SIEMENS": 240.0, "Philips Medical Systems": 400.0, "GE MEDICAL SYSTEMS": 300.0}
"""Stored value of blood in the cine: of no meaning, and different everywhere."""


def protocol(kind: Kind, view: str, scanner: CmrScanner) -> Protocol:
    """The series of that kind and view (`short axis`, `4-chamber`, ...) on that scanner."""
    words, vendor = _WORDS[scanner.language], scanner.vendor
    description = _NAMES[vendor][kind].format(view=_VIEWS[scanner.language].get(view, view), **words)
    if vendor != "GE MEDICAL SYSTEMS":
        description = description.replace(" ", "_")
    blood = _BLOOD[vendor]
    if kind in ("t1", "t2"):
        return _map(kind, description, vendor)
    if kind == "late":
        return Protocol(kind, description, "*tfl2d1_23", "GR\\IR", "SK\\SP", 750, 1.6, 20, 290, scale=1.2 * blood)
    if kind == "stir":
        return Protocol(kind, description, "*tir2d1_23", "SE\\IR", "SK\\SP", 1600, 62, 180, 170, 23, scale=blood)
    name = "*tfi2d1_14" if kind == "cine" else "*tfi2d1_160"
    types = ("ORIGINAL", "PRIMARY", "M", "ND") if kind == "cine" else ("ORIGINAL", "PRIMARY", "LOCALIZER", "ND")
    return Protocol(kind, description, name, "GR", "SK\\SS", 38, 1.3, 55, image_type=types, scale=blood)


def _map(kind: Kind, description: str, vendor: str) -> Protocol:
    """Siemens MyoMaps stores T2 in tenths of a ms without saying so, Philips rescales, GE stores ms."""
    types = ("DERIVED", "PRIMARY", f"{kind.upper()} MAP", "ND")
    scale, slope = 1.0, None
    if vendor == "Philips Medical Systems":
        slope = 0.5 if kind == "t1" else 0.1
        scale = 1 / slope
    elif vendor == "SIEMENS" and kind == "t2":
        scale = 10.0
    if kind == "t1":
        return Protocol(kind, description, "*tfi2d1_30", "GR\\IR", "SK\\SS", 280, 1.1, 35, 160, 1, types, scale, slope)
    return Protocol(kind, description, "*tfi2d1_48", "GR", "SK\\SS", 207, 1.3, 12, None, 1, types, scale, slope)


def study_description(scanner: CmrScanner) -> str:
    """Of the whole examination."""
    return _WORDS[scanner.language]["study"]
