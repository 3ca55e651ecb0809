"""The nouns that cross rooms. All frozen; none holds a patient's name, number or date."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Modality = Literal["ecg", "echo", "cmr"]
Kind = Literal["image", "video"]

KIND_OF: dict[Modality, Kind] = {"ecg": "image", "echo": "video", "cmr": "video"}
"""What a modality's media are, and so what its expert looks at."""

NAME_OF: dict[Modality, str] = {"ecg": "ECG", "echo": "Echo", "cmr": "CMR"}
"""As people write them."""


class Noun(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Media(Noun):
    """A picture or video that a model can look at, by reference: its bytes lie in the media store under `id`."""

    id: str = Field(description="SHA-256 of the preprocessing version and the bytes")
    kind: Kind = "image"
    modality: Modality
    companion: str | None = Field(None, description="Id of the picture for people, where there is one")
    sidecar: dict[str, object] = Field(default_factory=dict, description="How it was made; allow-listed facts only")


class Question(Noun):
    """One question about the media it names."""

    text: str
    media: tuple[str, ...] = ()
    sampling: dict[str, object] = Field(default_factory=dict, description="OpenAI's sampling fields, as the caller set")


class WeightsVersion(Noun):
    """Which weights answered."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 over what decides an answer: see chordae.platform.weights")


class ExpertAnswer(Noun):
    """What an expert said to one prompt."""

    text: str
    weights: WeightsVersion
    finish_reason: str


class Confidence(Noun):
    """confidence = alpha * agreement + (1 - alpha) * image_delta (MARCUS, Confidence Scoring)."""

    agreement: float = Field(description="Mean pairwise ROUGE-L F1 of the original answer and its rephrasings, 0 to 1")
    image_delta: float = Field(description="Cosine distance of the answers with and without the picture, 0 to 1")
    alpha: float
    threshold: float
    value: float
    flagged: bool = Field(description="Below the threshold: not to be relied on")
    calibrated: bool = Field(False, description="Whether alpha and threshold were fitted for these weights")


class Probe(Noun):
    """A question put to the expert again, and what it said."""

    question: str
    answer: str


class ProbeReport(Noun):
    """What one expert was asked in all, and what that says about its answer."""

    modality: Modality
    question: str
    answer: str
    rephrasings: tuple[Probe, ...]
    image_absent: Probe
    confidence: Confidence
    weights: WeightsVersion


class Provenance(Noun):
    """What an answer rests on; enough to ask the same thing again."""

    request_id: str
    weights: tuple[WeightsVersion, ...]
    media: tuple[str, ...]
    settings_digest: str


class Answer(Noun):
    """What the platform tells the caller."""

    text: str = Field(
        description="The answer, with the disclaimer in front where it is flagged; every expert's, by name"
    )
    flagged: bool | None = Field(description="None: not probed, so nothing is known about it")
    finish_reason: str = Field(description="OpenAI's: `length` means that the answer was cut off")
    answers: dict[Modality, ExpertAnswer] = Field(default_factory=dict, description="What each expert said")
    missing: dict[Modality, str] = Field(default_factory=dict, description="Of several modalities, which and why not")
    reports: tuple[ProbeReport, ...] = ()
    provenance: Provenance
    stages: dict[str, float] = Field(default_factory=dict, description="Seconds by stage, in order")
