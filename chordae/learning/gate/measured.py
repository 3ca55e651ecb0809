"""Everything that was measured of the champion and of the candidate on the same sentinels."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from chordae.platform.noun import Noun


class Outcome(Noun):
    """One sentinel, answered by one version."""

    case: str = Field(description="Opaque id; the decision and its page do not show it")
    truth: str = Field(description="Its category")
    site: str
    right: bool = Field(description="An answer without a category is not right")
    confidence: float | None = Field(None, ge=0, le=1, description="Of the answer; none: it had none")


class Measured(Noun):
    """One version of a model."""

    version: str
    outcomes: tuple[Outcome, ...]
    mirages: int = Field(ge=0, description="Categories named where there was nothing to see, and not flagged")
    mirage_questions: int = Field(ge=0, description="Records with nothing to see")
    seconds: tuple[float, ...] = Field(description="That sentinels took which were asked alone, in the same order")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len({one.case for one in self.outcomes}) < len(self.outcomes):
            raise ValueError("a sentinel is measured twice")
        if self.mirages > self.mirage_questions:
            raise ValueError("more mirages than questions")
        if not all(0 < one < float("inf") for one in self.seconds):
            raise ValueError("seconds are above 0 and finite")
        return self


class Trial(Noun):
    """Champion and candidate of a model, on the same sentinels in the same order."""

    model: str
    champion: Measured
    candidate: Measured

    @model_validator(mode="after")
    def _paired(self) -> Self:
        kinds = [[(one.case, one.truth, one.site) for one in some.outcomes] for some in (self.champion, self.candidate)]
        if kinds[0] != kinds[1]:
            raise ValueError("champion and candidate were not measured on the same sentinels")
        if len(self.champion.seconds) != len(self.candidate.seconds):
            raise ValueError("champion and candidate were not timed on the same sentinels")
        return self
