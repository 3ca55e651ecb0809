"""A report as one HTML page that needs nothing else: its frame, tables, and drawings as SVG within.

Whatever is put in is escaped here; what is HTML already says so by being `Html`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
td.number{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}"""
NUMBERED = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
"""Matplotlib's names of groups: the same in every drawing, and nothing refers to them."""


class Html(str):
    """Text that is HTML already."""


Cell = str | float | None


def whole_page(title: str, parts: Iterable[Html]) -> str:
    """The page: title, then the parts."""
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    style = f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
    return "\n".join([head, style, *parts, "</body></html>\n"])


def heading(level: int, text: str) -> Html:
    """A heading of that level, 2 or more."""
    return Html(f"<h{level}>{escape(text)}</h{level}>")


def paragraph(text: str) -> Html:
    """A paragraph; `Html` stays as it is."""
    return Html(f"<p>{_cell_text(text)}</p>")


def coloured(text: str, colour: str) -> Html:
    """A word in a colour, which never says anything that the word does not."""
    return Html(f'<span style="color:{colour}">{escape(text)}</span>')


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Html:
    """A table; numbers to four digits, whole ones in full, None as an empty cell."""
    lines = ["<table><tr>" + "".join(f"<th>{escape(one)}</th>" for one in head) + "</tr>"]
    lines += ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    return Html("\n".join([*lines, "</table>"]))


def drawing(name: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> Html:
    """What `draw` puts on a figure of that size, in inches. `name` (unlike any other's on the page) decides its ids, so
    that the same drawing is the same text."""
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "text.parse_math": False}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return Html(NUMBERED.sub("", drawn.getvalue()[drawn.getvalue().index("<svg") :]))


def _cell(value: Cell) -> str:
    if isinstance(value, int | float):
        return f'<td class="number">{value if isinstance(value, int) else f"{value:.4g}"}</td>'
    return f"<td>{'' if value is None else _cell_text(value)}</td>"


def _cell_text(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)
