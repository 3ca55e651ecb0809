"""The results of an evaluation as a table for the console, as JSON and as plots; demonstrators are marked in each."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from chordae.learning.results import BlindReport, McqLine, McqReport, Report, VqaLine, VqaReport
from chordae.learning.statistics import Comparison, Score
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically

MARKS = (
    ("ceiling", "^", "#2a7f3f", "classifier on the true numbers (ceiling)"),
    ("withheld", "D", "#c46a1b", "media withheld, forced choice"),
    ("text_only", "x", "#555555", "text-only model (floor)"),
)
EXPERT_COLOUR, CHANCE_COLOUR = "#1f4e8c", "#b03030"


def table(report: Report) -> Table:
    """A Rich table; figures in percent for accuracies, from 1 to 5 for Likert."""
    if isinstance(report, McqReport):
        return _mcq_table(report)
    return _vqa_table(report) if isinstance(report, VqaReport) else _blind_table(report)


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """Tests between models."""
    result = Table(title="Models on the same questions; p adjusted by Bonferroni")
    for name in ("first", "second", "test", "questions", "only first", "only second", "effect", "p", "adjusted p"):
        result.add_column(name)
    for row in rows:
        only = ("" if one is None else str(one) for one in (row.only_first, row.only_second))
        cells = (f"{row.effect:+.3f}" if row.only_first is not None else f"{row.effect:.3f}", _p(row.p))
        result.add_row(row.first, row.second, row.test, str(row.questions), *only, *cells, _p(row.p_adjusted))
    return result


def write(report: Report, folder: Path) -> list[Path]:
    """Write `<kind>.json` and the plots into a folder, which is made where it is missing.

    Returns:
        What was written, the JSON first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = {McqReport: "mcq", VqaReport: "vqa", BlindReport: "blind"}[type(report)]
    written = [folder / f"{kind}.json"]
    content = {"note": report.note} | report.model_dump(mode="json")
    write_atomically(written[0], json.dumps(content, indent=1).encode())
    if isinstance(report, BlindReport):
        return written
    for name, kinds in (("categories", ("all", "category")), ("sites", ("sites", "site"))):
        figure = plot(report, kinds)
        written.append(folder / f"{kind}_{name}.png")
        figure.savefig(written[-1], dpi=130, bbox_inches="tight")
    return written


def read(path: Path) -> McqReport | VqaReport:
    """A report that `write` left.

    Raises:
        BadInput: no such file, or no report of multiple choice or open questions.
    """
    try:
        content = path.read_bytes()
        kind = VqaReport if "judge" in json.loads(content) else McqReport
        return kind.model_validate_json(content)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no report", "name mcq.json or vqa.json of `chordae evaluate`") from error


