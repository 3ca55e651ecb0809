"""The mirage benchmark as a table, as JSON and as plots; demonstrators are marked in each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from chordae.learning.probe_scores import Scored, systems, values
from chordae.learning.risk_coverage import area, risk_coverage
from chordae.platform.calibration import Calibration
from chordae.platform.files import write_atomically

if TYPE_CHECKING:
    from chordae.learning.mirage import MirageReport

COLOURS = ("#1f4e8c", "#555555", "#c46a1b", "#2a7f3f")
KINDS: tuple[tuple[str, str, Callable[[Scored], bool]], ...] = (
    ("correct, picture present", "#1f4e8c", lambda one: one.condition == "present" and one.correct),
    ("wrong of what was shown", "#c46a1b", lambda one: one.wrong and not one.mirage),
    ("mirage", "#b03030", lambda one: one.mirage),
)
BINS = 10


def tables(report: MirageReport) -> list[Table]:
    """Mirages by condition, coverage, the four systems, and the bar."""
    gate = f"alpha {report.alpha:g}, threshold {report.threshold:g}"
    gate += "" if report.calibrated else " (settings' default: not calibrated for these weights)"
    title = "\n".join(part for part in (f"{report.model}, {report.split}: {gate}", report.note) if part)
    mirages = Table(title=f"Mirage benchmark, % of questions with a negative truth\n{title}")
    for name in ("picture", "asked", "claims", "positive", "mirage", "95 % interval", "after gating", "95 % interval"):
        mirages.add_column(name, justify="left" if name == "picture" else "right")
    for line in report.lines:
        mirages.add_row(
            line.condition or "all",
            str(line.asked),
            *(_percent(one.accuracy) for one in (line.claimed, line.positives, line.before)),
            _range(line.before.interval),
            _percent(line.after.accuracy),
            _range(line.after.interval),
        )
    mirages.caption = "Mirage: a positive finding with what was shown, a similar one without it, a negative truth."
    kept = Table(title="Answers with the picture present that are not flagged, %")
    for name in ("answers", "of", "kept", "95 % interval"):
        kept.add_column(name)
    for name, one in (
        ("correct (coverage)", report.kept),
        ("correct, negative truth", report.kept_negative),
        ("wrong", report.kept_wrong),
    ):
        kept.add_row(name, str(one.asked), _percent(one.accuracy), _range(one.interval))
    compared = Table(title="Area under the risk-coverage curve, lower is better")
    for name in ("score", "area", "95 % interval", "behind ours by", "correct above every mirage, %"):
        compared.add_column(name)
    for system in report.systems:
        behind = "" if system.behind is None else f"{system.behind[0]:+.4f} to {system.behind[1]:+.4f}"
        area_of = f"{system.interval[0]:.4f} to {system.interval[1]:.4f}"
        compared.add_row(system.name, f"{system.area:.4f}", area_of, behind, _percent(system.reach))
    compared.caption = "Of all answers that claim something; wrong: not what is true of what was shown."
    bar = Table("the bar", "reached")
    for name, reached in report.reached.items():
        bar.add_row(name, "yes" if reached else "no")
    return [mirages, kept, compared, bar]


def calibration_table(found: Calibration, model: str, note: str) -> Table:
    """What was fitted, and on how much."""
    result = Table("what", "value", title="\n".join(part for part in (f"Calibration of {model}", note) if part))
    result.add_row("alpha, threshold", f"{found.alpha:g}, {found.threshold:g}")
    result.add_row("correct answers kept", f"{_percent(found.coverage)} % of {found.correct}")
    result.add_row("95 % interval", f"{_range(found.coverage_interval)} %")
    result.add_row("mirages before gating", f"{found.mirages} of {found.negatives} answers, {found.patients} patients")
    result.add_row("mirages after gating", f"0; upper 95 % bound {_percent(found.mirage_bound)} % of patients")
    result.add_row("split, weights", f"{found.split}, {found.weights[:12]}")
    return result


def write(report: MirageReport, folder: Path) -> list[Path]:
    """Write `mirage.json` and the plots into a folder, which is made where it is missing. Returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mirage.json"
    content = {"note": report.note, "reached": report.reached} | report.model_dump(mode="json")
    write_atomically(path, json.dumps(content, indent=1).encode())
    title = "\n".join(part for part in (f"{report.model}, {report.split}", report.note) if part)
    return [path, *plots(report.outcomes, report.alpha, report.threshold, folder, "mirage", title)]


def plots(scored: Sequence[Scored], alpha: float, threshold: float, folder: Path, stem: str, title: str) -> list[Path]:
    """Draw risk against coverage, the scores' distributions and reliability; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "risk_coverage": risk_coverage_plot(scored, alpha),
        "scores": score_plot(scored, alpha, threshold),
        "reliability": reliability_plot(scored, alpha, threshold),
    }
    written = []
    for name, figure in drawn.items():
        figure.axes[0].set_title(title, loc="left", fontsize=10)
        written.append(folder / f"{stem}_{name}.png")
        figure.savefig(written[-1], dpi=130, bbox_inches="tight")
    return written


def risk_coverage_plot(scored: Sequence[Scored], alpha: float) -> Figure:
    """Four curves over the answers that claim something."""
    figure, axes = _axes("coverage: share of answers given, most trusted first", "risk: share of those that is wrong")
    claimed = [one for one in scored if one.claimed]
    wrong = values(claimed, lambda one: float(one.wrong))
    for (name, confidence), colour in zip(systems(alpha).items(), COLOURS, strict=True):
        trusted = values(claimed, confidence)
        label = f"{name}, area {area(trusted, wrong):.4f}"
        axes.plot(*risk_coverage(trusted, wrong), color=colour, label=label, linewidth=1.6)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return figure


def score_plot(scored: Sequence[Scored], alpha: float, threshold: float) -> Figure:
    """Confidence of correct answers, wrong ones and mirages, and where the threshold lies."""
    figure, axes = _axes(f"confidence, alpha {alpha:g}", "answers")
    for name, colour, belongs in KINDS:
        part = [one.confidence(alpha) for one in scored if belongs(one)]
        axes.hist(part, np.linspace(0, 1, 41).tolist(), histtype="step", color=colour, label=f"{name} ({len(part)})")
    _threshold(axes, threshold)
    return figure


def reliability_plot(scored: Sequence[Scored], alpha: float, threshold: float) -> Figure:
    """Share of right answers by confidence; confidence is no probability, but more of it should be right more often."""
    figure, axes = _axes(f"confidence, alpha {alpha:g}", "share right, with answers counted")
    claimed = [one for one in scored if one.claimed]
    confidences = values(claimed, lambda one: one.confidence(alpha))
    right = values(claimed, lambda one: float(one.correct))
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    filled = np.unique(bins)
    shares = [float(right[bins == one].mean()) for one in filled]
    axes.plot((filled + 0.5) / BINS, shares, "o-", color=COLOURS[0], label="answers that claim something")
    for one, share in zip(filled, shares, strict=True):
        axes.annotate(str(int((bins == one).sum())), ((one + 0.5) / BINS, share), (0, 6), textcoords="offset points")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.1))
    _threshold(axes, threshold)
    return figure


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    """A figure without pyplot: it is drawn by Agg and needs no display."""
    figure = Figure(figsize=(7.0, 4.2))
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _threshold(axes: Axes, threshold: float) -> None:
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:g}")
    axes.legend(frameon=False, fontsize=8)


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f}"


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
