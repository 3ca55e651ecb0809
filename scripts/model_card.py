"""Writes the figures of a shipped expert's reports into its card: scripts/model_card.py models/ecg-nano ...

The card's words are written by hand; between the two marks stands what `chordae evaluate` left in `evaluation/`.
"""

import sys
from pathlib import Path

from chordae.learning import diagnosis_evaluation_report
from chordae.learning.diagnosis_evaluation_report import DiagnosisReport, shown
from chordae.learning.mirage import MirageReport
from chordae.learning.results import BlindReport, McqReport, VqaReport
from chordae.learning.statistics import Score
from chordae.platform.diagnosis.category import CATEGORIES

BEGIN, END = "<!-- figures: written by scripts/model_card.py -->", "<!-- end of figures -->"


def figures(folder: Path) -> str:
    """The reports of a folder as Markdown."""
    if (folder / diagnosis_evaluation_report.JSON_FILE).is_file():
        return "\n".join(diagnoses_told(folder))
    mcq = McqReport.model_validate_json((folder / "mcq.json").read_bytes())
    lines = [
        "| multiple choice, accuracy in % | questions | expert | chance | words alone | media withheld | ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in mcq.lines:
        if line.kind != "site":
            others = (percent(one) for one in (line.text_only, line.withheld, line.ceiling))
            cells = (line.name, f"{line.expert.asked}", interval(line.expert), f"{100 * line.chance:.1f}", *others)
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Answers that chose no option: {mcq.lines[0].expert.excluded}."]
    if (folder / "vqa.json").is_file():
        vqa = VqaReport.model_validate_json((folder / "vqa.json").read_bytes())
        lines += [
            "",
            f"| open questions, 1 to 5 by {vqa.judge} | questions | expert | always the commonest answer |",
            "|---|---|---|---|",
        ]
        for row in vqa.lines:
            if row.kind in ("all", "sites") and row.mean is not None and row.interval and row.constant is not None:
                low, high = row.interval
                mean = f"{row.mean:.2f} ({low:.2f} to {high:.2f})"
                lines.append(f"| {row.name} | {row.asked} | {mean} | {row.constant:.2f} |")
    if (folder / "blind.json").is_file():
        blind = BlindReport.model_validate_json((folder / "blind.json").read_bytes())
        mirages = blind.mirages
        lines += [
            "",
            f"Media withheld and not forced: a finding invented in {mirages.correct} of {mirages.asked} answers.",
        ]
    if (folder / "mirage.json").is_file():
        lines += ["", *mirages_told(MirageReport.model_validate_json((folder / "mirage.json").read_bytes()))]
    return "\n".join(lines)


def mirages_told(report: MirageReport) -> list[str]:
    """The mirage benchmark: what was named where nothing was wrong, and how the four scores compare."""
    lines = [
        "| negative truth, answers in % | asked | claim something | a positive finding | mirages | let through |",
        "|---|---|---|---|---|---|",
    ]
    for line in report.lines:
        shares = (percent(one) for one in (line.claimed, line.positives, line.before, line.after))
        lines.append(f"| picture {line.condition or 'of any kind'} | {line.asked} | {' | '.join(shares)} |")
    areas = ", ".join(f"{one.name} {one.area:.3f}" for one in report.systems)
    gate = f"alpha {report.alpha:g}, threshold {report.threshold:g}" if report.calibrated else "not calibrated"
    return [
        *lines,
        "",
        f"The gate ({gate}) keeps {interval(report.kept)} % of the {report.kept.asked} correct answers, and",
        f"{interval(report.kept_wrong)} % of the {report.kept_wrong.asked} wrong ones.",
        f"Area under the risk-coverage curve (lower is better): {areas}.",
    ]


def diagnoses_told(folder: Path) -> list[str]:
    """A reasoner's figures on simulated records, and those on real ones beside them (`acdc/`), if there are any."""
    report = diagnosis_evaluation_report.read(folder / diagnosis_evaluation_report.JSON_FILE)
    lines = [
        f"| in % | {' | '.join(f'{line.name} ({line.cases})' for line in report.lines)} |",
        f"|---|{'---|' * len(report.lines)}",
    ]
    rows = (
        ("accuracy", "accuracy"),
        ("macro-F1", "macro_f1"),
        ("AUC, macro one-vs-rest", "auc"),
        (f"recall of the rarest ({', '.join(report.rarest)})", "rare_recall"),
        ("faithful chains", "faithful"),
        ("not flagged", "relied_on"),
        ("accuracy of those that are not flagged", "accuracy_relied_on"),
        ("without a category", "unanswered"),
        ("calibration error at temperature 1", "calibration_error"),
        ("at the fitted temperature", "calibrated_error"),
    )
    for name, key in rows:
        lines.append(f"| {name} | {' | '.join(shown(getattr(line, key)) for line in report.lines)} |")
    lines += [
        "",
        "| fitted on the reasoner's training records, in % | accuracy | macro-F1 | AUC |",
        "|---|---|---|---|",
    ]
    for one in report.floors:
        lines.append(f"| {one.name} | {100 * one.accuracy:.1f} | {100 * one.macro_f1:.1f} | {100 * one.auc:.1f} |")
    real = folder / "acdc" / diagnosis_evaluation_report.JSON_FILE
    return lines + (["", *real_told(diagnosis_evaluation_report.read(real))] if real.is_file() else [])


def real_told(report: DiagnosisReport) -> list[str]:
    """Accuracy and confusion matrix on real records, of the categories that occur there."""
    line, columns = report.lines[0], [*CATEGORIES, "none"]
    used = [place for place in range(len(columns)) if any(row[place] for row in report.confusion)]
    lines = [
        f"Real patients, never trained on: the {line.cases} rows of `configs/records/{report.split}.yaml`. Accuracy",
        f"{shown(line.accuracy)} %, macro-F1 {shown(line.macro_f1)} %, faithful chains {shown(line.faithful)} %.",
        "",
        f"| true \\ answered | {' | '.join(columns[place] for place in used)} |",
        f"|---|{'---|' * len(used)}",
    ]
    for name, row in zip(CATEGORIES, report.confusion, strict=True):
        if any(row):
            lines.append(f"| {name} | {' | '.join(str(row[place]) for place in used)} |")
    return lines


def percent(one: Score) -> str:
    """An accuracy in percent."""
    return "-" if one.accuracy is None else f"{100 * one.accuracy:.1f}"


def interval(one: Score) -> str:
    """An accuracy in percent, with its 95 % interval."""
    if one.accuracy is None or one.interval is None:
        return "-"
    return f"{percent(one)} ({100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f})"


def write(model: Path) -> None:
    """Put the figures of `model/evaluation` between the marks of `model/README.md`."""
    card = model / "README.md"
    before, _, rest = card.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{card} lacks the marks {BEGIN} and {END}")
    card.write_text(f"{before}{BEGIN}\n\n{figures(model / 'evaluation')}\n\n{END}{after}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name))