def plot(report: McqReport | VqaReport, kinds: Sequence[str]) -> Figure:
    """A row a group, of the kinds wanted: the score with its interval, and what it is to be held against.

    A figure without pyplot: it is drawn by Agg and needs no display.
    """
    lines = [line for line in report.lines if line.kind in kinds]
    figure = Figure(figsize=(8.0, 1.6 + 0.42 * len(lines)))
    axes = figure.subplots()
    for place, line in enumerate(lines):
        if isinstance(line, McqLine):
            _mcq_row(axes, place, line)
        else:
            _vqa_row(axes, place, line)
    axes.set_yticks(range(len(lines)), [f"{line.name} ({_asked(line)})" for line in lines])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(_title("", report.model, report.split, report.note), loc="left", fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    if isinstance(report, McqReport):
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("accuracy = correct / (correct + incorrect); 95 % interval over patients")
    else:
        axes.set_xlim(0.9, 5.1)
        axes.set_xlabel(f"Likert, 1 to 5, by {report.judge}; 95 % interval over patients")
    return figure


def _mcq_row(axes: Axes, place: int, line: McqLine) -> None:
    _dot(axes, place, line.expert.accuracy, line.expert.interval, "expert")
    for name, marker, colour, label in MARKS:
        accuracy = getattr(line, name).accuracy
        axes.plot([accuracy], [place], marker, color=colour, label=label, markersize=6, zorder=2)
    axes.plot([line.chance] * 2, [place - 0.35, place + 0.35], color=CHANCE_COLOUR, label="best blind guess (chance)")


def _vqa_row(axes: Axes, place: int, line: VqaLine) -> None:
    _dot(axes, place, line.mean, line.interval, "expert")
    if line.constant is not None:
        axes.plot([line.constant], [place], "x", color="#555555", label="commonest answer, always (floor)")


def _dot(axes: Axes, place: int, value: float | None, interval: tuple[float, float] | None, label: str) -> None:
    if value is None or interval is None:
        return
    axes.plot(interval, [place, place], color=EXPERT_COLOUR, linewidth=2, zorder=3)
    axes.plot([value], [place], "o", color=EXPERT_COLOUR, markersize=7, label=label, zorder=4)


def _mcq_table(report: McqReport) -> Table:
    """Fits 80 columns: figures that are cut off say nothing."""
    title = _title("Multiple choice, accuracy in %", report.model, report.split, report.note)
    result = Table(title=title, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    result.add_column("group", no_wrap=True)
    for name in ("asked", "excl.", "accuracy (95 %)", "chance", "text", "blind", "ceiling"):
        result.add_column(name, justify="right", no_wrap=True)
    before = report.lines[0].kind
    for line in report.lines:
        if line.kind != before:
            result.add_row()
            before = line.kind
        expert = line.expert
        accuracy = f"{_percent(expert.accuracy)} {_range(expert.interval)}".rstrip()
        against = (_percent(one.accuracy) for one in (line.text_only, line.withheld, line.ceiling))
        result.add_row(line.name, str(expert.asked), str(expert.excluded), accuracy, _percent(line.chance), *against)
    whole = report.lines[0]
    result.caption = (
        "accuracy = correct / (correct + incorrect); excl.: chose no option, or more than one. Chance: best guess that "
        "knows topic and options. Text: cross-fitted on the words (floor). Blind: the expert's forced choice, media "
        "withheld. Ceiling: classifier on the true numbers. Strict readings of the same answers, of those that give "
        f"exactly one: by text {_of(whole.by_text)}, by letter {_of(whole.by_letter)}."
    )
    return result


def _vqa_table(report: VqaReport) -> Table:
    result = Table(
        title=_title(f"Open questions, Likert 1 to 5 by {report.judge}", report.model, report.split, report.note)
    )
    result.add_column("group", no_wrap=True)
    for name in ("asked", "ungraded", "mean", "95 % interval", "1", "2", "3", "4", "5", "constant"):
        result.add_column(name, justify="right")
    for line in report.lines:
        interval = "" if line.interval is None else f"{line.interval[0]:.2f} to {line.interval[1]:.2f}"
        mean, constant = ("" if one is None else f"{one:.2f}" for one in (line.mean, line.constant))
        counts = map(str, line.counts)
        result.add_row(line.name, str(line.asked), str(line.ungraded), mean, interval, *counts, constant)
    result.caption = (
        f"Judge's agreement: {report.agreement}. Constant: the topic's commonest reference answer to every question."
    )
    return result


def _blind_table(report: BlindReport) -> Table:
    result = Table(title=_title("Media withheld", report.model, report.split, report.note))
    for name in ("measure", "questions", "excluded", "%", "95 % interval"):
        result.add_column(name)
    rows: tuple[tuple[str, Score | None], ...] = (
        ("accuracy of free answers", report.free),
        ("accuracy of the forced choice", report.forced),
        ("mirage rate (negative truth)", report.mirages),
        ("false positives with the media", report.false_positives),
    )
    for name, one in rows:
        if one is not None:
            result.add_row(name, str(one.asked), str(one.excluded), _percent(one.accuracy), _range(one.interval))
    if report.chance is not None:
        result.add_row("chance", "", "", _percent(report.chance), "")
    return result


def _title(what: str, model: str, split: str, note: str) -> str:
    return "\n".join(part for part in (what, f"{model}, {split}".rstrip(", "), note) if part)


def _asked(line: McqLine | VqaLine) -> int:
    return line.expert.asked if isinstance(line, McqLine) else line.asked


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f}"


def _of(one: Score) -> str:
    return f"{_percent(one.accuracy)} of {one.asked - one.excluded}"


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
