"""A gate's decision as one HTML page that needs nothing else. It shows counts and shares, never a case."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

from chordae.learning.gate.decision import GateDecision
from chordae.learning.gate.rules import RuleOutcome

VERDICTS = {"promote": "Promote", "hold": "Hold", "rollback": "Roll back"}
MARKS = {True: ("passed", "#2a7f3f"), False: ("failed", "#b03030"), None: ("open", "#a06a00")}
PLOTTED = {"accuracy", "class recall", "sites", "live flags"}
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
td.number{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}"""


def decision_page(decision: GateDecision) -> str:
    """The whole page; what is not the project's own text is escaped."""
    title = f"{decision.model}: {decision.from_version} to {decision.to_version}"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f"<p><strong>{VERDICTS[decision.decision]}</strong>: {escape(decision.why)}.</p>",
        f"<p>{decision.sentinels} sentinels were put to both. {_tried(decision)}</p>",
        "<table><tr><th>Rule</th><th>Outcome</th><th>What was found</th></tr>",
        *(_row(one) for one in decision.rules),
        "</table>",
        *(_plot(one) for one in decision.rules if one.name in PLOTTED and one.numbers),
        "<h2>All numbers</h2><table><tr><th>Rule</th><th>Number</th><th>Value</th></tr>",
        *(_number(one.name, name, value) for one in decision.rules for name, value in one.numbers.items()),
        "</table><h2>Limits</h2><table><tr><th>Setting</th><th>Value</th></tr>",
        *(
            f'<tr><td>{escape(name)}</td><td class="number">{value:g}</td></tr>'
            for name, value in decision.settings.model_dump().items()
        ),
        "</table></body></html>\n",
    ]
    return "\n".join(parts)


def _row(one: RuleOutcome) -> str:
    word, colour = MARKS[one.passed]
    return f'<tr><td>{escape(one.name)}</td><td style="color:{colour}">{word}</td><td>{escape(one.sentence)}</td></tr>'


def _number(rule: str, name: str, value: float) -> str:
    return f'<tr><td>{escape(rule)}</td><td>{escape(name)}</td><td class="number">{value:.4g}</td></tr>'


def _tried(decision: GateDecision) -> str:
    if decision.questions is None:
        return "The candidate was not tried on real questions."
    return f"So were {decision.questions} real questions, whose truth nobody may know."


def _plot(outcome: RuleOutcome) -> str:
    """Change of each stratum with its interval, as SVG."""
    groups = [name.removesuffix(": change low") for name in outcome.numbers if name.endswith(": change low")]
    with mpl.rc_context({"svg.hashsalt": outcome.name, "svg.fonttype": "none", "text.parse_math": False}):
        figure = Figure(figsize=(7, 0.9 + 0.35 * len(groups)), layout="constrained")
        _draw(figure, outcome, groups)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


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
