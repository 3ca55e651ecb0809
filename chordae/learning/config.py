"""What a training run is told: pydantic models of the files in `configs/train`, unknown keys refused.

An expert is made by a chain of runs, each with a file of its own: pretrain (the encoder learns to see), sft (the whole
model learns to answer), grpo (reward decides). `start` names the checkpoint that a run begins from.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from chordae.learning.curriculum.config import CurriculumConfig
from chordae.learning.curriculum.rewards.combine import RewardWeights
from chordae.learning.grpo_config import GrpoConfig
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.run_config import Run, Strict
from chordae.platform.errors import BadSettings


class PretrainConfig(Run):
    """Stage 1: the vision encoder and its projector learn; the language model is frozen."""

    type: Literal["pretrain"]
    objective: Literal["heads", "reports"] = Field(
        "heads", description="Linear heads on findings and numbers (nano), or the next token of reports (large)."
    )

    @model_validator(mode="after")
    def _sees(self) -> Self:
        if self.modality is None:
            raise ValueError("modality is missing: an encoder is trained on media")
        return self


class Phase(Strict):
    """So many steps of a mixture; the weights are relative."""

    steps: int = Field(ge=1)
    reports: float = Field(0.0, ge=0, description="Whole readings of a study.")
    questions: float = Field(0.0, ge=0, description="Open, yes-no and option questions on a study.")
    matching: float = Field(0.0, ge=0, description="Options matched to a finding in words.")
    blind: float = Field(0.0, ge=0, description="Questions whose study is missing.")
    foreign: float = Field(0.0, ge=0, description="Questions about a blank, noise or another modality's study.")
    tasks: float = Field(0.0, ge=0, description="The orchestrator's: decompose, rephrase, summarise.")
    knowledge: float = Field(0.0, ge=0, description="The reasoner's: what guidelines say.")
    dialogue: float = Field(0.0, ge=0, description="The reasoner's: questions on a record, one after the other.")
    chains: float = Field(0.0, ge=0, description="The reasoner's: records with supervised chains of diagnosis.")
    verdicts: float = Field(0.0, ge=0, description="The reasoner's: records with the category alone.")

    def weights(self) -> dict[str, float]:
        """By kind of conversation; those above nothing."""
        named = {name: getattr(self, name) for name in KINDS}
        return {name: weight for name, weight in named.items() if weight > 0}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.weights():
            raise ValueError("a phase needs at least one weight above 0")
        return self


SEEN = ("reports", "questions", "foreign")
LESSONS = ("knowledge", "dialogue", "chains", "verdicts")
KINDS = (*SEEN, "matching", "blind", "tasks", *LESSONS)


class SftConfig(Run):
    """Stage 2: the whole model learns to answer, by next-token loss on answers."""

    type: Literal["sft"]
    steps: int = Field(0, ge=0, description="The phases' sum; leave it out.")
    encoder_share: float = Field(0.2, ge=0, le=1, description="Of both rates for the encoder: it forgets little.")
    phases: tuple[Phase, ...] = Field(min_length=1, description="One after the other, under one schedule.")
    foreign: tuple[Path, ...] = Field((), description="Datasets of other modalities, for what the expert cannot read.")
    chinese: float = Field(0.25, ge=0, le=1, description="Share of a reasoner's chains and dialogues in Chinese.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(phase.steps for phase in self.phases)
        if self.steps not in (0, total):
            raise ValueError(f"steps is {self.steps}, the phases' sum {total}: leave it out")
        if self.modality is None and any(kind in SEEN for phase in self.phases for kind in phase.weights()):
            raise ValueError("reports, questions and foreign media need datasets")
        if any((kind in LESSONS) != bool(self.cases) for phase in self.phases for kind in phase.weights()):
            raise ValueError(f"phases: {', '.join(LESSONS)} are for cases, and cases for nothing else")
        object.__setattr__(self, "steps", total)
        return self


class MaGrpoConfig(ReasonerRun):
    """The reasoner's stage 2: rounds whose prompts follow what it is believed to be bad at (CMR-R's MA-GRPO)."""

    type: Literal["ma-grpo"]
    steps: int = Field(0, ge=0, description="Those of all rounds; leave it out.")
    rounds: int = Field(ge=1, description="Of sampling, optimisation and assessment.")
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig, description="How rounds are made.")
    development: tuple[Path, ...] = Field(min_length=1, description="Directories of the cases that rounds end with.")
    budget: int | None = Field(
        None,
        ge=1,
        description="Answers after which the run ends, those of replaced groups included, the learning rate with them; "
        "none: it ends with its rounds.",
    )

    @model_validator(mode="after")
    def _whole_rounds(self) -> Self:
        if self.curriculum.round_prompts % self.step_prompts:
            raise ValueError(f"curriculum.round_prompts: no whole steps of {self.step_prompts} prompts")
        total = self.rounds * self.curriculum.round_prompts // self.step_prompts
        if self.steps not in (0, total):
            raise ValueError(f"steps is {self.steps}, the rounds' sum {total}: leave it out")
        object.__setattr__(self, "steps", total)
        return self

    @property
    def worth(self) -> RewardWeights:
        """As the curriculum says."""
        return self.curriculum.rewards


AnyConfig = PretrainConfig | SftConfig | GrpoConfig | MaGrpoConfig | PcrlConfig | McqPcrlConfig
TrainConfig = Annotated[AnyConfig, Field(discriminator="type")]
_ADAPTER: TypeAdapter[AnyConfig] = TypeAdapter(TrainConfig)


def parse_config(values: object) -> AnyConfig:
    """What a file's YAML or `model_dump` holds, as the model that its `type` names."""
    return _ADAPTER.validate_python(values)


def load_config(path: Path) -> AnyConfig:
    """Read a file of `configs/train`.

    Raises:
        BadSettings: not there, not YAML, or a key or value that is not known or does not fit.
    """
    try:
        return parse_config(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise BadSettings(f"Cannot read the training configuration {path.name}", str(error).splitlines()[0]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSettings(f"{path.name}: {where}: {first['msg']}", "see configs/train for a working example") from error
