"""`chordae train views`: learns which clips of an echo study hold the evidence, from labels of whole studies.

Data in: the bags of clip features that `chordae cohort dataset` keeps for echo studies. Out: the arrays that
`preprocessing.echo.attention` ranks clips with. No label says which view a clip shows; the truth of that is used only
to judge the result.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chordae.cohort.dataset import SAMPLES, Sample, read_rows
from chordae.cohort.findings import topics
from chordae.cohort.make import JUNK
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.preprocessing.echo.attention import FARTHEST, QUALITIES, AttentionSelector
from chordae.preprocessing.echo.views import diverse

HIDDEN, EPOCHS, BATCH, RATE, DECAY = 48, 30, 64, 2e-3, 1e-3
TOPICS = topics("echo")


@dataclass(frozen=True)
class Bags:
    """Studies as clips: (studies, clips, features) padded with zeros, which are there, and the labels (-1: none)."""

    features: NDArray[np.float32]
    present: NDArray[np.bool_]
    labels: NDArray[np.int64]
    """(studies, topics)."""
    views: list[list[str]]
    """What each clip shows in truth, or `JUNK`."""


class AttentionPooling(nn.Module):
    """Gated attention, one head a topic, and a linear classifier on each pooled clip."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        size = len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.content, self.gate = nn.Linear(size, HIDDEN), nn.Linear(size, HIDDEN)
        self.score = nn.Linear(HIDDEN, len(TOPICS), bias=False)
        self.embed = nn.Sequential(nn.Dropout(0.2), nn.Linear(size, HIDDEN), nn.GELU())
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, len(topic.findings)) for topic in TOPICS)

    def forward(self, features: Tensor, present: Tensor) -> list[Tensor]:
        """(studies, clips, features) -> logits a topic."""
        standard = ((features - self.mean) / self.scale).clamp(-FARTHEST, FARTHEST)
        logits = self.score(torch.tanh(self.content(standard)) * torch.sigmoid(self.gate(standard)))
        shares = logits.masked_fill(~present[..., None], -torch.inf).softmax(dim=1)
        pooled = torch.einsum("sct,sch->sth", shares, self.embed(standard))
        return [head(pooled[:, index]) for index, head in enumerate(self.heads)]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What ranking needs, as `AttentionSelector` names it."""
        tensors = {
            "mean": self.mean,
            "scale": self.scale,
            "content": self.content.weight.T,
            "content_bias": self.content.bias,
            "gate": self.gate.weight.T,
            "gate_bias": self.gate.bias,
            "score": self.score.weight.T,
        }
        return {name: np.ascontiguousarray(tensor.detach().numpy(), np.float32) for name, tensor in tensors.items()}


def train_selector(dataset: Path, output: Path, seed: int = 20_261_122) -> dict[str, object]:
    """Train on nine tenths of a dataset's studies, judge on the rest, and write the arrays to `output` (.npz).

    Raises:
        BadInput: the dataset has no echo studies with bags.
    """
    bags = read_bags(dataset)
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(bags.features))
    held, train = order[: len(order) // 10], order[len(order) // 10 :]
    clips = bags.features[train][bags.present[train]]
    model = AttentionPooling(torch.from_numpy(clips.mean(0)), torch.from_numpy(clips.std(0) + 1e-3))
    weights = [_balance(bags.labels[train, index], len(topic.findings)) for index, topic in enumerate(TOPICS)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    for epoch in range(EPOCHS):
        shuffled = np.random.default_rng([seed, epoch]).permutation(train)
        for first in range(0, len(shuffled), BATCH):
            rows = shuffled[first : first + BATCH]
            optimiser.zero_grad()
            _loss(model, bags, rows, weights).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    model.eval()
    arrays = model.arrays()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(output, buffer.getvalue())
    return {"studies": len(train), "held_out": len(held)} | judge_selector(model, arrays, bags, held)


def judge_selector(
    model: AttentionPooling, arrays: dict[str, NDArray[np.float32]], bags: Bags, rows: NDArray[np.int64]
) -> dict[str, object]:
    """Balanced accuracy a topic, and how much attention each view gets against an even share (1 is no preference)."""
    with torch.inference_mode():
        logits = model(torch.from_numpy(bags.features[rows]), torch.from_numpy(bags.present[rows]))
    accuracy = {}
    for index, topic in enumerate(TOPICS):
        true, said = bags.labels[rows, index], logits[index].argmax(1).numpy()
        recalls = [
            float((said[true == label] == label).mean())
            for label in range(len(topic.findings))
            if (true == label).any()
        ]
        accuracy[topic.key] = round(float(np.mean(recalls)), 3)
    selector, gained = AttentionSelector(arrays), dict[str, list[NDArray[np.float32]]]()
    for row in rows:
        count = int(bags.present[row].sum())
        shares = selector.attention(bags.features[row, :count]) * count
        for view, share in zip(bags.views[row], shares, strict=True):
            gained.setdefault(view, []).append(share)
    preference = {
        view: {topic.key: round(float(np.mean(shares, axis=0)[index]), 2) for index, topic in enumerate(TOPICS)}
        | {"all": round(float(np.mean(shares)), 2)}
        for view, shares in sorted(gained.items())
    }
    return {
        "balanced_accuracy": accuracy,
        "attention_by_view": preference,
        "half_of_the_clips": judge_choice(selector, bags, rows),
    }


def judge_choice(selector: AttentionSelector, bags: Bags, rows: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Half of each study's clips, chosen by attention and by quality and difference, and all of them for comparison.

    `evidence`: share of the chosen that show a standard view well. `views`: share of the views which the study shows
    well that are among the chosen.
    """
    found: dict[str, list[tuple[float, float]]] = {"attention": [], "quality": [], "all": []}
    for row in rows:
        count = int(bags.present[row].sum())
        clips, order = bags.features[row, :count], list(range(count))
        quality = clips[:, -QUALITIES:].mean(axis=1)
        chosen = {
            "attention": selector.choose(clips, order, count // 2),
            "quality": diverse(quality, clips[:, :-QUALITIES], order, count // 2),
            "all": order,
        }
        shown = {view for view in bags.views[row] if view != JUNK}
        for name, taken in chosen.items():
            views = [bags.views[row][index] for index in taken]
            evidence = sum(view != JUNK for view in views) / len(views)
            found[name].append((evidence, len(shown & set(views)) / len(shown)))
    means = {name: np.mean(pairs, axis=0) for name, pairs in found.items()}
    return {name: {"evidence": round(float(e), 3), "views": round(float(v), 3)} for name, (e, v) in means.items()}


def read_bags(dataset: Path) -> Bags:
    """The echo studies of a dataset as bags.

    Raises:
        BadInput: it has none.
    """
    samples = [sample for sample in read_rows(dataset / SAMPLES, Sample) if sample.modality == "echo"]
    if not samples:
        raise BadInput(f"{dataset} has no echo studies", "name a dataset with echo: configs/datasets/echo-train.yaml")
    stored = [json.loads((dataset / sample.media).with_suffix(".json").read_text()) for sample in samples]
    most, size = max(len(one["clips"]) for one in stored), len(stored[0]["clips"][0]["features"])
    features = np.zeros((len(samples), most, size), np.float32)
    present = np.zeros((len(samples), most), np.bool_)
    labels = np.full((len(samples), len(TOPICS)), -1, np.int64)
    for row, (sample, one) in enumerate(zip(samples, stored, strict=True)):
        for column, clip in enumerate(one["clips"]):
            features[row, column], present[row, column] = clip["features"], True
        for index, topic in enumerate(TOPICS):
            if (name := sample.findings[topic.key]) is not None:
                labels[row, index] = topic.findings.index(name)
    return Bags(features, present, labels, [[clip["view"] for clip in one["clips"]] for one in stored])


def _balance(labels: NDArray[np.int64], classes: int) -> Tensor:
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1
    return torch.from_numpy((counts.sum() / classes / counts).astype(np.float32))


def _loss(model: AttentionPooling, bags: Bags, rows: NDArray[np.int64], weights: list[Tensor]) -> Tensor:
    logits = model(torch.from_numpy(bags.features[rows]), torch.from_numpy(bags.present[rows]))
    labels = torch.from_numpy(bags.labels[rows])
    losses = [
        nn.functional.cross_entropy(logits[index], labels[:, index], weights[index], ignore_index=-1)
        for index in range(len(TOPICS))
        if (labels[:, index] >= 0).any()
    ]
    return torch.stack(losses).mean()
