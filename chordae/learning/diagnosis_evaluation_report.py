"""What an evaluation of a reasoner found: as JSON, as a table for the console, as plots."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from chordae.learning.diagnosis_evaluation_scores import Estimate
from chordae.learning.record_baselines import Judged
from chordae.learning.results import GroupKind, note
from chordae.learning.score_report import CHANCE_COLOUR, EXPERT_COLOUR
from chordae.platform.diagnosis.category import CATEGORIES, Category, Language
from chordae.platform.diagnosis.temperature import BINS, scaled
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically

JSON_FILE = "cod.json"


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class DiagnosisOutcome(_Result):
    """One case, and what the reasoner said of it."""

    patient: str
    site: str
    truth: Category
    category: Category | None
    probabilities: tuple[float, ...]
    """In the order of `CATEGORIES`, at temperature 1; empty where no category was given."""
    faithful: bool
    why: tuple[str, ...]
    """What is wrong with the chain."""
    written: str


class DiagnosisLine(_Result):
    """One group of cases; figures are shares, areas or errors from 0 to 1."""

    kind: GroupKind
    name: str
    cases: int
    accuracy: Estimate
    macro_f1: Estimate
    auc: Estimate
    rare_recall: Estimate
    """Mean over the rarest categories."""
    faithful: Estimate
    relied_on: Estimate
    """Share that is not flagged."""
    accuracy_relied_on: Estimate
    """Of those alone."""
    unanswered: Estimate
    calibration_error: Estimate
    """Expected, at temperature 1."""
    calibrated_error: Estimate
    """The same at the temperature stored with the weights."""
    recall: dict[Category, Estimate]


class DiagnosisReport(_Result):
    """One reasoner on one test set."""

    model: str
    weights: str
    """Their digest."""
    split: str
    language: Language
    temperature: float | None
    """Stored with the weights, if one is."""
    rarest: tuple[Category, ...]
    lines: tuple[DiagnosisLine, ...]
    floors: tuple[Judged, ...]
    """And ceiling: what others reach that were fitted on the reasoner's training cases."""
    confusion: tuple[tuple[int, ...], ...]
    """(8, 9) cases by truth and answer; the last column: no category."""
    outcomes: tuple[DiagnosisOutcome, ...]

    @property
    def note(self) -> str:
        """What must stand beside every figure; empty for a model that is no demonstrator."""
        return note(self.model)

    @property
    def title(self) -> str:
        """Model, test set and note."""
        return "\n".join(part for part in (f"{self.model}, {self.split}", self.note) if part)


def write(report: DiagnosisReport, folder: Path) -> list[Path]:
    """Write `cod.json` and the plots into a folder, which is made where it is missing; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / JSON_FILE, folder / "cod_confusion.png", folder / "cod_reliability.png"]
    content = {"note": report.note} | report.model_dump(mode="json")
    write_atomically(written[0], json.dumps(content, indent=1).encode())
    for figure, path in zip((confusion_plot(report), reliability_plot(report)), written[1:], strict=True):
        figure.savefig(path, dpi=130, bbox_inches="tight")
    return written


def read(path: Path) -> DiagnosisReport:
    """A report that `write` left.

    Raises:
        BadInput: no such file, or something else.
    """
    try:
        return DiagnosisReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no report", "name cod.json of `chordae evaluate cod`") from error


def tables(report: DiagnosisReport) -> list[Table]:
    """The figures by group, floors and ceiling beside; the recall of each category. In percent, 80 columns."""
    figures = Table("", *(f"{line.name} ({line.cases})" for line in report.lines), title=report.title, box=None)
    rows = (
        ("accuracy", "accuracy"),
        ("macro-F1", "macro_f1"),
        ("AUC, macro one-vs-rest", "auc"),
        ("recall of the rarest", "rare_recall"),
        ("faithful chains", "faithful"),
        ("not flagged", "relied_on"),
        ("accuracy of those", "accuracy_relied_on"),
        ("without a category", "unanswered"),
        ("calibration error", "calibration_error"),
        ("the same, calibrated", "calibrated_error"),
    )
    for name, key in rows:
        figures.add_row(name, *(shown(getattr(line, key)) for line in report.lines))
    figures.caption = "95 % intervals over patients."
    if report.rarest:
        figures.caption += f" The rarest in training: {', '.join(report.rarest)}."
    against = Table("all cases", "accuracy", "macro-F1", "AUC", "rarest", title="Floors and ceiling", box=None)
    for one in report.floors:
        rare = float(np.mean([one.recall[name] for name in report.rarest if name in one.recall] or [np.nan]))
        accuracy = shown(Estimate(value=one.accuracy, interval=one.interval))
        against.add_row(one.name, accuracy, *(f"{100 * value:.1f}" for value in (one.macro_f1, one.auc, rare)))
    recall = Table("recall", *(line.name for line in report.lines), box=None)
    for name in CATEGORIES:
        recall.add_row(name, *(shown(line.recall[name]) for line in report.lines))
    return [figures, *([against] if report.floors else []), recall]


def shown(one: Estimate) -> str:
    """In percent, with its interval."""
    if one.value is None:
        return "none"
    interval = "" if one.interval is None else f" ({100 * one.interval[0]:.1f}-{100 * one.interval[1]:.1f})"
    return f"{100 * one.value:.1f}{interval}"


def confusion_plot(report: DiagnosisReport) -> Figure:
    """Truth by answer: shares of each truth as shades, cases as numbers."""
    counts = np.array(report.confusion, float)
    figure = Figure(figsize=(8.5, 6.5))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(CATEGORIES) + 1), [*CATEGORIES, "no category"], rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(CATEGORIES)), CATEGORIES, fontsize=8)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(report.title, loc="left", fontsize=10)
    return figure


def reliability_plot(report: DiagnosisReport) -> Figure:
    """How often the likeliest category is right, by how likely it is said to be; also at the stored temperature."""
    figure = Figure(figsize=(5.5, 5.0))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="#888888", linewidth=1)
    _reliability(axes, report, 1.0, CHANCE_COLOUR, "temperature 1")
    if report.temperature is not None:
        _reliability(axes, report, report.temperature, EXPERT_COLOUR, f"temperature {report.temperature:.2f}")
    axes.set_xlabel("probability of the likeliest category")
    axes.set_ylabel("share right")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(report.title, loc="left", fontsize=10)
    return figure


def _reliability(axes: Any, report: DiagnosisReport, temperature: float, colour: str, label: str) -> None:
    """A dot for each bin that holds cases, its area by how many."""
    answered = [one for one in report.outcomes if one.probabilities]
    shares = np.array([scaled(one.probabilities, temperature) for one in answered]).reshape(-1, len(CATEGORIES))
    confidence = shares.max(axis=1)
    right = shares.argmax(axis=1) == np.array([CATEGORIES.index(one.truth) for one in answered], int)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    held = sorted(set(bins.tolist()))
    places = [[confidence[bins == one].mean() for one in held], [right[bins == one].mean() for one in held]]
    axes.plot(*places, color=colour, linewidth=1)
    axes.scatter(*places, s=[12 + 300 * (bins == one).mean() for one in held], color=colour, label=label, zorder=3)
