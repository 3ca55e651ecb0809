"""Labels and what belongs to them, beside each other: how every answer is laid out in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from chordae.console import out

LABEL = 15
"""Width of the column of labels, for all parts alike: `Without picture` fits."""


def show_facts(rows: Iterable[tuple[str, str]], width: int = LABEL) -> None:
    """Labels and what belongs to them (markup), folded at the terminal's width."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True, min_width=width)
    facts.add_column(overflow="fold")
    for label, text in rows:
        facts.add_row(label, text)
    out.print(facts)
