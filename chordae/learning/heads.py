"""Read-outs that teach a vision encoder to see: findings and measured numbers, from its merged tokens.

Next-token loss alone left a nano model at the text prior: after 250 steps of 16 pictures the loss was what the answers
without any picture give. Here the tokens, attended to and in their places, must tell every finding and number of the
study.
The heads are thrown away; the encoder and the merger stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from chordae.cohort.dataset import Sample
from chordae.cohort.findings import topics
from chordae.cohort.numbers import CODE
from chordae.platform.schemas import Modality

UNKNOWN = -100
QUERIES = 4
"""By which a finding or number is looked for."""
MIN_KNOWN = 8
"""Numbers that fewer studies have are not learned."""


@dataclass(frozen=True)
class Targets:
    """What is learned: findings by topic key, and how often each is drawn; numbers, their means and deviations."""

    findings: dict[str, tuple[str, ...]]
    shares: dict[str, dict[str, float]]
    numbers: tuple[str, ...]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Outputs of one head."""
        return sum(len(names) for names in self.findings.values()) + len(self.numbers)

    def of(self, sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Class by topic (`UNKNOWN`: not told) and scaled numbers (NaN: not told)."""
        told = [(names, sample.findings.get(key)) for key, names in self.findings.items()]
        classes = [UNKNOWN if name is None else names.index(name) for names, name in told]
        values = np.array([sample.numbers.get(name, np.nan) for name in self.numbers], np.float32)
        return np.array(classes, np.int64), (values - self.means) / self.deviations


def targets(samples: Sequence[Sample], modality: Modality, shares: dict[str, dict[str, float]]) -> Targets:
    """What the heads of a modality learn, numbers scaled by these samples, findings drawn with these `shares`."""
    findings = {topic.key: topic.findings for topic in topics(modality) if topic.key in shares}
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.numbers.items():
            if name.startswith(CODE):
                continue  # a kind is told by its finding
            values.setdefault(name, []).append(value)
    kept = {name: found for name, found in sorted(values.items()) if len(found) >= MIN_KNOWN and np.std(found) > 0}
    means = np.array([np.mean(found) for found in kept.values()], np.float32)
    deviations = np.array([np.std(found) for found in kept.values()], np.float32)
    return Targets(findings, shares, tuple(kept), means, deviations)


class Heads(nn.Module):
    """Read-outs of merged tokens (B, T, W): of all of them in their places, and of those that queries attend to.

    The first soon finds what there is to see. The second reads as a language model does, by attention, and so makes the
    encoder write it where that finds it: an encoder trained with the first and a mean over tokens told 0.95 of the axes
    by place and 0.39 by mean, and the expert made of it 0.69 in words.
    """

    def __init__(self, tokens: int, width: int, told: Targets) -> None:
        super().__init__()
        sizes = [*(len(names) for names in told.findings.values()), *(1 for _ in told.numbers)]
        self.placed = nn.Linear(tokens * width, told.width)
        nn.init.normal_(self.placed.weight, std=0.002)
        self.norm = nn.RMSNorm(width)
        self.queries = nn.Parameter(torch.randn(len(sizes) * QUERIES, width) * width**-0.5)
        self.attended = nn.ModuleList(nn.Linear(QUERIES * width, size) for size in sizes)

    def forward(self, merged: Tensor) -> tuple[Tensor, Tensor]:
        """(B, width of the targets), attended and placed."""
        tokens = self.norm(merged)
        shares = (tokens @ self.queries.T).softmax(dim=1)
        pooled = torch.einsum("btq,btw->bqw", shares, tokens).reshape(len(merged), len(self.attended), -1)
        read = [head(pooled[:, index]) for index, head in enumerate(self.attended)]
        return torch.cat(read, dim=1), self.placed(merged.flatten(1))


def head_loss(output: Tensor, told: Targets, classes: Tensor, numbers: Tensor) -> Tensor:
    """Cross-entropy of every topic plus squared error of the numbers, each over what is known of the batch.

    Logits are adjusted by how often a finding is drawn (Menon et al., ICLR 2021), so that what is normal in most
    studies is not said where the picture leaves a doubt.
    """
    loss = output.new_zeros(())
    for part, wanted, (key, names) in zip(_topics(output, told), classes.T, told.findings.items(), strict=True):
        if bool((wanted != UNKNOWN).any()):
            drawn = part.new_tensor([told.shares[key].get(name, 1.0) for name in names])
            loss = loss + functional.cross_entropy(part + drawn.log(), wanted, ignore_index=UNKNOWN)
    known = ~numbers.isnan()
    if bool(known.any()):
        values = output[:, output.shape[1] - len(told.numbers) :]
        # a sum over the numbers of their mean errors: as a topic, each counts once
        loss = loss + functional.mse_loss(values[known], numbers[known]) * len(told.numbers) / 2
    return loss


def right(output: Tensor, told: Targets, classes: Tensor) -> dict[str, float]:
    """By topic: share of the studies told rightly, averaged over the findings that occur; rare ones count alike."""
    found = {}
    for key, part, wanted in zip(told.findings, _topics(output, told), classes.T, strict=True):
        hit = part.argmax(1) == wanted
        shares = [float(hit[wanted == kind].float().mean()) for kind in wanted.unique() if kind != UNKNOWN]
        if shares:
            found[key] = float(np.mean(shares))
    return found


def errors(output: Tensor, told: Targets, numbers: Tensor) -> dict[str, float]:
    """Mean absolute error of each number, in its own unit."""
    wrong = (output[:, output.shape[1] - len(told.numbers) :] - numbers).abs() * torch.from_numpy(told.deviations)
    return {name: float(wrong[:, place].nanmean()) for place, name in enumerate(told.numbers)}


def _topics(output: Tensor, told: Targets) -> tuple[Tensor, ...]:
    sizes = [len(names) for names in told.findings.values()]
    return torch.split(output[:, : sum(sizes)], sizes, dim=1)
