"""The report's drawings: what came in by day, rounds and promotions over time, labels, and sentinels by round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chordae.learning.html_page import Html, drawing
from chordae.learning.loop.history import Compared, Interval, ModelHistory, training_of

BLUE, ORANGE, GREY = "#1f4e8c", "#c05a10", "#a8a8a8"
KINDS = {"candidate": ("nominated", "d"), "promote": ("promoted", "^"), "rollback": ("rolled back", "v")}
"""Of promotions: what they are called, and their marker."""
WIDTH, TICKS = 7.5, 6


def by_day(name: str, moments: Mapping[str, Sequence[datetime]], what: str) -> Html:
    """How many on each day (UTC) in each group, a row a group; there is at least one."""
    days = {group: Counter(one.astimezone(UTC).date() for one in some) for group, some in moments.items()}
    every = [day for some in days.values() for day in some]
    first, span = min(every), (max(every) - min(every)).days + 1
    ticks = range(0, span, -(-span // TICKS))
    most = max(count for some in days.values() for count in some.values())

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(days), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (group, counts) in zip(rows, days.items(), strict=True):
            axes.bar([(day - first).days for day in counts], list(counts.values()), width=0.8, color=BLUE)
            axes.set_ylim(0, most * 1.1)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_ylabel(group, rotation=0, ha="right", va="center")
        rows[-1].set_xlim(-0.6, span - 0.4)
        rows[-1].set_xticks(ticks, [str(first + timedelta(days=one)) for one in ticks])
        rows[-1].set_xlabel(what)

    return drawing(name, (WIDTH, 0.9 + 0.7 * len(days)), draw)


def timeline(name: str, found: ModelHistory) -> Html:
    """A row a round from its beginning to its last change, hollow while it is open, then a row a kind of promotion;
    there is something."""
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in found.promotions)]
    names = [f"round {one.id}" for one in found.rounds] + [KINDS[kind][0] for kind in kinds]
    moments = [at for one in found.rounds for at in (one.begun_at, one.changed_at)]
    moments += [one.begun_at for one in found.promotions]
    spare = max(timedelta(minutes=10), (max(moments) - min(moments)) * 0.04)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, one in enumerate(found.rounds):
            inside = BLUE if one.stage == "ended" else "white"
            span = [date2num(one.begun_at), date2num(one.changed_at)]
            axes.plot(span, [place, place], "o-", color=BLUE, linewidth=3, markersize=5, markerfacecolor=inside)
        for place, kind in enumerate(kinds, start=len(found.rounds)):
            for moved in (one for one in found.promotions if one.kind == kind):
                axes.plot(date2num(moved.begun_at), place, KINDS[kind][1], color=ORANGE)
                axes.annotate(moved.to_version, (date2num(moved.begun_at), place), (5, 3), textcoords="offset points")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        _dates(axes, date2num(min(moments) - spare), date2num(max(moments) + spare))

    return drawing(name, (WIDTH, 0.9 + 0.33 * len(names)), draw)


def labelled_by_round(name: str, found: ModelHistory) -> Html:
    """Of each round's records, how many got a pseudo-label; an outline alone is a round of which that is not known."""
    used = {one.id: sum(found.used.get(one.id, {}).values()) for one in found.rounds}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, one in enumerate(found.rounds):
            figures = training_of(one)
            if "labelled" in figures and "records" in figures:
                sure, count = figures["labelled"], figures["records"]
                axes.barh(place, sure, color=BLUE)
                axes.barh(place, count - sure, left=sure, color=GREY)
            else:
                axes.barh(place, used[one.id], fill=False, edgecolor=GREY, linestyle="--")
        axes.set_yticks(range(len(found.rounds)), [f"round {one.id}" for one in found.rounds])
        axes.invert_yaxis()
        axes.set_xlabel("records: blue labelled, grey without a label, dashed not known")

    return drawing(name, (WIDTH, 0.9 + 0.33 * len(found.rounds)), draw)


def sentinels_by_round(name: str, told: Mapping[int, Sequence[Compared]]) -> Html:
    """Accuracy of champion and candidate in each round, with 95 % intervals, a row for all and for each site."""
    groups = list(dict.fromkeys(one.group for some in told.values() for one in some))

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, group in zip(rows, groups, strict=True):
            here = [(at, one) for at, some in enumerate(told.values()) for one in some if one.group == group]
            for place, one in here:
                _point(axes, place - 0.1, one.champion, one.champion_interval, GREY, "s")
                _point(axes, place + 0.1, one.candidate, one.candidate_interval, BLUE, "o")
            axes.set_ylim(-0.03, 1.03)
            axes.set_ylabel(group, rotation=0, ha="right", va="center")
            axes.grid(axis="y", linewidth=0.4)
        rows[-1].set_xticks(range(len(told)), [f"round {number}" for number in told])
        rows[-1].set_xlim(-0.6, len(told) - 0.4)
        rows[-1].set_xlabel("share right: grey champion, blue candidate, 95 % intervals")

    return drawing(name, (WIDTH, 0.9 + 1.1 * len(groups)), draw)


def _point(axes: Any, place: float, value: float, interval: Interval, colour: str, marker: str) -> None:
    axes.plot([place, place], interval, color=colour, linewidth=2)
    axes.plot(place, value, marker, color=colour)


def _dates(axes: Any, low: float, high: float) -> None:
    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.set_xlim(low, high)
