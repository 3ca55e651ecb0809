"""First stage: the vision encoder learns to see, by linear heads on what the simulator knows.

Next-token loss alone left a nano model at the text prior: after 250 steps of 16 pictures the loss was what the answers
without any picture give. Here every merged token, pooled and in its place, must tell rhythm, conduction, ST territory,
rate, PR interval and QRS duration. The heads are thrown away; the encoder and the merger stay.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from chordae.cohort.ecg import CONDUCTIONS, RHYTHMS, ST_SEGMENTS, EcgLatents, sample_latents
from chordae.learning.config import EncoderStage
from chordae.learning.nano import picture_patches
from chordae.learning.optimiser import MuonAdamW
from chordae.learning.pictures import simulated_picture

CLASSES = {"rhythm": len(RHYTHMS), "conduction": len(CONDUCTIONS), "st": len(ST_SEGMENTS)}
MEASURES = 3  # rate, PR, QRS
Progress = Callable[[int, dict[str, float]], None]


def targets(latents: EcgLatents) -> tuple[list[int], list[float]]:
    """Class indices (rhythm, conduction, ST) and scaled rate, PR (NaN: none) and QRS."""
    classes = [
        RHYTHMS.index(latents.rhythm),
        CONDUCTIONS.index(latents.conduction),
        ST_SEGMENTS.index(latents.st),
    ]
    pr = float("nan") if latents.pr_ms is None else (latents.pr_ms - 200) / 70
    return classes, [(latents.rate_bpm - 85) / 30, pr, (latents.qrs_ms - 115) / 30]


class LabelledPictures(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Item i is a function of (seed, i): patches (P, 1176), classes (3,), measures (3,)."""

    def __init__(self, seed: int, first: int, count: int, size: tuple[int, int]) -> None:
        self.seed, self.first, self.count, self.size = seed, first, count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, self.first + index])
        latents = sample_latents(rng)
        patches, _ = picture_patches(simulated_picture(latents, rng, self.size))
        classes, measures = targets(latents)
        return torch.from_numpy(patches), torch.tensor(classes), torch.tensor(measures)


class Heads(nn.Module):
    """Linear read-outs of the merged tokens (B, T, W): of their mean, and of all of them in their places."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        outputs = sum(CLASSES.values()) + MEASURES
        self.pooled = nn.Linear(width, outputs)
        self.placed = nn.Linear(tokens * width, outputs)
        nn.init.normal_(self.placed.weight, std=0.002)

    def forward(self, merged: Tensor) -> tuple[Tensor, Tensor]:
        return self.pooled(merged.mean(dim=1)), self.placed(merged.flatten(1))


def merged_tokens(model: Any, patches: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, P, 1176) patches -> (B, P / 4, W) tokens as the language model receives them."""
    grid = torch.tensor([[1, size[1] // 14, size[0] // 14]] * len(patches), device=patches.device)
    output = model.model.visual(patches.flatten(0, 1), grid_thw=grid)
    tokens: Tensor = output.pooler_output if hasattr(output, "pooler_output") else output
    return tokens.reshape(len(patches), -1, tokens.shape[-1])


def head_loss(output: Tensor, classes: Tensor, measures: Tensor) -> Tensor:
    """Cross-entropy of the classes plus squared error of the measures that exist."""
    parts = torch.split(output, [*CLASSES.values(), MEASURES], dim=1)
    loss = sum(functional.cross_entropy(part, classes[:, k]) for k, part in enumerate(parts[:3]))
    known = ~measures.isnan()
    return loss + functional.mse_loss(parts[3][known], measures[known])


def accuracies(output: Tensor, classes: Tensor, measures: Tensor) -> dict[str, float]:
    """Share right per class, and the mean error of the rate in beats a minute."""
    parts = torch.split(output, [*CLASSES.values(), MEASURES], dim=1)
    right = {name: (parts[k].argmax(1) == classes[:, k]).float().mean().item() for k, name in enumerate(CLASSES)}
    return right | {"rate_error": (parts[3][:, 0] - measures[:, 0]).abs().mean().item() * 30}


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine to a twentieth."""
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(steps - warmup, 1)
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * share)))


def train_encoder(
    model: Any,
    stage: EncoderStage,
    seed: int,
    size: tuple[int, int],
    workers: int,
    progress: Progress,
    state: dict[str, Any] | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train `model`'s encoder in place; `state` resumes a run that `keep` stored."""
    device = next(model.parameters()).device
    heads = Heads(size[0] // 28 * (size[1] // 28), model.config.text_config.hidden_size).to(device)
    visual = model.model.visual
    trained = [*visual.parameters(), *heads.parameters()]
    optimiser = MuonAdamW(
        [
            (visual.named_parameters(), stage.learning_rate, stage.muon_learning_rate),
            ([("lm_head", parameter) for parameter in heads.parameters()], stage.learning_rate, 0.0),
        ]
    )
    first = 0
    if state is None:
        centre_patch_filters(visual)
    else:
        first = state["step"]
        visual.load_state_dict(state["visual"])
        if first >= stage.steps:
            return
        heads.load_state_dict(state["heads"])
        optimiser.load_state_dict(state["optimiser"])
    for step, (patches, classes, measures) in enumerate(_batches(stage, seed, first, size, workers), start=first):
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * schedule(step, stage.steps, stage.warmup)
        patches, classes, measures = patches.to(device), classes.to(device), measures.to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=stage.bf16):
            merged = merged_tokens(model, patches, size)
        pooled, placed = heads(merged.float())
        loss = head_loss(pooled, classes, measures) + head_loss(placed, classes, measures)
        visual.zero_grad(set_to_none=True)
        heads.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        progress(step + 1, {"loss": loss.item()} | accuracies(placed.detach(), classes, measures))
        if keep is not None and (step + 1) % stage.save_every == 0:
            keep(
                {
                    "step": step + 1,
                    "visual": visual.state_dict(),
                    "heads": heads.state_dict(),
                    "optimiser": optimiser.state_dict(),
                }
            )


def centre_patch_filters(visual: nn.Module) -> None:
    """Make every patch filter blind to plain paper: a fresh one answers mostly to the bright background."""
    with torch.no_grad():
        weight = visual.get_parameter("patch_embed.proj.weight")
        weight.sub_(weight.mean(dim=(1, 2, 3, 4), keepdim=True))


def _batches(
    stage: EncoderStage, seed: int, first: int, size: tuple[int, int], workers: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    pictures = LabelledPictures(seed, first * stage.batch, (stage.steps - first) * stage.batch, size)
    loader = DataLoader(pictures, batch_size=stage.batch, num_workers=workers)
    yield from loader
