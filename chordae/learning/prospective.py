"""What learning from a site's unlabelled records is worth: PCRL beside self-training and a majority, with noise or not.

All runs begin from the shipped reasoner, take as many answers and steps, and are judged on other patients of the new
site and on patients of the sites that it was trained on. What is there is not done again.
"""

from __future__ import annotations

import gzip
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
NOISE = "noise"


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
    results: Path,
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
        results: where each run's answers are kept: every figure can be computed from them again.

    Raises:
        BadInput, BadSettings: as `train`.
    """
    name = CHAMPION if arm == CHAMPION else f"{arm}-noise{noise:g}-seed{seed}"
    directory, path = root / name, results / f"{name}.json.gz"
    if path.is_file():
        return ProspectiveResult.model_validate_json(gzip.decompress(path.read_bytes()))
    truth = {identity(case): case.category for case in cases}
    checkpoint, labels = fetch_checkpoint(str(base.start), None), dict[str, str]()
    if arm != CHAMPION:
        changes = ARMS[arm] | {"name": arm, "seed": seed, "brakes": None}
        checkpoint, labels = learned(base, changes, records_of(cases, count, noise, seed), directory)
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
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(path, gzip.compress(result.model_dump_json().encode(), mtime=0))
    return result


def learned(
    base: PcrlConfig, changes: dict[str, object], records: Sequence[Unlabelled], directory: Path
) -> tuple[Path, dict[str, str]]:
    """Train on these records, or take what was trained on them before.

    Args:
        base: what all runs share.
        changes: what this one has otherwise.
        records: learned from; each comes up once.
        directory: of this run alone.

    Returns:
        The checkpoint, and the category that each record was taken for, by its id; those without a label are left out.

    Raises:
        LearningHalted: a brake stopped it.
        BadInput, BadSettings: as `train`.
    """
    write_unlabelled(directory / "records", list(records))
    own = {"round_steps": steps_for(base, len(records)), "steps": 0, "unlabelled": [str(directory / "records")]}
    config = PcrlConfig.model_validate(base.model_dump(mode="json") | changes | own)
    recipe, checkpoint = directory / "pcrl.yaml", directory / "model"
    write_atomically(recipe, yaml.safe_dump(config.model_dump(mode="json")).encode())
    if (manifest_of(checkpoint) if checkpoint.is_dir() else {}).get("lineage", {}).get("config") != config.digest():
        train("pcrl", recipe, checkpoint, data_dir=directory)
    return checkpoint, {one.case: one.category for one in read_labels(checkpoint) if one.category is not None}


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
