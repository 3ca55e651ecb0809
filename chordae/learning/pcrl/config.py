"""What a run of PCRL is told."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from chordae.learning.curriculum.rewards.combine import RewardWeights
from chordae.learning.pcrl.abstention import AbstentionSettings
from chordae.learning.pcrl.brakes import BrakeSettings
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.run_config import Strict


class PcrlRun(Strict):
    """Prospective continuous reinforcement learning: unlabelled cases, answered, voted on, learned.

    A round takes the next part of the unlabelled cases: they are labelled by weights that have never been trained on
    them, then trained on. Not a `Run` itself: whose run it is says that, with defaults of its own.
    """

    steps: int = Field(0, ge=0, description="Those of all rounds; leave it out.")
    unlabelled: tuple[Path, ...] = Field(min_length=1, description="Directories of cases that nobody has judged.")
    sentinels: tuple[Path, ...] = Field(min_length=1, description="Directories of labelled cases that are watched.")
    most_sentinels: int = Field(150, ge=1, description="Of them that are looked at, chosen by hash.")
    rounds: int = Field(1, ge=1, description="Parts that the unlabelled cases are taken in.")
    round_steps: int = Field(ge=1, description="Optimiser steps a round.")
    answers: int = Field(8, ge=1, description="That vote on a case, over all its wordings.")
    wordings: int = Field(2, ge=1, description="Of a case that is voted on, the original among them.")
    abstention: AbstentionSettings = Field(default_factory=AbstentionSettings, description="Cases without a label.")
    brakes: BrakeSettings | None = Field(
        default_factory=BrakeSettings, description="When the run stops itself; none: never, for comparison."
    )
    replay: float = Field(0.25, ge=0, lt=1, description="Share of a step's prompts that are labelled cases.")

    @model_validator(mode="after")
    def _votes(self) -> Self:
        if self.answers % self.wordings:
            raise ValueError(f"answers: {self.answers} are not spread evenly over {self.wordings} wordings")
        total = self.rounds * self.round_steps
        if self.steps not in (0, total):
            raise ValueError(f"steps is {self.steps}, the rounds' sum {total}: leave it out")
        object.__setattr__(self, "steps", total)
        return self


class PcrlConfig(PcrlRun, ReasonerRun):
    """Of the reasoner: `start` is the champion, `cases` the labelled ones that are replayed."""

    type: Literal["pcrl"]
    labels: Literal["weighted", "majority", "greedy"] = Field(
        "weighted",
        description="Who decides a pseudo-label: answers weighed by their certainty, with abstention (PCRL); most "
        "answers to the original (TTRL); the likeliest answer (self-training). The last two are for comparison.",
    )
    rewards: RewardWeights = Field(default_factory=RewardWeights, description="What an answer's parts weigh.")

    @property
    def worth(self) -> RewardWeights:
        """As configured."""
        return self.rewards
