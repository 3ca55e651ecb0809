"""How bright each tissue is in each sequence, blood in the cine being 1; maps in ms.

Ratios follow what the sequences weigh: T2/T1 in balanced SSFP, the nulling of normal myocardium in late enhancement,
fat and blood nulled in STIR (Kramer et al., JCMR 2020;22:17; normal maps: Messroghli et al., JCMR 2017;19:75). In SSFP
fat and water are out of phase: fat is negative until the magnitude is taken, so that voxels that hold both are dark,
the "India ink" line around organs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.cmr.anatomy import Organ
from chordae.cohort.heart import BLOOD, Labels, Tissue
from chordae.cohort.truth import TissueTruth

Array = NDArray[np.float32]
Contrast = Callable[[Labels], Array]
"""Signal of labels, of their shape."""

_CINE = {
    Tissue.FAT: -0.72,
    Tissue.FLUID: 1.15,
    Tissue.VESSEL_WALL: 0.36,
    Tissue.AORTA: 1.0,
    Tissue.LA_CAVITY: 0.98,
    Tissue.RA_CAVITY: 0.94,
    Tissue.RV_WALL: 0.37,
    Tissue.RV_CAVITY: 0.95,
    Tissue.MYOCARDIUM: 0.36,
    Tissue.LV_CAVITY: 1.0,
    Tissue.TRABECULAE: 0.40,
    Tissue.PAPILLARY: 0.38,
    Tissue.VALVE: 0.48,
}
_LATE = dict.fromkeys(BLOOD, 0.50) | {
    Tissue.FAT: 0.62,
    Tissue.FLUID: 0.07,
    Tissue.VESSEL_WALL: 0.20,
    Tissue.RV_WALL: 0.12,
    Tissue.MYOCARDIUM: 0.06,
    Tissue.TRABECULAE: 0.12,
    Tissue.PAPILLARY: 0.10,
    Tissue.VALVE: 0.28,
}
_STIR = dict.fromkeys(BLOOD, 0.09) | {
    Tissue.FAT: 0.10,
    Tissue.FLUID: 0.85,
    Tissue.VESSEL_WALL: 0.30,
    Tissue.RV_WALL: 0.26,
    Tissue.MYOCARDIUM: 0.30,
    Tissue.TRABECULAE: 0.26,
    Tissue.PAPILLARY: 0.30,
    Tissue.VALVE: 0.2,
}
_AROUND = {
    "cine": (0.0, -0.86, 0.30, 0.07, -0.62, 0.42, 0.40, 0.52, 0.95, 0.33),
    "late": (0.0, 0.68, 0.20, 0.04, 0.50, 0.30, 0.34, 0.45, 0.50, 0.22),
    "stir": (0.0, 0.62, 0.22, 0.04, 0.14, 0.24, 0.22, 0.60, 0.08, 0.90),
    "t1": (0.0, 330.0, 1000.0, 900.0, 380.0, 620.0, 610.0, 1080.0, 1580.0, 1150.0),
    "t2": (0.0, 78.0, 36.0, 40.0, 72.0, 60.0, 46.0, 78.0, 180.0, 62.0),
}
"""By `Organ`. Under the coil STIR leaves some of the fat bright."""

BLOOD_T1, BLOOD_T2 = {1.5: 1580.0, 3.0: 1880.0}, {1.5: 190.0, 3.0: 150.0}


def around(kind: str, organs: NDArray[np.uint8], field_t: float) -> Array:
    """Signal of what surrounds the heart in a sequence (`cine`, `late`, `stir`) or map (`t1`, `t2`)."""
    table = np.array(_AROUND[kind], np.float32)
    if kind in ("t1", "t2"):
        table[Organ.VESSEL] = (BLOOD_T1 if kind == "t1" else BLOOD_T2)[field_t]
    return np.asarray(table[organs])


def _table(values: dict[Tissue, float]) -> Array:
    """By label."""
    table = np.zeros(len(Tissue), np.float32)
    for tissue, value in values.items():
        table[tissue] = value
    return table


_CINE_TABLE, _LATE_TABLE, _STIR_TABLE = map(_table, (_CINE, _LATE, _STIR))


def cine(inflow: float) -> Callable[[Labels], Array]:
    """Balanced SSFP: bright blood and fluid, dark muscle; `inflow` times the usual blood."""
    table = _CINE_TABLE.copy()
    table[list(BLOOD)] *= np.float32(inflow)
    return lambda labels: np.asarray(table[labels.tissue])


def _ill(labels: Labels) -> Array:
    """How diseased the myocardium is, 0 to 1; nothing else is, whatever depth and lesion say within the cavity."""
    return np.where(labels.tissue == Tissue.MYOCARDIUM, labels.lesion, np.float32(0))


class TissueContrast:
    """Late enhancement, T1, T2 and STIR of one patient's myocardium."""

    def __init__(self, tissue: TissueTruth, field_t: float) -> None:
        self._tissue = tissue
        self.diffuse = tissue.pattern == "diffuse subendocardial"
        self._oedema = float(np.clip((tissue.lesion_t2 - tissue.t2) / 15, 0, 1.2))
        self._t1 = _table(
            dict.fromkeys(BLOOD, BLOOD_T1[field_t])
            | dict.fromkeys((Tissue.TRABECULAE, Tissue.PAPILLARY, Tissue.RV_WALL), float(tissue.native_t1))
            | {Tissue.FAT: 340.0, Tissue.FLUID: 2700.0, Tissue.VESSEL_WALL: 1100.0, Tissue.VALVE: 1200.0}
            | {Tissue.MYOCARDIUM: float(tissue.lesion_t1 if self.diffuse else tissue.native_t1)}
        )
        self._t2 = _table(
            dict.fromkeys(BLOOD, BLOOD_T2[field_t])
            | dict.fromkeys((Tissue.TRABECULAE, Tissue.PAPILLARY, Tissue.RV_WALL, Tissue.MYOCARDIUM), tissue.t2)
            | {Tissue.FAT: 75.0, Tissue.FLUID: 420.0, Tissue.VESSEL_WALL: 60.0, Tissue.VALVE: 60.0}
        )

    def late(self, labels: Labels) -> Array:
        """Late enhancement: scar bright, normal myocardium nulled, blood grey.

        In amyloidosis the blood is dark and the myocardium cannot be nulled (Maceira et al., Circulation 2005;111:186).
        """
        signal = _LATE_TABLE[labels.tissue]
        muscle = labels.tissue == Tissue.MYOCARDIUM
        if self.diffuse:
            signal = np.where(np.isin(labels.tissue, BLOOD), np.float32(0.30), signal)
            signal = np.where(muscle, np.float32(0.22), signal)
        enhanced = np.float32(0.75 if self.diffuse or self._tissue.pattern == "insertion points" else 0.95)
        return np.asarray(np.where(muscle, signal + _ill(labels) * (enhanced - signal), signal))

    def t1(self, labels: Labels) -> Array:
        """Native T1, ms; raised in the lesion, or everywhere where the disease is diffuse."""
        rise = 0 if self.diffuse else self._tissue.lesion_t1 - self._tissue.native_t1
        return np.asarray(self._t1[labels.tissue] + _ill(labels) * np.float32(rise))

    def t2(self, labels: Labels) -> Array:
        """T2, ms; raised in the lesion where there is oedema."""
        return np.asarray(self._t2[labels.tissue] + _ill(labels) * np.float32(self._tissue.lesion_t2 - self._tissue.t2))

    def stir(self, labels: Labels) -> Array:
        """T2-weighted with fat and blood nulled: oedema bright."""
        return np.asarray(_STIR_TABLE[labels.tissue] + _ill(labels) * np.float32(0.55 * self._oedema))
