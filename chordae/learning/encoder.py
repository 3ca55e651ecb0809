"""Stage 1 of a nano expert: the vision encoder and its projector learn by heads on findings and numbers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from chordae.learning.config import PretrainConfig
from chordae.learning.heads import Heads, Targets, errors, head_loss, right, targets
from chordae.learning.optimiser import MuonAdamW
from chordae.learning.studies import Studies
from chordae.learning.vision import batched_attention

Progress = Callable[[int, dict[str, float]], None]
"""Called with the step just made and its figures."""
Keep = Callable[[int, dict[str, Any]], None]
"""Called with a step and all that a later run needs to go on after it."""
JUDGED = 64
"""Studies judged at once."""


class LabelledStudies(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Item i is a function of (seed, i): patches (P, 1176), classes (topics,), numbers (N,)."""

    def __init__(self, studies: Studies, told: Targets, config: PretrainConfig, first: int) -> None:
        self.studies, self.told, self.config, self.first = studies, told, config, first

    def __len__(self) -> int:
        return self.config.steps * self.config.batch - self.first

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.config.seed, self.first + index])
        study, _ = self.studies.draw(rng)
        return labelled(self.studies, self.told, study, rng if self.config.augment else None)


def labelled(
    studies: Studies, told: Targets, study: int, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """One study as an item of `LabelledStudies`."""
    patches, _ = studies.seen(study, rng).patches()
    classes, numbers = told.of(studies.samples[study])
    return torch.from_numpy(patches), torch.from_numpy(classes), torch.from_numpy(numbers)


def grid(config: PretrainConfig) -> tuple[int, int, int]:
    """Patches in time, rows and columns."""
    width, height = config.size or (0, 0)
    return -(-config.frames // 2), height // 14, width // 14


def merged_tokens(model: Any, patches: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(B, P, 1176) patches -> (B, P / 4, W) tokens as the language model receives them."""
    output = model.model.visual(
        patches.flatten(0, 1), grid_thw=torch.tensor([shape] * len(patches), device=patches.device)
    )
    tokens: Tensor = output.pooler_output
    return tokens.reshape(len(patches), -1, tokens.shape[-1])


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine to a twentieth."""
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(steps - warmup, 1)
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * share)))


def train_encoder(
    model: Any,
    studies: Studies,
    config: PretrainConfig,
    progress: Progress,
    state: dict[str, Any] | None = None,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """Train `model`'s encoder in place; `state` resumes a run that `keep` stored.

    Returns:
        What the heads tell of the validation studies: share right by topic, mean error by number; empty without any.
    """
    device = next(model.parameters()).device
    told = targets([studies.samples[number] for number in studies.training], config.modality or "ecg", studies.shares())
    times, rows, columns = grid(config)
    torch.manual_seed(config.seed)
    heads = Heads(times * rows * columns // 4, model.config.text_config.hidden_size, told).to(device)
    visual = model.model.visual
    trained = [*visual.parameters(), *heads.parameters()]
    optimiser = MuonAdamW(
        [
            (visual.named_parameters(), config.learning_rate, config.muon_learning_rate),
            ([("lm_head", parameter) for parameter in heads.parameters()], config.learning_rate, 0.0),
        ]
    )
    first = 0
    if state is not None:
        first = state["step"]
        visual.load_state_dict(state["visual"])
        heads.load_state_dict(state["heads"])
        optimiser.load_state_dict(state["optimiser"])
    elif not config.start:
        centre_patch_filters(visual)
    with batched_attention(model):
        for step, batch in enumerate(_batches(studies, told, config, first), start=first):
            patches, classes, numbers = (part.to(device) for part in batch)
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * schedule(step, config.steps, config.warmup)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
                merged = merged_tokens(model, patches, (times, rows, columns))
            attended, placed = heads(merged.float())
            loss = head_loss(attended, told, classes, numbers) + head_loss(placed, told, classes, numbers)
            visual.zero_grad(set_to_none=True)
            heads.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            read = {"findings_right": placed, "findings_right_attended": attended}
            shares = {name: float(np.mean([*right(one, told, classes).values()])) for name, one in read.items()}
            progress(step + 1, {"loss": loss.item()} | shares)
            if keep is not None and (step + 1) % config.save_every == 0:
                keep(
                    step + 1,
                    {
                        "step": step + 1,
                        "visual": visual.state_dict(),
                        "heads": heads.state_dict(),
                        "optimiser": optimiser.state_dict(),
                    },
                )
        return judge(model, heads, studies, told, config)


def judge(model: Any, heads: Heads, studies: Studies, told: Targets, config: PretrainConfig) -> dict[str, Any]:
    """What the heads tell of the validation studies."""
    if not studies.validation:
        return {}
    device = next(model.parameters()).device
    outputs: list[tuple[Tensor, ...]] = []
    for begin in range(0, len(studies.validation), JUDGED):
        some = studies.validation[begin : begin + JUDGED]
        patches, classes, numbers = (
            torch.stack(part) for part in zip(*(labelled(studies, told, study) for study in some), strict=True)
        )
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
            merged = merged_tokens(model, patches.to(device), grid(config)).float()
        with torch.inference_mode():
            outputs.append((*(output.cpu() for output in heads(merged)), classes, numbers))
    attended, placed, classes, numbers = (torch.cat(part) for part in zip(*outputs, strict=True))
    return {
        "studies": len(studies.validation),
        "right": _rounded(right(placed, told, classes)),
        "right_attended": _rounded(right(attended, told, classes)),
        "mean_error": _rounded(errors(placed, told, numbers)),
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def centre_patch_filters(visual: nn.Module) -> None:
    """Make every patch filter blind to plain paper: a fresh one answers mostly to the bright background."""
    with torch.no_grad():
        weight = visual.get_parameter("patch_embed.proj.weight")
        weight.sub_(weight.mean(dim=(1, 2, 3, 4), keepdim=True))


def _batches(studies: Studies, told: Targets, config: PretrainConfig, first: int) -> Iterator[list[Tensor]]:
    rows = LabelledStudies(studies, told, config, first * config.batch)
    yield from DataLoader(rows, batch_size=config.batch, num_workers=config.loader_workers)
