"""`chordae evaluate`: a checkpoint, served by the platform's engine, on the questions of a split.

What training saw is read too: to refuse its patients, and to train the ceiling's classifier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chordae.cohort.dataset import SAMPLES, Item, Sample, read_rows
from chordae.learning.asking import load_items
from chordae.learning.checkpoint import trained_on
from chordae.learning.engine_answering import EngineExpert, engine_expert
from chordae.learning.evaluation import evaluate_blind, evaluate_mcq, evaluate_vqa
from chordae.learning.grading import candidates
from chordae.learning.judge import Judge
from chordae.learning.results import Report
from chordae.learning.score_report import write
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import fetch_checkpoint


@dataclass(frozen=True)
class Served:
    """An engine as an `Expert`: media paths of items lie below `root`."""

    engine: EngineExpert
    root: Path

    @property
    def name(self) -> str:
        """The checkpoint's."""
        return self.engine.name

    def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
        """Greedy answers."""
        return self.engine.generate([(item.question, self._media(item, with_media)) for item in items])

    def choose(self, items: Sequence[Item], with_media: bool) -> list[int]:
        """One option each, under structured outputs."""
        asked = [(item.question, self._media(item, with_media)) for item in items]
        return self.engine.choose(asked, [candidates(item) for item in items])

    def _media(self, item: Item, with_media: bool) -> Path | None:
        return self.root / item.media if with_media else None


@dataclass(frozen=True)
class Split:
    """What is asked of whom."""

    root: Path
    """Directory of datasets."""
    name: str
    site: str | None = None
    most: int | None = None
    """Ask only so many, chosen by the hashes of their ids; none: all."""


def evaluate_served(
    kind: Literal["mcq", "vqa", "blind"],
    settings: ExpertSettings,
    modality: Modality,
    split: Split,
    output: Path,
    judge: Judge | None = None,
    tell: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Evaluate and write the report, its plots and the answers below `output`.

    Raises:
        BadInput: see `evaluation.refuse_unusable`; no such split; the judge cannot be reached.
        BadSettings: the checkpoint cannot be served.
    """
    items = [one for one in load_items(split.root, split.name, None, split.site) if one.modality == modality]
    if kind != "blind":
        items = [one for one in items if one.kind == kind]
    if not items:
        raise BadInput(f"split {split.name!r} has no {kind} questions for {modality}", "make the dataset with some")
    if split.most is not None and split.most < len(items):
        items = sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).digest())[: split.most]
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    training = _training(checkpoint, split.root, modality)
    samples = [one for one in read_rows(split.root / split.name / SAMPLES, Sample) if one.modality == modality]
    unseen = sorted({one.site for one in samples} - {one.site for one in training})
    if kind == "vqa" and judge is not None:
        judge.check()
    output.mkdir(parents=True, exist_ok=True)
    keep = output / f"{kind}-answers.json"
    tell("loading the engine")
    with engine_expert(checkpoint, settings, modality) as engine:
        expert = Served(engine, split.root / split.name)
        tell(f"asking {len(items)} questions")
        report: Report
        if kind == "mcq":
            report = evaluate_mcq(
                items, expert, samples=samples, training=training, split=split.name, unseen=unseen, keep=keep
            )
        elif kind == "vqa":
            if judge is None:
                raise BadInput("open questions need a judge", "name one")
            report = evaluate_vqa(items, expert, judge, training=training, split=split.name, unseen=unseen, keep=keep)
        else:
            report = evaluate_blind(items, expert, training=training, split=split.name, keep=keep)
    write(report, output)
    return report


def _training(checkpoint: Path, root: Path, modality: Modality) -> list[Sample]:
    """What the manifest says that the checkpoint was trained on, found below `root` by its name.

    A checkpoint that does not say is held to have seen `<modality>-train`, which the ceiling then learns from.
    """
    names = trained_on(checkpoint) or {f"{modality}-train"}
    rows = [row for name in sorted(names) for row in read_rows(root / name / SAMPLES, Sample)]
    return [row for row in rows if row.modality == modality]
