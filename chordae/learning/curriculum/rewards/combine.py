"""The reward of an answer: the weighted sum of its parts, each of which is kept for the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from chordae.learning.curriculum.rewards.answer import answer_reward
from chordae.learning.curriculum.rewards.cosine import RIGHT, WRONG, cosine_reward
from chordae.learning.curriculum.rewards.faithful import faithful_reward
from chordae.learning.curriculum.rewards.format import format_reward
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.schemas import Noun


class RewardWeights(Noun):
    """How much each part counts, and up to what length the cosine does."""

    format: float = Field(1.0, ge=0, allow_inf_nan=False, description="Of the form: 0 or 1.")
    answer: float = Field(1.0, ge=0, allow_inf_nan=False, description="Of the category: 0 or 1.")
    cosine: float = Field(1.0, ge=0, allow_inf_nan=False, description="Of the cosine-scaled reward: -1 to 1.")
    faithful: float = Field(0.0, ge=0, allow_inf_nan=False, description="Of the citations: 0 or 1; not CMR-R's.")
    longest: int = Field(1000, ge=1, description="Characters of a text beyond which its length no longer counts.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.format + self.answer + self.cosine + self.faithful == 0:
            raise ValueError("at least one reward needs a weight above 0")
        return self

    def bounds(self) -> tuple[float, float]:
        """The least and the most that an answer can be worth."""
        return WRONG[0] * self.cosine, self.format + self.answer + self.faithful + RIGHT[1] * self.cosine


@dataclass(frozen=True)
class Reward:
    """What an answer is worth."""

    format: float
    answer: float
    cosine: float
    faithful: float
    total: float
    """The weighted sum."""


def reward(text: str, truth: Category, record: CmrRecord, weights: RewardWeights) -> Reward:
    """What the reasoner's text is worth for that record, of a patient of category `truth`; never raises."""
    chain = parse(text)
    form, right = format_reward(text, chain), answer_reward(chain, truth)
    scaled = cosine_reward(text, chain, truth, weights.longest)
    faithful = faithful_reward(chain, record)
    total = weights.format * form + weights.answer * right + weights.cosine * scaled + weights.faithful * faithful
    return Reward(format=form, answer=right, cosine=scaled, faithful=faithful, total=total)
