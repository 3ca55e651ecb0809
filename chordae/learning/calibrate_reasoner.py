"""`chordae calibrate` of a reasoner: the temperature of its probabilities, fitted on held-out records.

Records for which it gave no category, and so no probabilities, are left out, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from chordae.cohort.record_cases import Case
from chordae.learning.diagnosis_evaluation import Tell, chosen, diagnosed, training_sets
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.reasoner_lessons import case_id, open_cases, refuse_shared
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.temperature import Temperature, before_and_after, fit, write_temperature
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint, identify


def calibrate_reasoner(
    settings: ExpertSettings, datasets: Path, split: str, most: int | None = None, tell: Tell = lambda stage: None
) -> Temperature:
    """Diagnose, fit, and store the temperature beside the weights.

    Args:
        settings: the reasoner's: checkpoint and engine.
        datasets: where the split lies, and by their names the sets that the reasoner was trained on.
        split: the held-out set's name.
        most: so many records, chosen by the hashes of their ids; none: all.
        tell: is told what happens.

    Raises:
        BadInput: a dataset that is missing, a patient in both, or nothing to fit; an older temperature stays then.
        BadSettings: the checkpoint cannot be served.
    """
    cases = chosen(open_cases([datasets / split]), most)
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    refuse_shared(open_cases([datasets / name for name in training_sets(checkpoint)]), cases)
    return calibrate_on(checkpoint, settings, cases, split, tell)


def calibrate_on(
    checkpoint: Path, settings: ExpertSettings, cases: Sequence[Case], split: str, tell: Tell = lambda stage: None
) -> Temperature:
    """The same on these cases, whatever the checkpoint was trained on; `split` is what they are called."""
    found = fitted(diagnosed(checkpoint, settings, cases, "en", tell), cases, identify(checkpoint).digest, split)
    write_temperature(checkpoint, found)
    return found


def fitted(outcomes: Sequence[DiagnosisOutcome], cases: Sequence[Case], weights: str, split: str) -> Temperature:
    """The temperature for what was said, at temperature 1, of these cases. Raises as `temperature.fit` does."""
    known = [one for one in outcomes if one.probabilities]
    probabilities = [one.probabilities for one in known]
    truth = [CATEGORIES.index(one.truth) for one in known]
    temperature = fit(probabilities, truth)
    nll, ece = before_and_after(probabilities, truth, temperature)
    whole = hashlib.sha256()
    for line in sorted(f"{case_id(case)}\0{case.model_dump_json()}" for case in cases):
        whole.update(line.encode())
    return Temperature(
        temperature=temperature,
        weights=weights,
        split=split,
        records=whole.hexdigest(),
        n=len(known),
        nll=nll,
        ece=ece,
        date=datetime.now(UTC).date().isoformat(),
    )
