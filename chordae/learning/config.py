"""What a training run is told: pydantic models of the files in `configs/train`, unknown keys refused."""

import hashlib
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chordae.platform.errors import BadSettings


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderStage(_Strict):
    """Linear heads on the simulator's latents."""

    steps: int = Field(ge=0, description="Optimiser steps.")
    batch: int = Field(32, ge=1, description="Pictures a step, each made once and never seen again.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's: patch filters, gains, biases, heads.")
    muon_learning_rate: float = Field(3e-3, gt=0, description="Muon's: the matrices of the encoder.")
    warmup: int = Field(30, ge=1, description="Steps of linear warm-up.")
    save_every: int = Field(50, ge=1, description="Steps between checkpoints.")
    bf16: bool = Field(True, description="Matrix products in bfloat16; weights stay float32.")


class LanguageStage(_Strict):
    """Next-token loss on answers, by TRL's SFTTrainer."""

    name: str
    steps: int = Field(ge=0, description="Optimiser steps.")
    batch: int = Field(16, ge=1, description="Conversations a step.")
    learning_rate: float = Field(2e-3, gt=0, description="AdamW's: embeddings, output weights, gains, biases.")
    muon_learning_rate: float = Field(4e-3, gt=0, description="Muon's: the matrices of the language model.")
    encoder_share: float = Field(
        0.2, ge=0, le=1, description="Of both rates for the encoder, so that it forgets little."
    )
    warmup: int = Field(30, ge=1)
    save_every: int = Field(100, ge=1)
    reports: float = Field(0.0, ge=0, description="Weight of whole readings of a picture.")
    questions: float = Field(0.0, ge=0, description="Weight of open, yes-no and option questions on a picture.")
    matching: float = Field(0.0, ge=0, description="Weight of options matched to a finding in words; no picture.")
    listing: float = Field(
        0.0, ge=0, description="Weight of lists of options said back with their letters; no picture."
    )
    blind: float = Field(0.0, ge=0, description="Weight of questions whose picture is missing.")
    bf16: bool = Field(True, description="Matrix products in bfloat16, in the first stage; later ones take float32.")


class SftConfig(_Strict):
    """Supervised training of a nano expert, from nothing."""

    type: Literal["sft"]
    name: str = Field(description="Name of the expert, and of its directory under `var/models`.")
    version: str = Field(description="Version that the manifest carries.")
    seed: int = Field(20_261_122, description="All pictures and questions follow from it.")
    picture: tuple[int, int] = Field((336, 224), description="Width and height in pixels, multiples of 28.")
    vocabulary: int = Field(2048, ge=512, description="Entries of the tokenizer at most.")
    workers: int = Field(1, ge=0, description="Ray Train workers; 0 trains in this process.")
    use_gpu: bool | None = Field(None, description="A GPU for each worker; none: where there is one.")
    loader_workers: int = Field(1, ge=0, description="Processes that draw pictures.")
    encoder: EncoderStage
    stages: list[LanguageStage]
    evaluate: int = Field(1000, ge=0, description="Multiple-choice questions asked at the end; 0: none.")

    def digest(self) -> str:
        """SHA-256 of the values, whatever the file's order and comments."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_config(path: Path) -> SftConfig:
    """Read a file of `configs/train`.

    Raises:
        BadSettings: not there, not YAML, or a key or value that is not known.
    """
    try:
        return SftConfig.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise BadSettings(f"Cannot read the training configuration {path.name}", str(error).splitlines()[0]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSettings(f"{path.name}: {where}: {first['msg']}", "see configs/train for a working example") from error
