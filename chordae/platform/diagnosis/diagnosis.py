"""What the reasoner says of one record, with everything that is needed to follow it or to doubt it."""

from __future__ import annotations

from pydantic import Field

from chordae.platform.diagnosis.category import Category, Language
from chordae.platform.diagnosis.chain import Chain
from chordae.platform.diagnosis.check import ChainCheck
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.noun import Noun, Provenance, WeightsVersion


class Diagnosis(Noun):
    """One category, or none and why; its chain and whether that holds; how likely each category is."""

    category: Category | None = Field(description="None: `reason` says why; it is never made up")
    reason: str = Field("", description="Why there is no category")
    probabilities: dict[Category, float] = Field(
        default_factory=dict, description="Of all categories, by constrained decoding; empty where there is none"
    )
    calibrated: bool = Field(False, description="Whether the temperature was fitted for these weights")
    temperature: float = Field(1.0, gt=0, description="By which log-probabilities were divided")
    language: Language = Field(description="Of the prompt and the chain")
    written: str = Field("", description="The chain as the reasoner wrote it; empty where it was not asked")
    chain: Chain | None = Field(None, description="The same, read")
    check: ChainCheck | None = Field(None, description="Every citation held against the record")
    problems: tuple[Problem, ...] = Field((), description="What is to be said about the record")
    flagged: bool = Field(description="Not to be relied on: `why` says why")
    why: tuple[str, ...] = Field((), description="A sentence a reason")
    record: str = Field(description="SHA-256 of the record as it was read, without the patient's key")
    weights: WeightsVersion
    provenance: Provenance

    @property
    def probability(self) -> float | None:
        """That of the category."""
        return None if self.category is None else self.probabilities.get(self.category)
