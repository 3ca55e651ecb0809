"""A gate's decision as one HTML page that needs nothing else. It shows counts and shares, never a case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from chordae.learning.gate.decision import GateDecision
from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.html_page import Html, coloured, drawing, heading, paragraph, table, whole_page

VERDICTS = {"promote": "Promote", "hold": "Hold", "rollback": "Roll back"}
MARKS = {True: ("passed", "#2a7f3f"), False: ("failed", "#b03030"), None: ("open", "#a06a00")}
PLOTTED = {"accuracy", "class recall", "sites", "live flags"}


def decision_page(decision: GateDecision) -> str:
    """The whole page; what is not the project's own text is escaped."""
    verdict = Html(f"<strong>{VERDICTS[decision.decision]}</strong>: {escape(decision.why)}.")
    numbers = ((one.name, name, float(value)) for one in decision.rules for name, value in one.numbers.items())
    parts = [
        paragraph(verdict),
        paragraph(f"{decision.sentinels} sentinels were put to both. {_tried(decision)}"),
        rules_table(decision.rules),
        *(_plot(one) for one in decision.rules if one.name in PLOTTED and one.numbers),
        heading(2, "All numbers"),
        table(("Rule", "Number", "Value"), numbers),
        heading(2, "Limits"),
        table(("Setting", "Value"), ((name, float(value)) for name, value in decision.settings.model_dump().items())),
    ]
    return whole_page(f"{decision.model}: {decision.from_version} to {decision.to_version}", parts)


def rules_table(rules: Iterable[RuleOutcome]) -> Html:
    """What each rule said."""
    return table(
        ("Rule", "Outcome", "What was found"), ((one.name, coloured(*MARKS[one.passed]), one.sentence) for one in rules)
    )


def _tried(decision: GateDecision) -> str:
    if decision.questions is None:
        return "The candidate was not tried on real questions."
    return f"So were {decision.questions} real questions, whose truth nobody may know."


def _plot(outcome: RuleOutcome) -> Html:
    """Change of each stratum with its interval, as SVG."""
    groups = [name.removesuffix(": change low") for name in outcome.numbers if name.endswith(": change low")]
    size = (7, 0.9 + 0.35 * len(groups))
    return drawing(outcome.name, size, lambda figure: _draw(figure, outcome, groups))


def _draw(figure: Figure, outcome: RuleOutcome, groups: Sequence[str]) -> None:
    axes = figure.subplots()
    for place, group in enumerate(groups):
        numbers = {key: outcome.numbers[f"{group}: {key}"] for key in ("champion", "candidate")}
        low, high = outcome.numbers[f"{group}: change low"], outcome.numbers[f"{group}: change high"]
        axes.plot([low, high], [place, place], color="#1f4e8c", linewidth=2)
        axes.plot(numbers["candidate"] - numbers["champion"], place, "o", color="#1f4e8c")
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set_xlabel(f"{outcome.name}: candidate less champion, 95 % interval")
