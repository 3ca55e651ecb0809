"""Which column of a spreadsheet holds what: a hospital's columns become a record's fields.

Example (`configs/records/acdc.yaml` is a whole one):

    patient: Patient ID
    sex: Sex
    description: Findings
    columns:
      LVEF: {parameter: LV EF, unit: fraction, low: 53, high: 74}
      LVEDV (ul): {parameter: LV EDV, unit: uL, low: EDV lower, high: EDV upper}
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.record import UNITS, Sex, Source
from chordae.platform.errors import BadSettings
from chordae.preprocessing.records.units import factor_to_kept, known_units

Limit = float | str | dict[Sex, float] | None
"""A number in the unit that is kept, the name of a column that holds one in the value's unit, or one for each sex."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Strict):
    """What one column holds."""

    parameter: str = Field(description="One of `record.UNITS`")
    unit: str = Field(description="In which the column is, after `factor`; converted to the one that is kept")
    factor: float = Field(1.0, gt=0, description="A cell times this is in `unit`")
    low: Limit = Field(None, description="Lower limit of the reference range")
    high: Limit = None
    digits: int | None = Field(None, ge=0, le=2, description="Decimals to round to; none: two, as records keep them")
    source: Source = "measured"

    @model_validator(mode="after")
    def _known(self) -> Column:
        if self.parameter not in UNITS:
            raise ValueError(f"no parameter of that name; known are {', '.join(UNITS)}")
        if factor_to_kept(self.parameter, self.unit) is None:
            raise ValueError(f"{self.parameter} can be in {known_units(self.parameter)}, not in {self.unit}")
        return self

    @property
    def scale(self) -> float:
        """A cell times this is in the unit that is kept."""
        return self.factor * (factor_to_kept(self.parameter, self.unit) or 1.0)


class CategoryColumn(_Strict):
    """A column with the diagnosis, for evaluation: it is read beside the record, never into it."""

    column: str
    values: dict[str, Category]


class Mapping(_Strict):
    """A spreadsheet's columns."""

    columns: dict[str, Column] = Field(min_length=1)
    patient: str | None = Field(None, description="Column with a pseudonym to find the patient again")
    sex: str | None = None
    age: str | None = None
    description: str | None = Field(None, description="Column with the findings: one a sentence or a line")
    category: CategoryColumn | None = None
    delimiter: str = Field(",", min_length=1, max_length=1, description="Of a CSV file")
    sheet: str | None = Field(None, description="Of a workbook with more than one")

    @model_validator(mode="after")
    def _once(self) -> Mapping:
        names = [one.parameter for one in self.columns.values()]
        if len(set(names)) < len(names):
            raise ValueError("two columns hold the same parameter")
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        """Every column that it names."""
        limits = [limit for one in self.columns.values() for limit in (one.low, one.high) if isinstance(limit, str)]
        others = [self.patient, self.sex, self.age, self.description, self.category.column if self.category else None]
        return tuple(dict.fromkeys([*self.columns, *limits, *(name for name in others if name is not None)]))


def plain_mapping(header: list[str]) -> Mapping | None:
    """The mapping of a spreadsheet whose columns are named as records name them: `LV EF`, `LV EF low`, `LV EF high`,
    `sex`, `age`, `patient`, `description`, in the units that are kept. None where no column is a parameter."""

    def there(name: str) -> str | None:
        return name if name in header else None

    columns = {
        name: Column(parameter=name, unit=unit, low=there(f"{name} low"), high=there(f"{name} high"))
        for name, unit in UNITS.items()
        if name in header
    }
    if not columns:
        return None
    return Mapping(
        columns=columns,
        patient=there("patient"),
        sex=there("sex"),
        age=there("age"),
        description=there("description"),
    )


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        BadSettings: not there, not YAML, or not a mapping.
    """
    try:
        return Mapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadSettings(f"The column mapping {path} cannot be read", f"{error.strerror}; name another") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"The column mapping {path} is not YAML", "see configs/records/acdc.yaml") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSettings(
            f"The column mapping {path}, {where}: {first['msg']}", "see configs/records/acdc.yaml"
        ) from error
