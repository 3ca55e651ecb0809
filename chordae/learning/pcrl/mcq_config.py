"""What a run of PCRL of an imaging expert is told."""

from typing import Literal, Self

from pydantic import Field, model_validator

from chordae.learning.grpo_config import ExpertGrpo
from chordae.learning.pcrl.config import PcrlRun


class McqPcrlConfig(PcrlRun, ExpertGrpo):
    """`start` is the champion, `datasets` hold the labelled studies whose questions are replayed; of the studies in
    `unlabelled` (samples.jsonl and media) nothing but the media are looked at."""

    type: Literal["pcrl-mcq"]
    workers: int = Field(1, ge=0, le=1, description="One state, one worker; 0 trains in this process.")

    @model_validator(mode="after")
    def _replays(self) -> Self:
        if not self.datasets:
            raise ValueError("datasets are missing: labelled studies say which questions can be asked")
        return self
