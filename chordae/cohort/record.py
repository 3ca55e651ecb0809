"""The structured CMR record of a patient: functional parameters with reference ranges, and a numbered description.

The form is CMR-R's: a table of parameters with value and range, then numbered imaging findings, normal or not; the
category is kept apart, since it is what a reader of the record is to find out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from chordae.cohort.sites import SiteProfile
from chordae.cohort.statements import Alteration, alter, cmr_statements
from chordae.cohort.truth import Category, Truth
from chordae.platform.diagnosis.record import CmrRecord

Flag = Literal["low", "normal", "high"]
Range = tuple[float, float]

INDEXED: dict[str, dict[str, Range]] = {
    "female": {
        "LV EDV": (57, 92),
        "LV ESV": (15, 34),
        "LV mass": (47, 77),
        "RV EDV": (55, 92),
        "RV ESV": (12, 38),
    },
    "male": {
        "LV EDV": (63, 98),
        "LV ESV": (16, 38),
        "LV mass": (58, 91),
        "RV EDV": (60, 106),
        "RV ESV": (14, 43),
    },
}
"""95 % ranges over body surface, mL/m2 and g/m2, papillary muscles counted to the mass as on the simulated heart:
Maceira et al. (JCMR 2006;8:417, Eur Heart J 2006;27:2879), among the sources of Kawel-Boehm et al., JCMR 2020;22:87."""
RV_EF: Range = (45, 78)
"""Percent: lower limit of Lang et al. (Eur Heart J Cardiovasc Imaging 2015;16:233), upper of Maceira et al."""
LA_INDEX: Range = (16, 34)
"""mL/m2 (Lang et al. 2015)."""
WALL: dict[str, Range] = {"female": (6, 9), "male": (6, 10)}
"""Thickest segment at end-diastole, mm (Lang et al. 2015)."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Row):
    """One measured value and what is normal for that sex and body size at that site."""

    name: str
    value: float
    unit: str
    low: float
    high: float

    @property
    def flag(self) -> Flag:
        """Where the value lies; the limits themselves are normal."""
        return "low" if self.value < self.low else "high" if self.value > self.high else "normal"


class Finding(_Row):
    """One line of the imaging description."""

    number: int
    key: str
    text: str
    normal: bool


class Record(_Row):
    """What the hospital's database holds about a CMR study."""

    patient: str
    site: str
    sex: Literal["female", "male"]
    age: int
    bsa: float
    parameters: tuple[Parameter, ...]
    description: tuple[Finding, ...]
    category: Category
    """Never part of `text`."""
    altered: tuple[Alteration, ...]
    """What the description leaves out or states wrongly, and what is true."""

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name."""
        return next(parameter for parameter in self.parameters if parameter.name == name)

    @property
    def text(self) -> str:
        """Table and numbered description, as a reader gets them."""
        marks = {"low": " (low)", "high": " (high)", "normal": ""}
        rows = [
            f"{one.name} {one.value:g} {one.unit} [{one.low:g}, {one.high:g}]{marks[one.flag]}"
            for one in self.parameters
        ]
        lines = [f"{one.number}. {one.text}." for one in self.description]
        return "\n".join(["Functional parameters", *rows, "", "Imaging description", *lines])

    def noun(self) -> CmrRecord:
        """What a reasoner may know of it: without the category, and without what was altered."""
        return CmrRecord.model_validate(
            {
                "parameters": [one.model_dump() for one in self.parameters],
                "description": [one.model_dump(exclude={"key"}) for one in self.description],
                "sex": self.sex,
                "age": self.age,
                "patient_key": self.patient,
            }
        )


def make_record(truth: Truth, site: SiteProfile, rng: np.random.Generator) -> Record:
    """The record that a site keeps of a patient.

    Parameters are the measured values, rounded as they are reported; they are never altered. The description is, at
    the site's rates.
    """
    parameters = _parameters(truth, site)
    enlarged = next(one for one in parameters if one.name == "LV EDV index").flag == "high"
    statements = cmr_statements(truth, enlarged, WALL[truth.sex][1])
    stated, altered = alter(statements, site.wording, rng)
    first = site.wording.begins_with
    stated = sorted(stated, key=lambda one: first.index(one.key) if one.key in first else len(first))
    return Record(
        patient=truth.patient,
        site=truth.site,
        sex=truth.sex,
        age=truth.age,
        bsa=round(truth.bsa, 2),
        parameters=parameters,
        description=tuple(
            Finding(number=number, key=one.key, text=one.text, normal=one.normal)
            for number, one in enumerate(stated, start=1)
        ),
        category=truth.category,
        altered=tuple(altered),
    )


def _parameters(truth: Truth, site: SiteProfile) -> tuple[Parameter, ...]:
    measured, bsa, indexed = truth.measured, truth.bsa, INDEXED[truth.sex]

    def absolute(name: str, value: float, unit: str) -> Parameter:
        low, high = (round(limit * bsa) for limit in indexed[name])
        return Parameter(name=name, value=round(value), unit=unit, low=low, high=high)

    def given(name: str, value: float, unit: str, limits: Range, digits: int) -> Parameter:
        return Parameter(name=name, value=round(value, digits), unit=unit, low=limits[0], high=limits[1])

    return (
        given("LV EF", measured.lv_ef, "%", site.wording.lv_ef_range, 1),
        absolute("LV EDV", measured.lv_edv, "mL"),
        absolute("LV ESV", measured.lv_esv, "mL"),
        absolute("LV mass", measured.lv_mass, "g"),
        given("LV EDV index", measured.lv_edv / bsa, "mL/m2", indexed["LV EDV"], 0),
        given("LV mass index", measured.lv_mass / bsa, "g/m2", indexed["LV mass"], 0),
        given("Wall thickness", max(measured.wall_ed), "mm", WALL[truth.sex], 0),
        given("RV EF", measured.rv_ef, "%", RV_EF, 1),
        absolute("RV EDV", measured.rv_edv, "mL"),
        absolute("RV ESV", measured.rv_esv, "mL"),
        given("RV EDV index", measured.rv_edv / bsa, "mL/m2", indexed["RV EDV"], 0),
        given("LA volume index", measured.la_volume / bsa, "mL/m2", LA_INDEX, 0),
    )
