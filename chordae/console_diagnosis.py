"""How a diagnosis looks in a terminal: category, chain with its checks, probabilities, what is odd about the record.

Of many, one line each. A record goes by its place in its file; whose it is, is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from chordae.console import DEMONSTRATOR, out
from chordae.console_facts import show_facts
from chordae.platform.diagnosis.category import category_name
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.wording import wording

BAR = 20
"""Characters of a probability of 1."""


def show_diagnosis(diagnosis: Diagnosis, where: str = "") -> None:
    """Everything a person needs to follow one diagnosis, or to doubt it."""
    if where:
        out.print()
        out.rule(f"[bold]{escape(where)}[/bold]", align="left", style="dim")
    show_facts(facts(diagnosis))
    if "nano" in diagnosis.weights.name:
        out.print(f"\n{DEMONSTRATOR}", style="yellow")


def facts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The same as labels and what belongs to them (markup)."""
    rows = [("Category", _category(diagnosis))]
    rows += _steps(diagnosis)
    rows += [("Flagged", f"[red]{escape(why)}[/red]") for why in diagnosis.why]
    rows += [("Record", f"[yellow]{escape(one.text)}[/yellow]") for one in diagnosis.problems]
    if diagnosis.probabilities:
        fitted = f"temperature {diagnosis.temperature:.2f}, fitted for these weights"
        rows.append(("Probabilities", fitted if diagnosis.calibrated else "not calibrated for these weights"))
    for category, share in sorted(diagnosis.probabilities.items(), key=lambda one: -one[1]):
        name = category_name(category, diagnosis.language)
        rows.append(("", f"{share:6.3f}  [dim]{'█' * round(BAR * share):{BAR}}[/dim]  {escape(name)}"))
    weights = diagnosis.weights
    rows.append(("Weights", f"{escape(weights.name)} version {escape(weights.version)}, sha256 {weights.digest}"))
    return rows


def show_many(found: Sequence[tuple[str, Diagnosis]]) -> None:
    """A line a record, and how many are flagged."""
    table = Table("record", "category", "probability", "flagged", "of the record")
    for where, one in found:
        probability = "" if one.probability is None else f"{one.probability:.3f}"
        said = " ".join(problem.text for problem in one.problems if problem.kind != "missing")
        table.add_row(
            escape(where), one.category or "none", probability, escape(one.why[0] if one.why else ""), escape(said)
        )
    out.print(table)
    flagged = sum(one.flagged for _, one in found)
    out.print(f"{len(found)} records, {flagged} flagged: do not rely on those")
    if any("nano" in one.weights.name for _, one in found):
        out.print(DEMONSTRATOR, style="yellow")


def _category(diagnosis: Diagnosis) -> str:
    if diagnosis.category is None:
        return f"[red]none: {escape(diagnosis.reason)}[/red]"
    said = f"{diagnosis.category}, probability {diagnosis.probability or 0:.3f}"
    return f"[red]{said}: FLAGGED, do not rely on it[/red]" if diagnosis.flagged else f"[bold]{said}[/bold]"


def _steps(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The chain's steps, every citation marked by whether the record says so."""
    if diagnosis.chain is None or diagnosis.check is None:
        return []
    titles = dict(zip(("parameters", "findings", "opinion"), wording(diagnosis.language).steps, strict=True))
    rows = []
    for step in ("parameters", "findings"):
        cited = [one for one in diagnosis.check.citations if one.step == step]
        lines = [
            f"[green]✓[/green] {escape(one.cited)}"
            if one.problem is None
            else f"[red]✗ {escape(one.cited)}[/red]\n  [red]{escape(one.problem)}[/red]"
            for one in cited
        ]
        rows.append((titles[step], "\n".join(lines) or "nothing cited"))
    failed = [one.problem for one in diagnosis.check.citations if one.step == "opinion" and one.problem]
    mark = "[red]✗[/red]" if failed else "[green]✓[/green]"
    opinion = diagnosis.chain.opinion.text
    rows.append((titles["opinion"], f"{mark} {escape(opinion)}" if opinion else "no opinion"))
    return rows
