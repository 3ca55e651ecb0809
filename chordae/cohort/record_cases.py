"""CMR records of many simulated patients, each with its true category: what the CMR reasoner learns from.

No picture is made: a record needs the patient's measurements and the sentences of a reader, not the files. Patients are
those that `chordae cohort make` gives for the same site, seed and number; how well their studies were read is the
dataset's (`Reading`). A dataset is a directory with `cases.jsonl`; it is made in parts, so that a stopped run goes on
where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chordae.cohort.dataset import _Row, read_rows, write_rows
from chordae.cohort.make import GENERATOR_VERSION, in_processes
from chordae.cohort.numbers import numbers
from chordae.cohort.patient import draw_patient, patient_rng
from chordae.cohort.record import make_record
from chordae.cohort.sites import SiteProfile, load_site
from chordae.cohort.statements import Alteration
from chordae.cohort.truth import CATEGORIES, Category, Measurements, Truth
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically

CASES, MARK = "cases.jsonl", "dataset.json"
NO_CONTRAST = "Late enhancement not assessed, no contrast agent given"
CONTOURING = {"lv_edv": 0.04, "lv_esv": 0.06, "lv_mass": 0.05, "rv_edv": 0.06, "rv_esv": 0.09, "la_volume": 0.06}
"""Spread of a measured value between two studies of one person, as a share of it: about what Grothues et al. found (Am
J Cardiol 2002;90:29; right ventricle: Am Heart J 2004;147:218). Wall thickness: `WALL_SPREAD`."""
WALL_SPREAD = 0.05
LARGEST_ESV = 0.95
"""Of the EDV: nobody would report a ventricle that ejects nothing."""
PART = 50
"""Patients a part: about ten seconds' work, which is what a stopped run loses."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Case(_Row):
    """One patient's record and what is true of it."""

    patient: str
    site: str
    category: Category
    record: CmrRecord
    topics: tuple[str, ...]
    """Of each line of the description: lv_size, lv_function, wall_motion, wall, trabeculation, lge, ..."""
    altered: tuple[Alteration, ...]
    """What the description leaves out or states wrongly."""
    numbers: dict[str, float]
    """Noiseless values, as for the samples of the CMR expert: what a ceiling is given."""


class Members(_Strict):
    """So many patients of a site."""

    site: str
    patients: int = Field(ge=1)
    seed: int


class Reading(_Strict):
    """How far the records lie from what is true; by default as the site's reports do, from perfect measurements."""

    mistakes: float = Field(1.0, ge=0, le=5, description="Times the site's rates of omissions and errors.")
    without_contrast: float = Field(0.0, ge=0, le=1, description="Share of studies without late enhancement.")
    contouring: float = Field(0.0, ge=0, description="Times `CONTOURING`.")


class CasesConfig(_Strict):
    """A file `configs/datasets/cmr-r-*.yaml`."""

    members: tuple[Members, ...] = Field(min_length=1)
    reading: Reading = Reading()
    checksum: str = Field("", description="SHA-256 that the cases must have; empty: not frozen yet.")


