"""Knobs of learning while serving: when a round begins, how it trains, and what a candidate must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from chordae.platform.noun import Noun


class GateSettings(Noun):
    """Limits of the gate's rules. Drops are of shares: 0.02 is two percentage points."""

    least_sentinels: int = Field(100, ge=1, description="Fewer decide nothing")
    least_per_class: int = Field(10, ge=1, description="Fewer of a class say nothing of it; the gate holds")
    least_per_site: int = Field(10, ge=1, description="The same of a site")
    least_mirage_questions: int = Field(30, ge=1, le=40, description="Fewer say nothing of mirages")
    accuracy_drop: float = Field(0.02, ge=0, le=1, description="That is borne where it may be chance")
    recall_drop: float = Field(0.10, ge=0, le=1, description="Of a class, likewise")
    site_drop: float = Field(0.10, ge=0, le=1, description="Of a site's accuracy, likewise")
    calibration_rise: float = Field(0.05, ge=0, le=1, description="Of the expected calibration error, likewise")
    slower: float = Field(1.25, ge=1, description="Times the champion's latency that each quantile may take")
    alpha: float = Field(0.05, gt=0, lt=1, description="Chance, over all of a rule's tests, to fail an equal candidate")


class TrialSettings(Noun):
    """How a candidate that passed on sentinels is tried on real questions before it is promoted."""

    shadow_answers: int = Field(50, ge=0, description="Questions that it answers unheard first; 0: none")
    canary_answers: int = Field(50, ge=0, description="Then answers of its own that are given; 0: none")
    share: float = Field(0.1, gt=0, le=1, description="Of studies that hear the candidate then, by their hash")
    most_h: float = Field(72, gt=0, description="A trial with fewer answers by then ends, and the candidate is held")
    unanswered: float = Field(0.05, ge=0, le=1, description="Share of questions that it may leave unanswered")


class LearningSettings(Noun):
    """Of the loop of the CMR reasoner."""

    recipe: Path = Field(
        Path("configs/train/cmr-r-pcrl.yaml"), description="How a round trains; its start and records are the round's"
    )
    calibration: tuple[Path, ...] = Field(
        (Path("var/datasets/cmr-r-dev"),), description="Labelled cases that a candidate's temperature is fitted on"
    )
    sentinels: tuple[Path, ...] = Field(
        (Path("var/datasets/cmr-r-sentinels"),),
        description="Labelled cases by which champion and candidate are compared, beside what clinicians labelled",
    )
    most_sentinels: int = Field(600, ge=1, description="Of each kind, chosen by hash")
    least_records: int = Field(100, ge=1, description="So many waiting records begin a round")
    most_per_site: int = Field(400, ge=1, description="Records of a site in one round; more wait for the next")
    every_h: float | None = Field(
        None, gt=0, description="A round begins at the latest so many hours after the last, if any record waits"
    )
    poll_s: float = Field(60, gt=0, description="The loop looks so often whether enough has come in")
    promote: Literal["gate", "person"] = Field("gate", description="Who lets a candidate serve that passed every rule")
    trial: TrialSettings = Field(default_factory=lambda: TrialSettings(), description="Shadow and canary")
    gate: GateSettings = Field(default_factory=lambda: GateSettings(), description="What a candidate must hold")
