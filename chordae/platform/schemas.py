"""The nouns that cross rooms. All frozen; none holds a patient's name, number or date."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.noun import Noun as Noun
from chordae.platform.noun import Provenance as Provenance
from chordae.platform.noun import WeightsVersion as WeightsVersion

Modality = Literal["ecg", "echo", "cmr"]
Kind = Literal["image", "video"]

KIND_OF: dict[Modality, Kind] = {"ecg": "image", "echo": "video", "cmr": "video"}
"""What a modality's media are, and so what its expert looks at."""

NAME_OF: dict[Modality, str] = {"ecg": "ECG", "echo": "Echo", "cmr": "CMR"}
"""As people write them."""

Speaker = Literal["ecg", "echo", "cmr", "reasoner"]
"""Who says something in an answer: an expert of a modality, or the reasoner about a CMR record."""

SPEAKER_NAME: dict[Speaker, str] = {"ecg": "ECG", "echo": "Echo", "cmr": "CMR", "reasoner": "CMR reasoner"}
"""The same; experts go by their modality's name."""


class Media(Noun):
    """A picture or video that a model can look at, by reference: its bytes lie in the media store under `id`."""

    id: str = Field(description="SHA-256 of the preprocessing version and the bytes")
    kind: Kind = "image"
    modality: Modality
    companion: str | None = Field(None, description="Id of the picture for people, where there is one")
    sidecar: dict[str, object] = Field(default_factory=dict, description="How it was made; allow-listed facts only")


class Question(Noun):
    """One question about the media it names, and about a CMR record where one comes with it."""

    text: str
    media: tuple[str, ...] = ()
    record: CmrRecord | None = Field(None, description="Without the patient's key")
    noticed: tuple[Problem, ...] = Field((), description="What reading that record brought to light")
    sampling: dict[str, object] = Field(default_factory=dict, description="OpenAI's sampling fields, as the caller set")


class Gate(Noun):
    """How confidence is weighed, and below what an answer is flagged."""

    alpha: float = Field(ge=0, le=1, description="Weight of rephrase agreement; the rest weighs the image delta")
    threshold: float = Field(ge=0, le=1, description="Confidence below this is flagged")


class ExpertAnswer(Noun):
    """What an expert said to one prompt."""

    text: str
    weights: WeightsVersion
    finish_reason: str
    gate: Gate | None = Field(None, description="Fitted for these weights; none: they were never calibrated")


class Confidence(Noun):
    """confidence = alpha * agreement + (1 - alpha) * image_delta (MARCUS); 0 in an answer that contradicts itself."""

    agreement: float = Field(description="Mean pairwise ROUGE-L F1 of the original answer and its rephrasings, 0 to 1")
    image_delta: float = Field(description="Cosine distance of the answers with and without the picture, 0 to 1")
    alpha: float
    threshold: float
    value: float
    flagged: bool = Field(description="Below the threshold, or contradicting itself: not to be relied on")
    calibrated: bool = Field(False, description="Whether alpha and threshold were fitted for these weights")
    contradiction: str = Field("", description="How the answer contradicts itself, in words that follow 'it'")


class Probe(Noun):
    """A question put to the expert again, and what it said."""

    question: str
    answer: str
    source: Literal["model", "bank"] | None = Field(
        None, description="Who put the question in other words: a language model or the bank; none: it is the original"
    )


class ProbeReport(Noun):
    """What one expert was asked in all, and what that says about its answer."""

    modality: Modality
    question: str
    answer: str
    rephrasings: tuple[Probe, ...]
    image_absent: Probe
    confidence: Confidence
    weights: WeightsVersion


SentenceKind = Literal["finding", "contradiction", "withheld", "missing"]
"""An expert's own words; two experts who cannot both be right; an answer not relied on; no answer at all."""


class Sentence(Noun):
    """One sentence of the synthesis, and whose answers say so."""

    text: str
    rests_on: tuple[Speaker, ...] = Field(min_length=1, description="Whose answers, or whose absence")
    confidence: float | None = Field(
        description="Of the expert, of a contradiction's weaker side, of the reasoner's category its probability; "
        "none: not probed, or nothing was answered"
    )
    kind: SentenceKind


class Synthesis(Noun):
    """What all experts together said, in the order in which it is to be read."""

    sentences: tuple[Sentence, ...]
    text: str = Field(
        description="The sentences, a line each; of a single modality its answer as it is, with the disclaimer in "
        "front where it is flagged"
    )
    apart: dict[Speaker, str] = Field(
        default_factory=dict,
        description="Words of flagged experts behind the disclaimer, to be shown apart from `text`, never within it",
    )


class Answer(Noun):
    """What the platform tells the caller."""

    text: str = Field(
        description="The answer, with the disclaimer in front where it is flagged; of several experts the synthesis"
    )
    flagged: bool | None = Field(description="None: not probed, so nothing is known about it")
    finish_reason: str = Field(description="OpenAI's: `length` means that the answer was cut off")
    answers: dict[Modality, ExpertAnswer] = Field(default_factory=dict, description="What each expert said")
    missing: dict[Speaker, str] = Field(default_factory=dict, description="Of several, who did not answer and why")
    unprobed: dict[Modality, str] = Field(
        default_factory=dict, description="Who answered but could not be probed, and why"
    )
    sentences: tuple[Sentence, ...] = Field((), description="The text, sentence by sentence, with what each rests on")
    apart: dict[Speaker, str] = Field(
        default_factory=dict, description="Words of flagged experts of several, behind the disclaimer; not in the text"
    )
    diagnosis: Diagnosis | None = Field(
        None, description="What the reasoner says of the record: chain, checks, probabilities; none: it was not asked"
    )
    sub_queries: dict[Modality, str] = Field(default_factory=dict, description="What each expert was asked")
    split_by: Literal["model", "rules"] = Field("rules", description="Who made the sub-queries")
    split_note: str = Field("", description="Why the rules made them")
    reports: tuple[ProbeReport, ...] = ()
    provenance: Provenance
    stages: dict[str, float] = Field(default_factory=dict, description="Seconds by stage, in order")