def load_cases_config(path: Path) -> CasesConfig:
    """Read a file `configs/datasets/cmr-r-*.yaml`.

    Raises:
        BadSettings: not there, not YAML, or a key or value that is not known.
    """
    try:
        return CasesConfig.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise BadSettings(f"Cannot read the dataset's configuration {path}", str(error).splitlines()[0]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSettings(f"{path.name}: {where}: {first['msg']}", "see configs/datasets for an example") from error


def draw_case(site: SiteProfile, seed: int, number: int, reading: Reading) -> Case:
    """The case of patient `number` (from 1) of a site: a function of the four."""
    return read_study(draw_patient(site, seed, number).truth, site, reading, patient_rng(site, seed, number, "reading"))


def read_study(truth: Truth, site: SiteProfile, reading: Reading, rng: np.random.Generator) -> Case:
    """A patient's study as a reader of the site puts it into a record."""
    contrast = rng.random() >= reading.without_contrast
    seen = truth.model_copy(update={"measured": _contoured(truth.measured, reading.contouring, rng)})
    record = make_record(seen, _careless(site, reading.mistakes), rng)
    lines = {one.key: Finding(number=one.number, text=one.text, normal=one.normal) for one in record.description}
    altered = {one.key: one for one in record.altered}
    if not contrast and "lge" in lines:
        true = altered["lge"].truth if "lge" in altered else lines["lge"].text
        altered["lge"] = Alteration(key="lge", kind="omitted", truth=true)
        lines["lge"] = Finding(number=lines["lge"].number, text=NO_CONTRAST)
    return Case(
        patient=truth.patient,
        site=truth.site,
        category=truth.category,
        record=CmrRecord(
            parameters=tuple(Parameter.model_validate(one.model_dump()) for one in record.parameters),
            description=tuple(lines.values()),
            sex=record.sex,
            age=record.age,
            patient_key=truth.patient,
        ),
        topics=tuple(lines),
        altered=tuple(altered.values()),
        numbers=numbers(truth, "cmr"),
    )


def _careless(site: SiteProfile, times: float) -> SiteProfile:
    wording = site.wording
    rates = {"omissions": min(1.0, wording.omissions * times), "errors": min(1.0, wording.errors * times)}
    return site.model_copy(update={"wording": wording.model_copy(update=rates)})


def _contoured(measured: Measurements, times: float, rng: np.random.Generator) -> Measurements:
    """Measured once more by another hand: volumes and mass each on their own, the wall as a whole."""
    if not times:
        return measured
    values = {
        name: round(getattr(measured, name) * float(np.exp(rng.normal(0, times * spread))), 1)
        for name, spread in CONTOURING.items()
    }
    for side in ("lv", "rv"):
        values[f"{side}_esv"] = min(values[f"{side}_esv"], round(LARGEST_ESV * values[f"{side}_edv"], 1))
        values[f"{side}_ef"] = round(100 * (1 - values[f"{side}_esv"] / values[f"{side}_edv"]), 1)
    wall = float(np.exp(rng.normal(0, times * WALL_SPREAD)))
    walls = {name: tuple(round(one * wall, 1) for one in getattr(measured, name)) for name in ("wall_ed", "wall_es")}
    return measured.model_copy(update=values | walls)


def make_cases(config: CasesConfig, output: Path, tell: Callable[[int], None] = lambda done: None) -> dict[str, object]:
    """Make the cases below `output`, one process a core; `tell` hears how many patients are done.

    Returns:
        How many cases, how many of each category, and their checksum.

    Raises:
        BadInput: the directory holds another dataset, or the cases have not the checksum they must have.
    """
    sites = {one.site: load_site(one.site) for one in config.members}
    about = {
        "generator": GENERATOR_VERSION,
        "config": config.model_dump(mode="json", exclude={"checksum"}),
        "profiles": {name: site.model_dump(mode="json") for name, site in sites.items()},
    }
    mark = output / MARK
    if mark.is_file() and json.loads(mark.read_text()) != about:
        raise BadInput(f"{output} holds another dataset", "name another directory, or delete it")
    (output / "parts").mkdir(parents=True, exist_ok=True)
    write_atomically(mark, json.dumps(about, indent=1).encode())
    parts = [
        (one, first, min(first + PART, one.patients + 1))
        for one in config.members
        for first in range(1, one.patients + 1, PART)
    ]
    wanted = [part for part in parts if not _part(output, *part).is_file()]
    ready = sum(after - first for _, first, after in parts) - sum(after - first for _, first, after in wanted)
    tell(ready)
    tasks = [
        (sites[one.site], one.seed, first, after, config.reading, _part(output, one, first, after))
        for one, first, after in wanted
    ]
    left = sum(after - first for _, first, after in wanted)
    for done in in_processes(_draw_part, tasks):
        tell(ready + min(done * PART, left))
    cases = [case for part in parts for case in read_rows(_part(output, *part), Case)]
    found = checksum(cases)
    if config.checksum and found != config.checksum:
        raise BadInput(
            f"the cases' checksum is {found}, not the frozen one",
            "the generator has changed: results do not compare",
        )
    write_rows(output / CASES, cases)
    counted = Counter(case.category for case in cases)
    return {"cases": len(cases), "categories": {name: counted[name] for name in CATEGORIES}, "checksum": found}


def read_cases(dataset: Path) -> list[Case]:
    """The cases of a dataset's directory.

    Raises:
        BadInput: there are none, or a line is not one; its number is named.
    """
    return read_rows(dataset / CASES, Case)


def checksum(cases: Sequence[Case]) -> str:
    """SHA-256 over all cases as they are written."""
    return hashlib.sha256("".join(case.model_dump_json() + "\n" for case in cases).encode()).hexdigest()


def _part(output: Path, members: Members, first: int, after: int) -> Path:
    return output / "parts" / f"{members.site}-{members.seed}-{first:06d}-{after - 1:06d}.jsonl"


def _draw_part(site: SiteProfile, seed: int, first: int, after: int, reading: Reading, path: Path) -> None:
    write_rows(path, [draw_case(site, seed, number, reading) for number in range(first, after)])
