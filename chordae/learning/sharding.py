"""How a model too large for one GPU is trained on several: what a configuration says, as the trainers' arguments.

Weights, gradients and optimiser states are divided among the workers (FSDP2's `fully_shard`, ZeRO's third stage:
Rajbhandari et al. 2020, arXiv:1910.02054); each wrapped block is gathered when it is needed and let go afterwards. The
same trainers run, with these arguments added.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Sharding(BaseModel):
    """Part of a file of `configs/train`; without it, every worker holds the whole model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: Path = Field(description="The model's config.json, from which its memory is planned before it runs.")
    wrap: tuple[str, ...] = Field(min_length=1, description="Classes of the blocks that are gathered one at a time.")
    tokens: int = Field(ge=1, description="Tokens of the longest row, its picture's and answer's included.")
    accumulation: int = Field(1, ge=1, description="Batches a worker adds up for one step.")
    effective_batch: int = Field(ge=1, description="batch x accumulation x workers, said twice on purpose.")
    device_gb: float = Field(80.0, gt=0, description="Memory of one GPU, in 10^9 bytes.")


def trainer_arguments(sharding: Sharding | None, learning_rate: float, warmup: int) -> dict[str, Any]:
    """Arguments for transformers' `TrainingArguments` and what TRL derives from it; nothing without sharding.

    The optimiser is then the trainer's own AdamW, made after the parameters were divided. Checkpointing of activations
    is FSDP's: the trainers' own would gather every block once more.
    """
    if sharding is None:
        return {}
    return {
        "gradient_accumulation_steps": sharding.accumulation,
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "reshard_after_forward": True,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "transformer_layer_cls_to_wrap": list(sharding.wrap),
            "activation_checkpointing": True,
            "state_dict_type": "FULL_STATE_DICT",
        },
        "learning_rate": learning_rate,
        "warmup_steps": warmup,
        "lr_scheduler_type": "cosine",
    }


def whole_model(trainer: Any) -> Any:
    """The trained model in one piece, on the first worker. Every worker must call this: their parts are gathered."""
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # computing as whoever loads it
    if not trainer.is_fsdp_enabled:
        return model
    gathered = trainer.accelerator.get_state_dict(trainer.model)
    if trainer.accelerator.is_main_process:
        model = type(model)(model.config)
        model.load_state_dict(gathered)
    return model
