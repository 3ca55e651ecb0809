"""All that the loop did, as one HTML page made from the ledger alone. It shows counts and shares, never a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from chordae.learning.html_page import Html, heading, paragraph, table, whole_page
from chordae.learning.loop.history import History
from chordae.learning.loop.report_model import moment, sections_of
from chordae.learning.loop.report_plots import by_day

DEMONSTRATOR = (
    "Nano models are demonstrators, trained on simulated patients. What they learned, and every number here that is of"
    " one, says nothing of patients and is not for clinical use."
)
FROM = (
    "Made from the ledger alone: counts and shares, without a record, a patient or who gave a label. Moments are those"
    " of the ledger, in UTC."
)
ELSEWHERE = "no record"
"""What a label is filed under that is about a study or a diagnosis; no site can have this name."""


def report_page(history: History, remark: str = "") -> str:
    """The whole page, what is not the project's own text escaped; `remark` is said before all numbers."""
    parts = [paragraph(DEMONSTRATOR), paragraph(FROM), *([paragraph(remark)] if remark else [])]
    return whole_page("What learning did", [*parts, *_parts(history)])


def _parts(history: History) -> Iterator[Html]:
    if not (history.arrivals or history.labels or history.models):
        yield paragraph("Nothing has happened: the ledger has no record, no round, no decision and no label.")
        return
    yield paragraph(_period(history))
    yield from _records(history)
    yield from _labels(history)
    for found in history.models:
        yield from sections_of(found)
    if not history.models:
        yield paragraph("No round of learning has begun, and nothing was decided.")


def _period(history: History) -> str:
    """From when to when anything is told of."""
    at: list[datetime] = [one.came_at for one in history.arrivals] + [one.given_at for one in history.labels]
    for found in history.models:
        at += [some for one in found.rounds for some in (one.begun_at, one.changed_at)]
        at += [one.decided_at for one in found.decisions] + [one.begun_at for one in found.promotions]
    return f"From {moment(min(at))} to {moment(max(at))}."


def _records(history: History) -> Iterator[Html]:
    yield heading(2, "Records that came in")
    if not history.arrivals:
        yield paragraph("None.")
        return
    came = {site: [one.came_at for one in history.arrivals if one.site == site] for site in _sites(history)}
    said = Counter(one.site for one in history.labels if one.latest and one.site is not None)
    yield by_day("records", came, "records that came in, by day")
    yield table(
        ("Site", "Records", "First", "Last", "Labelled by clinicians"),
        [(site, len(at), moment(at[0]), moment(at[-1]), said[site]) for site, at in came.items()],
    )


def _labels(history: History) -> Iterator[Html]:
    yield heading(2, "Labels by clinicians")
    if not history.labels:
        yield paragraph("None was given.")
        return
    replaced = sum(not one.latest for one in history.labels)
    yield paragraph(
        f"{len(history.labels)} labels, of which {replaced} were replaced by a later one; the last word counts. A"
        " record that has one is a sentinel from then on."
    )
    groups: dict[str, list[datetime]] = {}
    for one in history.labels:
        groups.setdefault(one.site or ELSEWHERE, []).append(one.given_at)
    yield by_day("labels", dict(sorted(groups.items())), "labels by clinicians, by day and the record's site")
    counts = Counter((one.site or ELSEWHERE, one.category) for one in history.labels if one.latest)
    yield table(("Site", "Category", "Labels that count"), [(*key, count) for key, count in sorted(counts.items())])


def _sites(history: History) -> list[str]:
    return sorted({one.site for one in history.arrivals})
