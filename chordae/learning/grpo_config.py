"""What a run is told in which an expert's answers to multiple-choice questions are rewarded."""

from typing import Literal, Self

from pydantic import Field, model_validator

from chordae.learning.run_config import Run


class ExpertGrpo(Run):
    """An expert answers, reward decides (group-relative policy optimisation, Shao et al. 2024).

    The defaults are MARCUS's. `batch` counts answers, `batch / group` prompts.
    """

    type: str
    group: int = Field(4, ge=2, description="Answers to each prompt, against whose mean each is judged.")
    kl: float = Field(0.01, ge=0, description="Weight of the divergence from the start checkpoint.")
    temperature: float = Field(1.0, gt=0, description="Of the softmax that answers are drawn from.")
    prompt_tokens: int = Field(5000, ge=1, description="Longest prompt, its picture included; a longer one is refused.")
    answer_tokens: int = Field(512, ge=1, description="Longest answer; a longer one is cut off.")
    learning_rate: float = Field(1e-6, gt=0, description="AdamW's.")
    muon_learning_rate: float = Field(
        0.0, ge=0, le=0, description="Always 0: steps are too small to be orthogonalised."
    )

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.start is None or self.modality is None:
            raise ValueError("start and modality are missing: whose answers are rewarded, on what?")
        accumulation = 1 if self.sharding is None else self.sharding.accumulation
        if self.batch * accumulation % self.group:
            raise ValueError(f"batch: {self.batch} x {accumulation} answers are no whole groups of {self.group}")
        if self.sharding is not None and self.sharding.tokens != self.prompt_tokens + self.answer_tokens:
            raise ValueError("sharding.tokens: must be prompt_tokens + answer_tokens")
        return self


class GrpoConfig(ExpertGrpo):
    """Stage 3, by what is known of the studies."""

    type: Literal["grpo"]
