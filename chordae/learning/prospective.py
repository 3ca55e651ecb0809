"""What learning from a site's unlabelled records is worth: PCRL beside self-training and a majority, with noise or not.

All runs begin from the shipped reasoner, take as many answers and steps, and are judged on other patients of the new
site and on patients of the sites that it was trained on. What is there is not done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from chordae.cohort.record_cases import Case
from chordae.learning.checkpoint import manifest_of
from chordae.learning.config import load_config
from chordae.learning.diagnosis_evaluation import diagnosed
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.launch import train
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.noise import mixed_up
from chordae.learning.pcrl.replay import steps_for, with_noise
from chordae.learning.pcrl.state import read_labels
from chordae.learning.pcrl.unlabelled import Unlabelled, write_unlabelled
from chordae.learning.reasoner_lessons import case_id
from chordae.platform.errors import BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint

CHAMPION, PCRL = "champion", "pcrl"
ARMS: dict[str, dict[str, object]] = {
    CHAMPION: {},
    PCRL: {"labels": "weighted"},
    "self-training": {"labels": "greedy"},
    "majority": {"labels": "majority"},
}
"""What each changes; `CHAMPION` is the checkpoint as it is. None has brakes: what would be stopped is to be seen."""
RESULT, NOISE = "result.json", "noise"


class ProspectiveResult(BaseModel):
    """One arm with one seed and share of noise."""

    model_config = ConfigDict(frozen=True)

    arm: str
    noise: float
    seed: int
    labelled: int
    """Of the records that are somebody's."""
    right: int
    """Of those: labelled as what they are."""
    noise_labelled: int
    """Of the records that are nobody's."""
    records: int
    late: tuple[DiagnosisOutcome, ...]
    """Other patients of the new site."""
    seen: tuple[DiagnosisOutcome, ...]
    """Patients of sites that were trained on."""


def run_one(
    arm: str,
    noise: float,
    seed: int,
    base: PcrlConfig,
    cases: Sequence[Case],
    count: int,
    tests: tuple[Sequence[Case], Sequence[Case]],
    settings: ExpertSettings,
    root: Path,
) -> ProspectiveResult:
    """Learn and judge, or read what was found before.

    Args:
        arm: of `ARMS`.
        noise: share of the records that are nobody's.
        seed: of everything that is drawn.
        base: what all arms share.
        cases: of the new site; `count` of them are learned from, noise is mixed up from the others.
        tests: of the new site, and of those seen before.
        settings: the engine that diagnoses them.
        root: where runs lie.

    Raises:
        BadInput, BadSettings: as `train`.
    """
    directory = root / (CHAMPION if arm == CHAMPION else f"{arm}-noise{noise:g}-seed{seed}")
    path = directory / RESULT
    if path.is_file():
        return ProspectiveResult.model_validate_json(path.read_bytes())
    truth = {identity(case): case.category for case in cases}
    checkpoint, labels = fetch_checkpoint(str(base.start), None), {}
    if arm != CHAMPION:
        write_unlabelled(directory / "records", records_of(cases, count, noise, seed))
        own = {
            "round_steps": steps_for(base, count),
            "steps": 0,
            "name": arm,
            "seed": seed,
            "brakes": None,
            "unlabelled": [str(directory / "records")],
        }
        config = PcrlConfig.model_validate(base.model_dump(mode="json") | ARMS[arm] | own)
        checkpoint = directory / "model"
        write_atomically(directory / "pcrl.yaml", yaml.safe_dump(config.model_dump(mode="json")).encode())
        if (manifest_of(checkpoint) if checkpoint.is_dir() else {}).get("lineage", {}).get("config") != config.digest():
            train("pcrl", directory / "pcrl.yaml", checkpoint, data_dir=directory)
        labels = {one.case: one.category for one in read_labels(checkpoint) if one.category is not None}
    late, seen = (tuple(diagnosed(checkpoint, settings, test, "en", print)) for test in tests)
    result = ProspectiveResult(
        arm=arm,
        noise=noise,
        seed=seed,
        labelled=sum(name in truth for name in labels),
        right=sum(truth.get(name) == category for name, category in labels.items()),
        noise_labelled=sum(name.startswith(NOISE) for name in labels),
        records=count,
        late=late,
        seen=seen,
    )
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(path, result.model_dump_json().encode())
    return result


def records_of(cases: Sequence[Case], count: int, noise: float, seed: int) -> list[Unlabelled]:
    """`count` records without their categories, of which a share is mixed up from those that are left over."""
    ordered = sorted(cases, key=identity)
    own, rest = ordered[:count], ordered[count:]
    known = [Unlabelled(id=identity(case), site=case.site, record=case.record) for case in own]
    if not noise:
        return known
    mixed = mixed_up([case.record for case in rest], seed)
    nobodys = [Unlabelled(id=f"{NOISE}-{place:05d}", site=own[0].site, record=one) for place, one in enumerate(mixed)]
    return with_noise(known, nobodys, noise, seed)


def identity(case: Case) -> str:
    """What a record is called where nobody is to know whose it is."""
    return hashlib.sha256(case_id(case).encode()).hexdigest()


def load_base(path: Path) -> PcrlConfig:
    """What all arms share.

    Raises:
        BadSettings: the file is wrong, or no configuration of PCRL.
    """
    base = load_config(path)
    if not isinstance(base, PcrlConfig):
        raise BadSettings(f"{path.name} has the type {base.type}", "name one of type pcrl")
    return base
