"""What is true of one simulated patient: drawn (category, ECG, tissue) or measured on the simulated heart.

Everything that files, reports, questions and grading say about a patient follows from this one record.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from chordae.cohort.ecg import EcgLatents
from chordae.platform.diagnosis.category import CATEGORIES as CATEGORIES
from chordae.platform.diagnosis.category import Category as Category

Territory = Literal["anterior", "inferior", "lateral"]
"""Left anterior descending, right coronary and circumflex artery."""
TERRITORIES: dict[Territory, tuple[int, ...]] = {
    "anterior": (1, 2, 7, 8, 13, 14),
    "inferior": (3, 4, 9, 10, 15),
    "lateral": (5, 6, 11, 12, 16),
}
"""AHA segments by artery (Cerqueira et al., Circulation 2002;105:539)."""

LgePattern = Literal[
    "none", "subendocardial", "transmural", "mid-wall", "subepicardial", "insertion points", "diffuse subendocardial"
]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measurements(_Fact):
    """Counted on the labels of the simulated heart. Millilitres, grams, millimetres, percent."""

    lv_edv: float
    lv_esv: float
    lv_ef: float
    lv_mass: float
    rv_edv: float
    rv_esv: float
    rv_ef: float
    la_volume: float
    """Largest, at end-systole."""
    wall_ed: tuple[float, ...]
    """(16,) mean thickness by AHA segment at end-diastole."""
    wall_es: tuple[float, ...]
    trabeculated_ratio: float
    """Largest ratio of trabeculated to compact wall over the segments at end-diastole."""
    circumferential_strain: float
    """Global, at mid-wall, end-systole against end-diastole; negative is shortening."""
    longitudinal_strain: float
    effusion_mm: float
    """Largest depth of pericardial fluid at end-diastole."""

    @property
    def thickening(self) -> tuple[float, ...]:
        """(16,) systolic thickening by segment, percent."""
        return tuple(100 * (es / ed - 1) for ed, es in zip(self.wall_ed, self.wall_es, strict=True))


class TissueTruth(_Fact):
    """What late enhancement and maps show; drawn."""

    pattern: LgePattern
    segments: tuple[int, ...]
    """AHA segments with late enhancement, 1 to 16."""
    native_t1: float
    """Of remote myocardium, ms at the site's field strength."""
    lesion_t1: float
    """Within `segments` (or everywhere where the disease is diffuse); equals `native_t1` where there is none."""
    t2: float
    lesion_t2: float


class Truth(_Fact):
    """One patient."""

    patient: str
    """`<site>-<16 hex digits>`: of the site, the seed and the number, nothing else."""
    site: str
    category: Category
    severity: float
    """0 (barely) to 1 (advanced)."""
    sex: Literal["female", "male"]
    age: int
    height_cm: int
    weight_kg: int
    territory: Territory | None
    """Of an infarction."""
    acute: bool
    """An infarction or myocarditis of the last days: oedema, ST elevation."""
    ecg: EcgLatents
    tissue: TissueTruth
    measured: Measurements

    @property
    def bsa(self) -> float:
        """Body surface area, m2 (Mosteller, N Engl J Med 1987;317:1098)."""
        return float((self.height_cm * self.weight_kg / 3600) ** 0.5)
