"""What every training run is told, whatever its stage, and how a configuration is named by its content."""

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_jsonable_python

from chordae.learning.sharding import Sharding
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
    cases: tuple[Path, ...] = Field((), description="Directories with cases.jsonl: a text-only reasoner is made.")
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
        """SHA-256 of the values that differ from their defaults, whatever the file's order and comments.

        A manifest names the configuration that made a model by this. A field that is added later with a default that
        changes nothing must not rename every older configuration. So a default never changes once a model was trained
        with it: the new value goes into the configuration files.
        """
        return hashlib.sha256(json.dumps(_told(self), sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.datasets) != (self.modality is not None):
            raise ValueError("modality and datasets come together")
        if self.cases and (self.datasets or self.language):
            raise ValueError("cases: a reasoner reads records alone, without datasets or an expert's language")
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


def _told(value: object) -> object:
    """What a file must say to mean this, as JSON.

    The `type` of a union's member is always said: without it (pydantic's `exclude_defaults` drops it) two members that
    leave all else at its defaults would look alike.
    """
    if isinstance(value, BaseModel):
        fields = [(name, field, getattr(value, name)) for name, field in type(value).model_fields.items()]
        return {
            name: _told(given)
            for name, field, given in fields
            if name == "type" or given != field.get_default(call_default_factory=True)
        }
    if isinstance(value, tuple):
        return [_told(one) for one in value]
    return to_jsonable_python(value)
