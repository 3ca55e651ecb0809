"""The arms of `make bench-learning`: runs that differ in how rounds are drawn, filtered and rewarded, nothing else.

All begin from one stage-1 checkpoint and end with the same number of answers, to a step; a filter's replacements count.
A run has a directory with its configuration, checkpoint and losses, and, once it is judged on the test set, a result,
which is kept apart: it is the evidence, of which every figure can be computed again. What is there is not done again,
and a training that was stopped goes on.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from chordae.learning.checkpoint import manifest_of
from chordae.learning.config import MaGrpoConfig, load_config
from chordae.learning.curriculum.config import (
    CurriculumConfig,
    Drpo,
    InverseFrequency,
    Thompson,
    Uniform,
    ZeroVariance,
)
from chordae.learning.diagnosis_evaluation import chosen, diagnosed, rarest
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.launch import train
from chordae.learning.reasoner_lessons import open_cases
from chordae.learning.tracking import LOSSES, read_losses
from chordae.platform.diagnosis.category import Category
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint, identify

SFT, NAIVE = "sft", "naive"
FILTER = ZeroVariance(resamplings=2)
ARMS: dict[str, dict[str, object]] = {
    SFT: {},
    NAIVE: {"sampler": Uniform()},
    "inverse-frequency": {"sampler": InverseFrequency()},
    "zero-variance": {"sampler": Uniform(), "filter": FILTER},
    "drpo": {"sampler": Uniform(), "advantage": Drpo()},
    "thompson": {"sampler": Thompson()},
    "thompson-zero-variance": {"sampler": Thompson(), "filter": FILTER},
}
"""What each changes in the curriculum; `SFT` is the stage-1 checkpoint as it is."""


class Point(BaseModel):
    """A round's end."""

    model_config = ConfigDict(frozen=True)

    rollouts: int
    """Answers so far."""
    macro_f1: float
    """On the development set."""


class RunResult(BaseModel):
    """One arm with one seed, trained and judged on the test set."""

    model_config = ConfigDict(frozen=True)

    arm: str
    seed: int
    config: str
    """Digest of its configuration."""
    start: str
    """Digest of the stage-1 weights."""
    rollouts: int
    curve: tuple[Point, ...]
    rarest: tuple[Category, ...]
    outcomes: tuple[DiagnosisOutcome, ...]


def seeds_of(arm: str, seeds: Sequence[int]) -> Sequence[int]:
    """A checkpoint as it is answers greedily: one seed says all."""
    return seeds[:1] if arm == SFT else seeds


def config_of(arm: str, seed: int, base: MaGrpoConfig, rounds: int | None) -> MaGrpoConfig:
    """The configuration of a run.

    Args:
        arm: of `ARMS`.
        seed: of what is drawn.
        base: what all arms share.
        rounds: without replacements, instead of the base's.
    """
    rounds = rounds or base.rounds
    budget = rounds * base.curriculum.round_prompts * base.group
    curriculum = CurriculumConfig.model_validate(dict(base.curriculum) | ARMS[arm])
    changed = {"name": f"{arm}-{seed}", "seed": seed, "rounds": rounds, "steps": 0, "budget": budget}
    return MaGrpoConfig.model_validate(dict(base) | changed | {"curriculum": curriculum})


def load_base(path: Path) -> MaGrpoConfig:
    """What all arms share.

    Raises:
        BadSettings: the file is wrong, or no configuration of MA-GRPO.
    """
    base = load_config(path)
    if not isinstance(base, MaGrpoConfig):
        raise BadSettings(f"{path.name} has the type {base.type}", "name one of type ma-grpo")
    return base


def result_of(results: Path, arm: str, seed: int, config: MaGrpoConfig) -> Path:
    """Where a run's result is kept; one of other lengths has another."""
    return results / f"{arm}-seed{seed}-rounds{config.rounds}.json.gz"


def directory_of(root: Path, arm: str, seed: int, config: MaGrpoConfig) -> Path:
    """A run's directory; likewise."""
    return root / f"{arm}-seed{seed}-rounds{config.rounds}"


def run_arm(
    arm: str,
    seed: int,
    base_path: Path,
    rounds: int | None,
    test: Path,
    settings: ExpertSettings,
    root: Path,
    results: Path,
    most: int,
) -> RunResult:
    """Train and judge one arm, or what is missing of that.

    Args:
        arm, seed, rounds: as for `config_of`.
        base_path: file of what all arms share.
        test: the test set's directory.
        settings: the engine that diagnoses it; its model is not looked at.
        root: where runs lie.
        results: where results are kept.
        most: of the test set's cases; 0: all.

    Raises:
        BadInput: as `train`.
        BadSettings: as `train`; what is there began from other weights, or was judged on other cases.
    """
    config = config_of(arm, seed, load_base(base_path), rounds)
    directory, kept = directory_of(root, arm, seed, config), result_of(results, arm, seed, config)
    start = fetch_checkpoint(str(config.start), None)
    begun, cases = identify(start).digest, chosen(open_cases([test]), most or None)
    found = read_result(kept, config)
    if found is not None:
        asked = [(one.site, one.patient) for one in found.outcomes]
        if found.start != begun or asked != [(one.site, one.patient) for one in cases]:
            problem = f"{kept} is of a run from other weights, or judged on other cases"
            raise BadSettings(problem, "delete it, or name another directory")
        return found
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint, curve = start, tuple[Point, ...]()
    if arm != SFT:
        checkpoint, losses = directory / "model", directory / f"model.{LOSSES}"
        if not (_trained(checkpoint, config, begun) and losses.is_file()):
            file = directory / "config.yaml"
            write_atomically(file, yaml.safe_dump(config.model_dump(mode="json")).encode())
            train("ma-grpo", file, checkpoint, data_dir=directory)
        curve = curve_of(losses)
    outcomes = diagnosed(checkpoint, settings, cases, config.prompts, print)
    result = RunResult(
        arm=arm,
        seed=seed,
        config=config.digest(),
        start=begun,
        rollouts=curve[-1].rollouts if curve else 0,
        curve=curve,
        rarest=rarest(open_cases(config.cases)),
        outcomes=tuple(outcomes),
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, gzip.compress(result.model_dump_json().encode(), mtime=0))
    return result


def curve_of(losses: Path) -> tuple[Point, ...]:
    """Macro-F1 on the development set over answers, a point a round."""
    lines = [line for line in read_losses(losses) if "macro_f1" in line]
    return tuple(Point(rollouts=int(line["rollouts"]), macro_f1=line["macro_f1"]) for line in lines)


def _trained(checkpoint: Path, config: MaGrpoConfig, start: str) -> bool:
    """Whether the checkpoint is there and was made with this configuration from those weights."""
    if not checkpoint.is_dir():
        return False
    lineage = manifest_of(checkpoint).get("lineage") or {}
    return (lineage.get("config"), (lineage.get("start") or {}).get("digest")) == (config.digest(), start)


def read_result(path: Path, config: MaGrpoConfig) -> RunResult | None:
    """What a finished run left; none where there is no such run.

    Raises:
        BadSettings: it is of another configuration.
        BadInput: it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        result = RunResult.model_validate_json(gzip.decompress(path.read_bytes()))
    except (ValidationError, OSError, EOFError) as error:
        raise BadInput(f"{path} is no result of a run", "delete it: the run goes on from its checkpoint") from error
    if result.config != config.digest():
        raise BadSettings(f"{path} is of another configuration", "delete it, or name another directory")
    return result
