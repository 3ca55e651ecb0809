"""Will it fit? What a sharded run needs on each GPU, reckoned before a node is booked.

The model is instantiated without memory (PyTorch's meta device), so parameters and blocks are counted, not believed. In
bytes, with N parameters of which T are trained, on G GPUs: what is trained is kept in float32, what is not in bfloat16,
(4T + 2(N - T))/G; gradients 4T/G and AdamW's two moments 8T/G (ZeRO's third stage divides all three: arXiv:1910.02054,
section 3). Blocks are gathered in bfloat16, two at a time, since the next is fetched while one works.

Activations, with checkpointing of every block: its input is kept, 2h bytes a token (Chen et al. 2016, arXiv:1604.06174;
2sbhL in Korthikanti et al. 2022, arXiv:2205.05198, section 5); one block at a time is computed again and then holds
what its backward pass reads. Counted as the latter do (section 4.1) for a block with two RMSNorms that work in float32,
grouped keys and values of width k, attention that keeps no matrix of scores, and a gated MLP of width i:
18h + 6k + 8i bytes a token. Logits exist in tiles only (TRL's fused head), but the output weights are gathered once in
float32, beside their gradient if they are trained.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from chordae.learning.config import PretrainConfig, SftConfig, load_config
from chordae.learning.grpo_config import ExpertGrpo
from chordae.learning.nano import MERGE, PATCH, TEMPORAL
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.sharding import Sharding
from chordae.platform.errors import BadSettings
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration  # noqa: E402

USABLE = 0.9
"""Of a device's memory: the rest is CUDA's context, NCCL's buffers and what fragments."""
TILE = 4096 * 32768 * 2
"""Bytes of the tile of logits that TRL's fused head works on."""
GB = 1e9
Config = PretrainConfig | SftConfig | ExpertGrpo


