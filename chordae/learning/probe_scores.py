"""Four ways to score a probed answer: ours, none, agreement alone, and the reference's public code.

The public code weighs agreement and image delta evenly, and takes both from the Jaccard overlap of words.
"""

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from chordae.learning.probed_answers import ProbedAnswer
from chordae.learning.shown_media import Condition
from chordae.platform.probing import Embed, agreement, image_delta
from chordae.platform.self_contradiction import self_contradiction


class Scored(BaseModel):
    """A probed answer without its texts: whose it is, what it is worth, and what the probes say of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    patient: str
    condition: Condition
    negative: bool
    claimed: bool
    correct: bool
    positive: bool
    mirage: bool
    agreement: float
    image_delta: float
    contradicts: bool
    """Whether its yes or no contradicts what it states next; then there is no confidence in it."""
    public: float
    """The public code's confidence."""

    @property
    def wrong(self) -> bool:
        """It claims something, and that is not what was shown."""
        return self.claimed and not self.correct

    def confidence(self, alpha: float) -> float:
        """alpha * agreement + (1 - alpha) * image delta, as the orchestrator has it."""
        return 0.0 if self.contradicts else alpha * self.agreement + (1 - alpha) * self.image_delta


def score_rows(rows: Sequence[ProbedAnswer], embed: Embed) -> list[Scored]:
    """(rows,) scores of answers."""
    return [
        Scored(
            id=row.item.id,
            patient=row.item.patient,
            condition=row.condition,
            negative=row.negative,
            claimed=row.claimed,
            correct=row.correct,
            positive=row.positive,
            mirage=row.mirage,
            agreement=agreement([row.answer, *row.rephrased]),
            image_delta=image_delta(row.answer, row.without, embed),
            contradicts=self_contradiction(row.item.question, row.answer) is not None,
            public=public_score(row.answer, row.rephrased, row.without),
        )
        for row in rows
    ]


def systems(alpha: float) -> dict[str, Callable[[Scored], float]]:
    """By name, the confidence that each system has in an answer; ours comes first."""
    return {
        "chordae": lambda one: one.confidence(alpha),
        "no gating": lambda one: 1.0,
        "agreement alone": lambda one: one.agreement,
        "public code (Jaccard)": lambda one: one.public,
    }


def public_score(answer: str, rephrased: Sequence[str], without: str) -> float:
    """0.5 * mean pairwise Jaccard + 0.5 * (1 - Jaccard with and without the picture)."""
    agreed = fmean(jaccard(a, b) for a, b in combinations([answer, *rephrased], 2))
    return 0.5 * agreed + 0.5 * (1 - jaccard(answer, without))


def jaccard(first: str, second: str) -> float:
    """Shared words of all words, 0 to 1; of two texts without any, 1."""
    a, b = (set(re.findall(r"[a-z0-9]+", text.lower())) for text in (first, second))
    return len(a & b) / len(a | b) if a | b else 1.0


def values(scored: Sequence[Scored], confidence: Callable[[Scored], float]) -> NDArray[np.float64]:
    """(scored,) confidences."""
    return np.array([confidence(one) for one in scored], dtype=float)
