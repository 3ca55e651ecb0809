"""What a candidate must hold to be promoted."""

from __future__ import annotations

from pydantic import Field

from chordae.platform.noun import Noun


class GateSettings(Noun):
    """Limits of the gate's rules. Drops are of shares: 0.02 is two percentage points."""

    least_sentinels: int = Field(100, ge=1, description="Fewer decide nothing.")
    least_per_class: int = Field(10, ge=1, description="Fewer of a class say nothing of it; the gate holds.")
    least_per_site: int = Field(10, ge=1, description="The same of a site.")
    least_mirage_questions: int = Field(30, ge=1, description="Fewer say nothing of mirages.")
    accuracy_drop: float = Field(0.02, ge=0, le=1, description="That is borne where it may be chance.")
    recall_drop: float = Field(0.10, ge=0, le=1, description="Of a class, likewise.")
    site_drop: float = Field(0.10, ge=0, le=1, description="Of a site's accuracy, likewise.")
    calibration_rise: float = Field(0.05, ge=0, le=1, description="Of the expected calibration error, likewise.")
    slower: float = Field(1.25, ge=1, description="Times the champion's latency that each quantile may take.")
    alpha: float = Field(
        0.05, gt=0, lt=1, description="Chance, over all of a rule's tests, to fail an equal candidate."
    )
