"""What every reinforcement of the reasoner is told, whatever decides its prompts and their labels."""

from typing import Self

from pydantic import Field, model_validator

from chordae.learning.curriculum.rewards.combine import RewardWeights
from chordae.learning.run_config import Run
from chordae.platform.diagnosis.category import Language
from chordae.platform.settings import EngineSettings


class ReasonerRun(Run):
    """GRPO of the reasoner; the defaults are CMR-R's. `batch` counts answers, `batch / group` prompts."""

    prompts: Language = Field("en", description="The language in which records are asked about.")
    engine: EngineSettings | None = Field(
        None, description="The inference engine that answers, beside the trainer; none: the trainer's own model does."
    )
    batch: int = Field(48, ge=1, description="Answers a step.")
    group: int = Field(6, ge=2, description="Answers to each prompt, against whose mean each is judged.")
    kl: float = Field(0.001, ge=0, description="Weight of the divergence from the start checkpoint.")
    temperature: float = Field(1.0, gt=0, description="Of the softmax that answers are drawn from.")
    prompt_tokens: int = Field(8192, ge=1, description="Longest prompt; a longer one is refused.")
    answer_tokens: int = Field(8192, ge=1, description="Longest answer; a longer one is cut off.")
    learning_rate: float = Field(3e-7, gt=0, description="AdamW's.")
    muon_learning_rate: float = Field(
        0.0, ge=0, le=0, description="Always 0: steps are too small to be orthogonalised."
    )
    workers: int = Field(1, ge=0, le=1, description="One state, one worker; 0 trains in this process.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.start is None or not self.cases:
            raise ValueError("start and cases are missing: whose answers are rewarded, on what?")
        if self.batch % self.group:
            raise ValueError(f"batch: {self.batch} answers are no whole groups of {self.group}")
        if self.engine is not None and self.engine.max_model_len < self.prompt_tokens + self.answer_tokens:
            raise ValueError("engine.max_model_len: must be at least prompt_tokens + answer_tokens")
        if self.engine is not None and self.temperature != 1.0:
            raise ValueError("temperature: the engine tells log-probabilities at 1 alone")
        return self

    @property
    def step_prompts(self) -> int:
        """Prompts a step."""
        return self.batch // self.group

    @property
    def worth(self) -> RewardWeights:
        """What the parts of an answer's reward weigh."""
        raise NotImplementedError
