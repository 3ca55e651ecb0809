# ruff: noqa: RUF001 - Chinese punctuation
"""A patient's CMR record as the reasoner reads it: functional parameters with ranges, and a numbered description.

The form is CMR-R's. Names and units are the ones listed here and no others: a value in another unit is converted by
whoever reads the file (`chordae.preprocessing.records`), so that a record can be checked, compared and taught.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from chordae.platform.diagnosis.disarm import disarm
from chordae.platform.noun import Noun

Flag = Literal["low", "normal", "high"]
Sex = Literal["female", "male"]
Source = Literal["measured", "report", "estimate"]
"""Contoured on the images or in structured data; read from a report; not measured, so to be marked wherever shown."""

UNITS: dict[str, str] = {
    "LV EF": "%",
    "LV EDV": "mL",
    "LV ESV": "mL",
    "LV mass": "g",
    "LV EDV index": "mL/m2",
    "LV mass index": "g/m2",
    "Wall thickness": "mm",
    "RV EF": "%",
    "RV EDV": "mL",
    "RV ESV": "mL",
    "RV EDV index": "mL/m2",
    "LA volume index": "mL/m2",
}
"""Every parameter that a record can hold, in the order in which it is shown, and its unit. Indices are over body
surface; wall thickness is that of the thickest segment at end-diastole."""


def _two_decimals(value: float) -> float:
    return round(value, 2) + 0.0  # no negative zero


Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6), AfterValidator(_two_decimals)]
"""Kept to two decimals: what is shown is what is compared."""


class Parameter(Noun):
    """One value and what is normal for this patient."""

    name: str = Field(description="One of `UNITS`")
    value: Number
    unit: str = Field(description="That of `UNITS`")
    low: Number | None = Field(None, description="Lower limit of the reference range; none: not given")
    high: Number | None = Field(None, description="Upper limit; none: not given")
    source: Source = "measured"

    @model_validator(mode="after")
    def _known(self) -> Parameter:
        if self.name not in UNITS:
            raise ValueError(f"no parameter of that name; known are {', '.join(UNITS)}")
        if self.unit != UNITS[self.name]:
            raise ValueError(f"{self.name} is kept in {UNITS[self.name]}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the reference range of {self.name} has its lower limit above its upper one")
        return self

    @property
    def flag(self) -> Flag | None:
        """Where the value lies; the limits themselves are normal. None without the limit that would tell."""
        if self.low is not None and self.value < self.low:
            return "low"
        if self.high is not None and self.value > self.high:
            return "high"
        return "normal" if self.low is not None and self.high is not None else None


class Finding(Noun):
    """One line of the imaging description."""

    number: int = Field(ge=1, le=999)
    text: str = Field(min_length=1, max_length=2000)
    normal: bool | None = Field(None, description="Nothing is wrong there; none: the record does not say")

    @model_validator(mode="after")
    def _says_something(self) -> Finding:
        if not disarm(self.text).strip(" .。;；"):
            raise ValueError("a finding without words")
        return self


class CmrRecord(Noun):
    """What is known of one CMR study, without its diagnosis."""

    parameters: tuple[Parameter, ...] = ()
    description: tuple[Finding, ...] = ()
    sex: Sex | None = None
    age: int | None = Field(None, ge=0, le=120, description="Years")
    patient_key: str | None = Field(None, description="To find the patient again; never part of a prompt")

    @model_validator(mode="after")
    def _once(self) -> CmrRecord:
        names = [one.name for one in self.parameters]
        numbers = [one.number for one in self.description]
        if len(set(names)) < len(names):
            raise ValueError("a parameter is given twice")
        if len(set(numbers)) < len(numbers):
            raise ValueError("two findings have the same number")
        return self

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if the record has it."""
        return next((one for one in self.parameters if one.name == name), None)

    def finding(self, number: int) -> Finding | None:
        """The finding of that number, if the record has it."""
        return next((one for one in self.description if one.number == number), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the parameters that the record does not hold."""
        held = {one.name for one in self.parameters}
        return tuple(name for name in UNITS if name not in held)


def printed(value: float) -> str:
    """A value as prompts and chains show it: at most two decimals, no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
