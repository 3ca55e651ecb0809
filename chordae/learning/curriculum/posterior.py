"""What is believed of a class's accuracy: a Beta distribution, uniform before anything was assessed.

Source: CMR-R, MA-GRPO: Beta(1, 1) for every class; after each round the class's right and wrong answers on a
development set are added. Assessments of all rounds weigh the same: nothing is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import Field

from chordae.platform.schemas import Noun


class Posterior(Noun):
    """Beta(alpha, beta) over the share of a class's cases that are answered right."""

    alpha: float = Field(1.0, gt=0, allow_inf_nan=False, description="1 and the right answers so far")
    beta: float = Field(1.0, gt=0, allow_inf_nan=False, description="1 and the wrong answers so far")

    @property
    def mean(self) -> float:
        """alpha / (alpha + beta)."""
        return self.alpha / (self.alpha + self.beta)

    def updated(self, correct: int, total: int) -> Posterior:
        """After `correct` of `total` cases were answered right.

        Raises:
            ValueError: not 0 <= correct <= total.
        """
        if not 0 <= correct <= total:
            raise ValueError(f"{correct} of {total} cases cannot have been answered right")
        return Posterior(alpha=self.alpha + correct, beta=self.beta + total - correct)

    def draw(self, generator: np.random.Generator) -> float:
        """An accuracy, theta, drawn from the distribution."""
        return float(generator.beta(self.alpha, self.beta))


def uninformed(classes: Iterable[str]) -> dict[str, Posterior]:
    """Beta(1, 1) for every class."""
    return {name: Posterior() for name in classes}


def assessed(posteriors: Mapping[str, Posterior], counts: Mapping[str, tuple[int, int]]) -> dict[str, Posterior]:
    """Every class's posterior after an assessment; a class that was not assessed keeps its own.

    Args:
        posteriors: by class.
        counts: (correct, total) on the development set by class.

    Raises:
        ValueError: a class that has no posterior, or a count that cannot be.
    """
    unknown = sorted(counts.keys() - posteriors.keys())
    if unknown:
        raise ValueError(f"assessed, but not trained on: {', '.join(unknown)}")
    return {name: one.updated(*counts.get(name, (0, 0))) for name, one in posteriors.items()}
