"""What every noun that crosses rooms is, and what an answer of any kind rests on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Noun(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsVersion(Noun):
    """Which weights answered."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 over what decides an answer: see chordae.platform.weights")


class Provenance(Noun):
    """What an answer rests on; enough to ask the same thing again."""

    request_id: str
    weights: tuple[WeightsVersion, ...]
    media: tuple[str, ...]
    settings_digest: str
