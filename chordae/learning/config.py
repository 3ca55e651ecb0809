"""What a training run is told: pydantic models of the files in `configs/train`, unknown keys refused.

An expert is made by a chain of runs, each with a file of its own: pretrain (the encoder learns to see), sft (the whole
model learns to answer), grpo (reward decides). `start` names the checkpoint that a run begins from.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from chordae.learning.sharding import Sharding
from chordae.platform.errors import BadSettings
from chordae.platform.schemas import Modality

SIDE = 28
"""Sides of pictures are multiples of this (patches of 14 px, merged by two): no processor resizes them again."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NanoShape(Strict):
    """Sizes of a nano model. Head widths are ones that vLLM's CPU attention supports (32, 64, ...)."""

    vision_depth: int = 3
    vision_width: int = 160
    vision_heads: int = 5
    vision_mlp: int = 432
    depth: int = 3
    width: int = 192
    heads: int = 6
    mlp: int = 512
    context: int = 2048


class Run(Strict):
    """What every kind of training has."""

    name: str = Field(description="Name of the checkpoint, and of its directory under `var/models`.")
    version: str = Field(description="Version that the manifest carries.")
    modality: Modality | None = Field(None, description="Whose media are read; none: a language model alone.")
    seed: int = Field(20_261_122, description="Fresh weights, and which row is drawn when, follow from it.")
    start: str | None = Field(None, description="Checkpoint to begin from: a directory or hf://owner/name; none: new.")
    language: str | None = Field(None, description="Checkpoint that gives a new nano its tokenizer and language model.")
    datasets: tuple[Path, ...] = Field((), description="Directories with samples.jsonl and media.")
    held_out: tuple[Path, ...] = Field((), description="Datasets none of whose patients may be trained on.")
    validation: float = Field(0.05, ge=0, lt=1, description="Share of the patients that are kept from training.")
    size: tuple[int, int] | None = Field(None, description="Width and height in px that the model sees, of 28s.")
    frames: int = Field(1, ge=1, description="Frames of a video that the model sees, evenly spread; pictures have 1.")
    augment: bool = Field(True, description="Vary brightness, place and noise of what is seen.")
    shape: NanoShape = Field(default_factory=NanoShape, description="Sizes of a new nano model.")
    vocabulary: int = Field(2048, ge=512, description="Entries of a new tokenizer at most.")
    steps: int = Field(ge=1, description="Optimiser steps.")
    batch: int = Field(16, ge=1, description="Rows a step and worker.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's: embeddings, output weights, gains, biases.")
    muon_learning_rate: float = Field(3e-3, ge=0, description="Muon's: matrices; 0 leaves them to AdamW.")
    warmup: int = Field(30, ge=1, description="Steps of linear warm-up; the rest falls as a cosine.")
    save_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    bf16: bool = Field(True, description="Matrix products in bfloat16; weights stay float32.")
    workers: int = Field(1, ge=0, description="Ray Train workers; 0 trains in this process.")
    use_gpu: bool | None = Field(None, description="A GPU for each worker; none: where there is one.")
    loader_workers: int = Field(0, ge=0, description="Processes that make rows; 0: the training process itself.")
    sharding: Sharding | None = Field(
        None, description="How a model too large for one GPU is spread over the workers; none: each holds all of it."
    )

    def digest(self) -> str:
        """SHA-256 of the values, whatever the file's order and comments."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.datasets) != (self.modality is not None):
            raise ValueError("modality and datasets come together")
        if self.datasets and self.size is None:
            raise ValueError("size is missing: what does the model see?")
        if self.size is not None and (self.size[0] % SIDE or self.size[1] % SIDE):
            raise ValueError(f"size: sides must be multiples of {SIDE}")
        if self.modality == "ecg" and self.frames != 1:
            raise ValueError("frames: an ECG is one picture")
        if self.modality in ("echo", "cmr") and (self.frames % 2 or self.size is None or self.size[0] != self.size[1]):
            raise ValueError("a video needs an even number of frames and a square size")
        if self.start and self.language:
            raise ValueError("start and language exclude each other: a checkpoint has its language model")
        return self


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
KINDS = (*SEEN, "matching", "blind", "tasks")


class SftConfig(Run):
    """Stage 2: the whole model learns to answer, by next-token loss on answers."""

    type: Literal["sft"]
    steps: int = Field(0, ge=0, description="The phases' sum; leave it out.")
    encoder_share: float = Field(0.2, ge=0, le=1, description="Of both rates for the encoder: it forgets little.")
    phases: tuple[Phase, ...] = Field(min_length=1, description="One after the other, under one schedule.")
    foreign: tuple[Path, ...] = Field((), description="Datasets of other modalities, for what the expert cannot read.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(phase.steps for phase in self.phases)
        if self.steps not in (0, total):
            raise ValueError(f"steps is {self.steps}, the phases' sum {total}: leave it out")
        if self.modality is None and any(kind in SEEN for phase in self.phases for kind in phase.weights()):
            raise ValueError("reports, questions and foreign media need datasets")
        object.__setattr__(self, "steps", total)
        return self


class GrpoConfig(Run):
    """Stage 3: the model answers, reward decides (group-relative policy optimisation, Shao et al. 2024).

    The defaults are MARCUS's. `batch` counts answers, `batch / group` prompts.
    """

    type: Literal["grpo"]
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


TrainConfig = Annotated[PretrainConfig | SftConfig | GrpoConfig, Field(discriminator="type")]
_ADAPTER: TypeAdapter[PretrainConfig | SftConfig | GrpoConfig] = TypeAdapter(TrainConfig)


def parse_config(values: object) -> PretrainConfig | SftConfig | GrpoConfig:
    """What a file's YAML or `model_dump` holds, as the model that its `type` names."""
    return _ADAPTER.validate_python(values)


def load_config(path: Path) -> PretrainConfig | SftConfig | GrpoConfig:
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