class Part(BaseModel):
    """Bytes on each GPU, and the formula they come from."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    formula: str


class MemoryPlan(BaseModel):
    """What one GPU holds while a run trains, and while it generates."""

    model_config = ConfigDict(frozen=True)

    name: str
    stage: str
    gpus: int
    parameters: int
    trained: int
    batch: int
    effective_batch: int
    tokens: int
    always: tuple[Part, ...]
    training: tuple[Part, ...]
    generating: tuple[Part, ...]
    device_bytes: int

    @property
    def peak(self) -> int:
        """Bytes at the worst moment: training and generating take turns."""
        return _sum(self.always) + max(_sum(self.training), _sum(self.generating))

    @property
    def limit(self) -> int:
        """Bytes that a plan may need."""
        return int(USABLE * self.device_bytes)


def plan(config_path: Path) -> MemoryPlan:
    """What each GPU of a configuration with `sharding` needs.

    Raises:
        BadSettings: it does not fit, with what would; no sharding; a class to wrap that the model does not have; or
            a batch that is not what the file says.
    """
    config = load_config(config_path)
    sharding = config.sharding
    if sharding is None:
        raise BadSettings(
            f"{config_path.name} divides nothing", "a memory plan needs `sharding`; see configs/train/*-3b-*"
        )
    if isinstance(config, ReasonerRun) or config.cases:
        raise BadSettings(f"{config_path.name} is a text-only reasoner's", "memory is planned for experts that see")
    model = instantiate(sharding.architecture)
    _check(config_path.name, config, sharding, model)
    made = _reckon(config, sharding, model, config.batch)
    if made.peak > made.limit:
        raise BadSettings(
            f"{config_path.name} needs {made.peak / GB:.0f} GB on each of {made.gpus} GPUs, "
            f"{made.limit / GB:.0f} of {sharding.device_gb:.0f} GB may be used",
            _remedy(config, sharding, lambda batch: _reckon(config, sharding, model, batch)),
        )
    return made


def rows(made: MemoryPlan) -> list[tuple[str, str, str]]:
    """What, how much, from which formula: the rows of a table."""
    table = [
        ("parameters", f"{made.parameters:,}", f"of which trained in {made.stage}: {made.trained:,}"),
        ("batch", f"{made.effective_batch}", f"{made.batch} rows of {made.tokens} tokens at once on {made.gpus} GPUs"),
    ]
    for parts, when in ((made.always, ""), (made.training, "training: "), (made.generating, "generating: ")):
        table += [(when + part.name, f"{part.bytes / GB:.2f} GB", part.formula) for part in parts]
    return [*table, ("peak", f"{made.peak / GB:.1f} GB", f"{made.limit / GB:.0f} GB may be used")]


def instantiate(architecture: Path) -> Any:
    """The model of a config.json without memory for its weights.

    Raises:
        BadSettings: no such file, or not one of a Qwen2.5-VL.
    """
    try:
        values = json.loads(architecture.read_text())
    except (OSError, ValueError) as error:
        raise BadSettings(f"cannot read the architecture {architecture}", "name a model's config.json") from error
    if values.get("model_type") != "qwen2_5_vl":
        raise BadSettings(f"{architecture} is {values.get('model_type')}", "experts are Qwen2.5-VL (qwen2_5_vl)")
    with torch.device("meta"):
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**values))


def _check(name: str, config: Config, sharding: Sharding, model: Any) -> None:
    classes = {type(module).__name__ for module in model.modules()}
    missing = [wrapped for wrapped in sharding.wrap if wrapped not in classes]
    if missing:
        blocks = ", ".join(sorted(one for one in classes if one.endswith(("Layer", "Block"))))
        raise BadSettings(f"{name}: the model has no {', '.join(missing)}", f"wrap its blocks: {blocks}")
    effective = config.batch * sharding.accumulation * config.workers
    if effective != sharding.effective_batch:
        raise BadSettings(
            f"{name}: {config.batch} x {sharding.accumulation} x {config.workers} workers is a batch of {effective}, "
            f"not {sharding.effective_batch}",
            "put batch, accumulation, workers or effective_batch right",
        )
    if _seen_tokens(config) >= sharding.tokens:
        raise BadSettings(
            f"{name}: what is seen is {_seen_tokens(config)} tokens long, the longest row {sharding.tokens}",
            "lower size or frames, or raise sharding.tokens",
        )


def _seen_tokens(config: Config) -> int:
    """Tokens of one picture or video as the language model receives it."""
    if config.size is None:
        return 0
    side = PATCH * MERGE
    return -(-config.frames // TEMPORAL) * (config.size[0] // side) * (config.size[1] // side)


def _reckon(config: Config, sharding: Sharding, model: Any, batch: int) -> MemoryPlan:
    if isinstance(config, PretrainConfig):
        model.requires_grad_(False)
        model.model.visual.requires_grad_(True)
    every, trained = _count(model), _count(model, trained=True)
    blocks = [module for module in model.modules() if type(module).__name__ in sharding.wrap]
    largest = max(map(_count, blocks))
    outside, outside_trained = (_count(model, only) - sum(_count(block, only) for block in blocks) for only in _BOTH)
    gpus = config.workers
    always = [
        Part(name="weights", bytes=(4 * trained + 2 * (every - trained)) // gpus, formula="(4 T + 2 (N - T)) / G"),
        Part(name="gradients", bytes=4 * trained // gpus, formula="4 T / G"),
        Part(name="AdamW's moments", bytes=8 * trained // gpus, formula="8 T / G"),
        Part(name="gathered", bytes=2 * (outside + 2 * largest), formula="2 (outside of blocks + two blocks)"),
    ]
    if isinstance(config, ExpertGrpo):
        always += [
            Part(name="reference model", bytes=2 * every // gpus, formula="2 N / G"),
            Part(name="reference gathered", bytes=2 * outside, formula="2 (outside of blocks), from then on"),
        ]
    head = model.lm_head.weight
    again, kept = _activations(config, sharding, model, batch)
    training = [
        *kept,
        Part(name="one block again", bytes=again, formula="18 h + 6 k + 8 i a token"),
        Part(
            name="gradients to divide", bytes=2 * (outside_trained + largest), formula="2 (outside of blocks + a block)"
        ),
        Part(
            name="output weights", bytes=(8 if head.requires_grad else 4) * head.numel(), formula="4 V h, gradient too"
        ),
        Part(name="tile of logits", bytes=TILE, formula="2 x 4096 x 32768"),
    ]
    generating: list[Part] = []
    if isinstance(config, ExpertGrpo):
        text, answers = model.config.text_config, batch * sharding.accumulation
        cache = 4 * _keys(text) * text.num_hidden_layers * sharding.tokens * answers
        generating = [
            Part(name="keys and values", bytes=cache, formula=f"4 k L a token of {answers} answers"),
            Part(name="one block", bytes=again * sharding.accumulation // config.group, formula="of the prompts"),
        ]
    return MemoryPlan(
        name=config.name,
        stage=config.type,
        gpus=gpus,
        parameters=every,
        trained=trained,
        batch=batch,
        effective_batch=batch * sharding.accumulation * gpus,
        tokens=sharding.tokens,
        always=tuple(always),
        training=tuple(training),
        generating=tuple(generating),
        device_bytes=int(sharding.device_gb * GB),
    )


def _activations(config: Config, sharding: Sharding, model: Any, batch: int) -> tuple[int, list[Part]]:
    """What the largest block holds while it is computed again, and what is kept all the while."""
    text, vision = model.config.text_config, model.config.vision_config
    tokens, patches = batch * sharding.tokens, batch * MERGE**2 * _seen_tokens(config)
    inputs = 2 * (tokens * text.hidden_size * text.num_hidden_layers + patches * vision.hidden_size * vision.depth)
    again = max(
        tokens * _block(text.hidden_size, _keys(text), text.intermediate_size),
        patches * _block(vision.hidden_size, vision.hidden_size, vision.intermediate_size),
    )
    pixels = 4 * patches * vision.in_channels * TEMPORAL * PATCH**2
    return again, [
        Part(name="inputs of blocks", bytes=inputs, formula="2 h L a token and a patch"),
        Part(name="pixels", bytes=pixels, formula="4 x 1176 a patch"),
        Part(name="attention mask", bytes=2 * tokens * sharding.tokens, formula="2 s^2 a row"),
    ]


_BOTH = (False, True)


def _count(module: Any, trained: bool = False) -> int:
    """Parameters, shared ones once; or only those that are trained."""
    return sum(one.numel() for one in module.parameters() if one.requires_grad or not trained)


def _keys(text: Any) -> int:
    """Width of the keys of all heads together."""
    return int(text.num_key_value_heads * text.hidden_size // text.num_attention_heads)


def _block(width: int, keys: int, inner: int) -> int:
    """Bytes a token that one block holds for its backward pass.

    Norms: input in float32 and output, twice: 12h. Queries, queries in their places, what attention gives: 6h. Keys in
    and out of their places, values: 6k. Gate, up, activated gate, product: 8i.
    """
    return 18 * width + 6 * keys + 8 * inner


def _remedy(config: Config, sharding: Sharding, reckon: Callable[[int], MemoryPlan]) -> str:
    """What to change so that it fits, the batch of a step left as it is where that is possible."""
    for batch in range(config.batch - 1, 0, -1):
        same, left = divmod(config.batch * sharding.accumulation, batch)
        if left == 0 and (made := reckon(batch)).peak <= made.limit:
            return f"batch: {batch} with accumulation: {same} makes the same step in {made.peak / GB:.0f} GB"
    return "more workers, or a smaller size or fewer frames: one row at once does not fit either"


def _sum(parts: tuple[Part, ...]) -> int:
    return sum(part.bytes for part in parts)
