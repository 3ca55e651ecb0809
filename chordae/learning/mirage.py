"""`chordae evaluate mirage`: does the gate tell what was read off the picture from what was made up?

Questions whose truth is negative are asked with their picture, none, a blank, another patient's and another modality's;
those whose truth is positive with their picture, for a gate that lets nothing but "normal" through is worth nothing.
Confidence is held against three others on the same answers: no gating, agreement alone, and the public code's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from chordae.learning.evaluate_served import Split
from chordae.learning.probe_scores import Scored, score_rows, systems, values
from chordae.learning.probed_answers import Rephrase, probe_served
from chordae.learning.results import note
from chordae.learning.risk_coverage import area, interval, resampled_areas
from chordae.learning.shown_media import CONDITIONS, Condition
from chordae.learning.statistics import Score, score
from chordae.platform.calibration import read_calibration
from chordae.platform.errors import BadInput
from chordae.platform.probing import Embed
from chordae.platform.schemas import Modality, WeightsVersion
from chordae.platform.settings import ExpertSettings, OrchestratorSettings
from chordae.platform.weights import fetch_checkpoint, identify

LEAST_COVERAGE = 0.90
"""Of the correct answers: the bar."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class ConditionLine(_Result):
    """Questions whose truth is negative, under one condition or all; of every score `correct` counts what it names."""

    condition: Condition | None
    """None: all."""
    asked: int
    claimed: Score
    """Answers that do not decline."""
    positives: Score
    """Positive findings: misreadings and mirages."""
    before: Score
    """Mirages."""
    after: Score
    """Mirages that are not flagged."""


class SystemLine(_Result):
    """One way to score the same answers."""

    name: str
    area: float
    """Under the risk-coverage curve; lower is better."""
    interval: tuple[float, float]
    behind: tuple[float, float] | None
    """95 % interval of how much larger its area is than ours, on the same resamples; none: it is ours."""
    reach: float
    """Share of the correct answers above every mirage: what its best threshold for these very answers would keep."""


class MirageReport(_Result):
    """What one expert and its gate do on one split."""

    model: str
    weights: str
    split: str
    alpha: float
    threshold: float
    calibrated: bool
    """Whether alpha and threshold were fitted for these weights; else they are the settings' default."""
    lines: tuple[ConditionLine, ...]
    kept: Score
    """Of the correct answers with the picture present, those not flagged: coverage."""
    kept_negative: Score
    """The same of questions whose truth is negative."""
    kept_wrong: Score
    """Of the wrong answers with the picture present, those not flagged."""
    systems: tuple[SystemLine, ...]
    """Ours first."""
    outcomes: tuple[Scored, ...]

    @property
    def note(self) -> str:
        """What must stand beside every figure; empty for a model that is no demonstrator."""
        return note(self.model)

    @property
    def best_area(self) -> bool:
        """Whether ours is the smallest of the areas; a tie is none."""
        return all(self.systems[0].area < other.area for other in self.systems[1:])

    @property
    def reached(self) -> dict[str, bool]:
        """The bar, part by part."""
        return {
            "mirage rate 0 after gating": self.lines[0].after.correct == 0,
            f"coverage of the correct answers >= {LEAST_COVERAGE:.2f}": (self.kept.accuracy or 0.0) >= LEAST_COVERAGE,
            "best area under the risk-coverage curve": self.best_area,
        }


def benchmark(
    scored: Sequence[Scored],
    weights: WeightsVersion,
    split: str,
    alpha: float,
    threshold: float,
    calibrated: bool,
) -> MirageReport:
    """All figures from scored answers; below `threshold` an answer is flagged.

    Raises:
        BadInput: no question has a negative truth, or no answer claims anything.
    """
    negative = [one for one in scored if one.negative]
    claimed = [one for one in scored if one.claimed]
    if not negative or not claimed:
        lacking = "no answer claims anything" if negative else "no question has a negative truth"
        raise BadInput(lacking, "evaluate another model, or make the dataset with more questions")
    passed = {id(one) for one in scored if one.confidence(alpha) >= threshold}

    def line(condition: Condition | None) -> ConditionLine:
        part = [one for one in negative if condition in (None, one.condition)]
        return ConditionLine(
            condition=condition,
            asked=len(part),
            claimed=_share(part, [one.claimed for one in part]),
            positives=_share(part, [one.positive for one in part]),
            before=_share(part, [one.mirage for one in part]),
            after=_share(part, [one.mirage and id(one) in passed for one in part]),
        )

    def kept(part: Sequence[Scored]) -> Score:
        return _share(part, [id(one) in passed for one in part])

    present = [one for one in scored if one.condition == "present"]
    return MirageReport(
        model=weights.name,
        weights=weights.digest,
        split=split,
        alpha=alpha,
        threshold=threshold,
        calibrated=calibrated,
        lines=tuple(line(condition) for condition in (None, *CONDITIONS)),
        kept=kept([one for one in present if one.correct]),
        kept_negative=kept([one for one in present if one.correct and one.negative]),
        kept_wrong=kept([one for one in present if one.wrong]),
        systems=_compare(scored, claimed, alpha),
        outcomes=tuple(scored),
    )


def _share(part: Sequence[Scored], held: Sequence[bool]) -> Score:
    return score(held, [one.patient for one in part])


def _compare(scored: Sequence[Scored], claimed: Sequence[Scored], alpha: float) -> tuple[SystemLine, ...]:
    """Areas over all answers that claim something; a wrong one does not say what is true of what was shown."""
    wrong = values(claimed, lambda one: float(one.wrong))
    patients = [one.patient for one in claimed]
    lines: list[SystemLine] = []
    ours = np.zeros(1)
    for name, confidence in systems(alpha).items():
        trusted = values(claimed, confidence)
        resampled = resampled_areas(trusted, wrong, patients)
        if not lines:
            ours = resampled
        highest = max((confidence(one) for one in scored if one.mirage), default=-1.0)
        correct = [confidence(one) for one in scored if one.condition == "present" and one.correct]
        lines.append(
            SystemLine(
                name=name,
                area=area(trusted, wrong),
                interval=interval(resampled),
                behind=interval(resampled - ours) if lines else None,
                reach=float(np.mean([one > highest for one in correct])) if correct else 0.0,
            )
        )
    return tuple(lines)


def mirage_served(
    settings: ExpertSettings,
    default: OrchestratorSettings,
    modality: Modality,
    split: Split,
    output: Path,
    rephrase: Rephrase,
    embed: Embed,
    tell: Callable[[str], None] = lambda stage: None,
) -> MirageReport:
    """Ask and judge a checkpoint as it is served, by its calibration, or where it has none by the settings' default.

    Raises:
        BadInput: it was calibrated on this split, or see `probe_served` and `benchmark`.
        BadSettings: the checkpoint cannot be served, or its calibration cannot be read.
    """
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    weights = identify(checkpoint)
    fitted = read_calibration(checkpoint, weights.digest)
    if fitted is not None and fitted.split == split.name:
        raise BadInput(f"{weights.name} was calibrated on {split.name!r}", "name a split that calibration did not see")
    if fitted is None:
        tell(f"{weights.name} has no calibration: judged by the default, alpha {default.alpha}, {default.threshold}")
    rows = probe_served(checkpoint, settings, modality, split, rephrase, output / "mirage-answers.json", tell)
    tell(f"scoring {len(rows)} answers")
    used = fitted or default
    return benchmark(
        score_rows(rows, embed), weights, split.name, used.alpha, used.threshold, calibrated=fitted is not None
    )
