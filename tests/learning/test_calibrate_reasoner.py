"""The temperature of a reasoner is fitted to what it said at temperature 1, and says on what it rests."""

from __future__ import annotations

import numpy as np
import pytest
from reasoning import made_up_cases

from chordae.learning.calibrate_reasoner import fitted
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.errors import BadInput

CASES = made_up_cases(64, 5)


def outcomes(sharpness: float) -> list[DiagnosisOutcome]:
    """Answers of a reasoner that is so many times too sure; every fourth without a category."""
    rng, made = np.random.default_rng(0), []
    for place, case in enumerate(CASES):
        logits = rng.normal(0, 1, 8)
        logits[CATEGORIES.index(case.category)] += 2.1  # right as often as softmax(logits) says
        shares = np.exp(sharpness * logits) / np.exp(sharpness * logits).sum()
        told = () if place % 4 == 3 else tuple(shares.tolist())
        category = CATEGORIES[int(shares.argmax())] if told else None
        made.append(
            DiagnosisOutcome(
                patient=case.patient,
                site=case.site,
                truth=case.category,
                category=category,
                probabilities=told,
                faithful=True,
                why=(),
                written="",
            )
        )
    return made


def test_a_reasoner_that_is_too_sure_is_cooled_down_and_what_gave_no_category_is_left_out() -> None:
    found = fitted(outcomes(4), CASES, "digest", "cmr-r-dev")
    assert found.temperature > 1.5
    assert found.nll[1] < found.nll[0]
    assert (found.n, found.weights, found.split) == (48, "digest", "cmr-r-dev")
    again = fitted(outcomes(4), CASES[::-1], "digest", "cmr-r-dev")
    assert again.records == found.records, "the records' order does not matter"


def test_without_any_category_there_is_nothing_to_fit() -> None:
    silent = [one.model_copy(update={"probabilities": (), "category": None}) for one in outcomes(1)]
    with pytest.raises(BadInput, match="no record has probabilities"):
        fitted(silent, CASES, "digest", "cmr-r-dev")
