"""Writes the figures of a shipped expert's reports into its card: scripts/model_card.py models/ecg-nano ...

The card's words are written by hand; between the two marks stands what `chordae evaluate` left in `evaluation/`.
"""

import sys
from pathlib import Path

from chordae.learning.mirage import MirageReport
from chordae.learning.results import BlindReport, McqReport, VqaReport
from chordae.learning.statistics import Score

BEGIN, END = "<!-- figures: written by scripts/model_card.py -->", "<!-- end of figures -->"


def figures(folder: Path) -> str:
    """The reports of a folder as Markdown."""
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
