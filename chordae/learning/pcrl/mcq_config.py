"""What a run of PCRL of an imaging expert is told."""

from typing import Literal

from pydantic import Field

from chordae.learning.grpo_config import ExpertGrpo
from chordae.learning.pcrl.config import PcrlRun


class McqPcrlConfig(PcrlRun, ExpertGrpo):
    """`start` is the champion, `datasets` hold the labelled studies whose questions are replayed; of the studies in
    `unlabelled` (samples.jsonl and media) nothing but the media are looked at."""

    type: Literal["pcrl-mcq"]
    workers: int = Field(1, ge=0, le=1, description="One state, one worker; 0 trains in this process.")
