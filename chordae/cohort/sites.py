"""How one hospital differs from another: machines, protocol, noise, wording, reference ranges, patients.

A profile is a YAML file; `configs/sites` has four. What a profile does not say has the value written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from chordae.cohort.truth import CATEGORIES, Category
from chordae.cohort.waves import RATE_HZ
from chordae.platform.errors import BadSettings


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EcgMachine(_Strict):
    """The cart that records the ECGs."""

    format: Literal["muse", "philips", "dicom", "npy"] = "muse"
    rate_hz: Literal[250, 500, 1000] = Field(500, description="Samples a second in the file.")
    noise: float = Field(1.0, ge=0, description="Times the usual noise.")
    mains_hz: Literal[50, 60] = 50

    @model_validator(mode="after")
    def _arrays_carry_no_rate(self) -> Self:
        if self.format == "npy" and self.rate_hz != RATE_HZ:
            raise ValueError(f"npy files say nothing of their rate, which is {RATE_HZ} Hz")
        return self


class CmrScanner(_Strict):
    """The scanner and the protocol."""

    vendor: Literal["SIEMENS", "Philips Medical Systems", "GE MEDICAL SYSTEMS"] = "SIEMENS"
    model: str = "Aera"
    field_t: float = Field(1.5, description="1.5 or 3: the fields whose relaxation times are known here.")
    pixel_mm: float = Field(2.0, gt=0.8, lt=4)
    matrix: int = Field(144, ge=96, le=256)
    slice_mm: float = Field(8.0, gt=0)
    gap_mm: float = Field(2.0, ge=0)
    phases: int = Field(20, ge=12, le=40)
    noise: float = Field(0.03, ge=0, description="Rician sigma as a share of the blood pool's signal.")
    shading: float = Field(0.3, ge=0, description="Depth of the coil's fall-off over the field of view.")
    breathing: float = Field(0.06, ge=0, le=1, description="Share of series with a breathing artefact.")
    language: Literal["en", "de", "fr"] = "en"
    """Of the series descriptions."""

    @field_validator("field_t")
    @classmethod
    def _known_field(cls, value: float) -> float:
        if value not in (1.5, 3.0):
            raise ValueError(f"{value:g} T is not simulated: 1.5 or 3")
        return value


class EchoMachine(_Strict):
    """The ultrasound machine."""

    vendor: Literal["GE Vingmed Ultrasound", "Philips Medical Systems", "SIEMENS"] = "GE Vingmed Ultrasound"
    model: str = "Vivid E95"
    rows: int = Field(240, ge=160, le=800)
    columns: int = Field(320, ge=160, le=1100)
    frame_rate: float = Field(30.0, gt=5)
    depth_mm: float = Field(160.0, gt=60)
    sector_degrees: float = Field(80.0, gt=40, lt=120)
    noise: float = Field(1.0, ge=0, description="Times the usual clutter and dropout.")
    compression: Literal["jpeg", "none", "rle"] = "jpeg"
    clips: tuple[int, int] = Field((12, 16), description="Fewest and most cine loops of a study, junk included.")


CmrStatement = Literal[
    "lv_size",
    "lv_function",
    "wall_motion",
    "wall",
    "trabeculation",
    "rv_function",
    "atrium",
    "lge",
    "tissue",
    "pericardial",
]
"""What a record's description states (`statements.cmr_statements`)."""


class Wording(_Strict):
    """Who writes the reports."""

    writers: tuple[Literal["terse", "narrative", "itemised"], ...] = ("terse", "narrative", "itemised")
    omissions: float = Field(0.03, ge=0, le=1, description="Share of findings that a report does not mention.")
    errors: float = Field(0.01, ge=0, le=1, description="Share of findings that a report states wrongly.")
    lv_ef_range: tuple[float, float] = (53.0, 74.0)
    """Reference range of the LV ejection fraction, percent; the others follow sex and body size."""
    begins_with: tuple[CmrStatement, ...] = ()
    """Keys of the statements that a record's description begins with, in that order; the others follow as usual."""


class SiteProfile(_Strict):
    """One site."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")
    prevalence: dict[Category, float]
    ecg: EcgMachine = EcgMachine()
    cmr: CmrScanner = CmrScanner()
    echo: EchoMachine = EchoMachine()
    wording: Wording = Wording()
    label_noise: float = Field(0.02, ge=0, le=1, description="Share of structured labels that are wrong in training.")

    @field_validator("prevalence")
    @classmethod
    def _all_and_positive(cls, value: dict[Category, float]) -> dict[Category, float]:
        if set(value) != set(CATEGORIES) or min(value.values()) <= 0:
            raise ValueError(f"give every category a share above 0: {', '.join(CATEGORIES)}")
        total = sum(value.values())
        return {name: value[name] / total for name in CATEGORIES}


def load_site(profile: str) -> SiteProfile:
    """A profile by its name in `configs/sites`, or by the path of a YAML file.

    Raises:
        BadSettings: no such profile, not YAML, or a key or value that is not known.
    """
    path = Path(profile) if profile.endswith((".yaml", ".yml")) else Path("configs/sites") / f"{profile}.yaml"
    try:
        return SiteProfile.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        known = ", ".join(sorted(one.stem for one in Path("configs/sites").glob("*.yaml")))
        raise BadSettings(f"no site profile {profile}", f"give the path of one, or a name: {known}") from error
    except yaml.YAMLError as error:
        raise BadSettings(f"{path.name} is not YAML", str(error).splitlines()[0]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSettings(f"{path.name}: {where}: {first['msg']}", "see configs/sites for a working example") from error
