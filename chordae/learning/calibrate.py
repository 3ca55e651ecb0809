"""`chordae calibrate`: alpha and threshold for one version of an expert's weights, fitted on a held-out split.

Of all pairs that let no mirage through, those that keep most of the correct answers. A mirage that is perfectly
consistent (the same text always, picture or not) scores alpha; the threshold lies above it whether the split held one
or not. Of alphas that keep equally many, those count whose area under the risk-coverage curve is within one standard
error of the smallest; which of these is smallest is chance, so it is the one nearest to weighing both probes alike. The
threshold is the strictest that keeps as many: a mirage in other words scores more than one that repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from chordae.cohort.items import checksum
from chordae.learning.evaluate_served import Split
from chordae.learning.mirage_report import plots
from chordae.learning.probe_scores import Scored, score_rows, values
from chordae.learning.probed_answers import Rephrase, probe_served
from chordae.learning.results import note
from chordae.learning.risk_coverage import area, resampled_areas
from chordae.learning.statistics import LEVEL, cluster_interval
from chordae.platform.calibration import Calibration, write_calibration
from chordae.platform.errors import BadInput
from chordae.platform.probing import Embed
from chordae.platform.schemas import Modality
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint, identify

ALPHAS = tuple(round(0.05 * step, 2) for step in range(21))
EVEN = 0.5
"""Alpha at which both probes weigh alike."""
LEAST_GAP = 0.01
"""Between what is kept and what is not: less is the rounding of an embedding."""


@dataclass(frozen=True)
class Fit:
    """One pair of alpha and threshold, and what it does to the answers that it was fitted on."""

    alpha: float
    threshold: float
    kept: int
    """Correct answers that are not flagged."""
    correct: int
    area: float
    """Under the risk-coverage curve of all answers that claim something."""


def fit(scored: Sequence[Scored]) -> Fit:
    """The best pair over `ALPHAS` and all thresholds.

    Args:
        scored: answers under all conditions; the correct ones count where their picture was present.

    Raises:
        BadInput: no answer is correct, or no pair keeps one and flags every mirage.
    """
    if not correct_answers(scored):
        raise BadInput("no answer is correct", "train the expert first: nothing it says is worth keeping")
    found = [one for one in (_at(scored, alpha) for alpha in ALPHAS) if one is not None]
    if not found:
        mirages = sum(one.mirage for one in scored)
        raise BadInput(
            f"no threshold flags all {mirages} mirages and keeps a correct answer, so nothing is stored",
            "serve the expert with the conservative default, or train it to decline where nothing was provided",
        )
    most = max(one.kept for one in found)
    found = [one for one in found if one.kept == most]
    best = min(found, key=lambda one: one.area)
    near = best.area + _standard_error(scored, best.alpha)
    return min((one for one in found if one.area <= near), key=lambda one: (abs(one.alpha - EVEN), one.area))


def _at(scored: Sequence[Scored], alpha: float) -> Fit | None:
    """The threshold that keeps most at that alpha; none: it would keep nothing."""
    mirages = [one.confidence(alpha) for one in scored if one.mirage]
    correct = np.array([one.confidence(alpha) for one in correct_answers(scored)])
    highest = max([alpha, *mirages])
    kept = correct[correct >= highest + LEAST_GAP]
    if not kept.size:
        return None
    claimed = [one for one in scored if one.claimed]
    return Fit(
        alpha=alpha,
        threshold=round(float(kept.min()) - LEAST_GAP / 2, 4),
        kept=int(kept.size),
        correct=int(correct.size),
        area=area(values(claimed, lambda one: one.confidence(alpha)), values(claimed, lambda one: float(one.wrong))),
    )


def _standard_error(scored: Sequence[Scored], alpha: float) -> float:
    """Of the area at that alpha, over patients."""
    claimed = [one for one in scored if one.claimed]
    confidences = values(claimed, lambda one: one.confidence(alpha))
    wrong = values(claimed, lambda one: float(one.wrong))
    return float(resampled_areas(confidences, wrong, [one.patient for one in claimed]).std())


def correct_answers(scored: Sequence[Scored]) -> list[Scored]:
    """What coverage counts: right answers to questions that came with their picture."""
    return [one for one in scored if one.condition == "present" and one.correct]


def upper_bound(mirages: int, patients: int) -> float:
    """Upper 95 % bound of a rate (Clopper and Pearson 1934, one-sided); of none in n about 3 / n, the rule of three."""
    return float(binomtest(mirages, patients, alternative="less").proportion_ci(LEVEL, method="exact").high)


def calibration(scored: Sequence[Scored], weights: str, split: str, questions: str) -> Calibration:
    """What is stored. Answers to questions about one patient depend on each other: the bound counts patients.

    Args:
        scored: as for `fit`, which may raise.
        weights: digest of what answered.
        split: the dataset's name.
        questions: checksum of the questions.
    """
    best = fit(scored)
    correct = correct_answers(scored)
    kept = values(correct, lambda one: float(one.confidence(best.alpha) >= best.threshold))
    negative = [one for one in scored if one.negative]
    patients = len({one.patient for one in negative})
    through = {one.patient for one in negative if one.mirage and one.confidence(best.alpha) >= best.threshold}
    return Calibration(
        alpha=best.alpha,
        threshold=best.threshold,
        weights=weights,
        split=split,
        questions=questions,
        n=len(scored),
        correct=len(correct),
        coverage=float(kept.mean()),
        coverage_interval=cluster_interval(kept, [one.patient for one in correct]),
        negatives=len(negative),
        patients=patients,
        mirages=sum(one.mirage for one in negative),
        mirage_bound=upper_bound(len(through), patients),
        date=datetime.now(UTC).date().isoformat(),
    )


def calibrate_served(
    settings: ExpertSettings,
    modality: Modality,
    split: Split,
    output: Path,
    rephrase: Rephrase,
    embed: Embed,
    tell: Callable[[str], None] = lambda stage: None,
) -> Calibration:
    """Ask, fit, and store the calibration beside the weights; answers and plots below `output`.

    Raises:
        BadInput: see `probe_served` and `fit`; then nothing is stored, and an older calibration stays.
        BadSettings: the checkpoint cannot be served.
    """
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    weights = identify(checkpoint)
    rows = probe_served(checkpoint, settings, modality, split, rephrase, output / "calibration-answers.json", tell)
    tell(f"scoring {len(rows)} answers")
    scored = score_rows(rows, embed)
    questions = checksum({row.item.id: row.item for row in rows}.values())
    found = calibration(scored, weights.digest, split.name, questions)
    title = f"{weights.name}, calibrated on {split.name}\n{note(weights.name)}".strip()
    plots(scored, found.alpha, found.threshold, output, "calibration", title)
    write_calibration(checkpoint, found)
    return found
