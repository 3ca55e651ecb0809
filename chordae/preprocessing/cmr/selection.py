"""Which slices of which sequences become tiles, and in what order: by the question, the same every time.

The reference's order is the one without a question: tissue first, then long-axis and right-ventricular cines, flow,
then the short-axis cine, of which at least four levels are kept free for whatever else there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chordae.preprocessing.cmr import geometry
from chordae.preprocessing.cmr.dialects import Sequence as Label
from chordae.preprocessing.cmr.dialects import fold
from chordae.preprocessing.cmr.router import Routed
from chordae.preprocessing.cmr.series import Picture

TILES = 16
SHORT_AXIS_LEVELS = 4
SAME_SLICE_MM = 2.0
"""Two slices nearer than this show the same; repeats of a breath-hold are."""


@dataclass(frozen=True)
class Tile:
    """A slice to show: what it is, its number from base to apex among `of` parallel ones, and its phases in time."""

    routed: Routed
    number: int
    of: int
    phases: tuple[Picture, ...]


Line = list[Tile]
"""Parallel slices of one kind, base to apex."""

CINE, LGE, T1, T2 = "cine", "late enhancement", "T1", "T2"
LONG_AXIS, FLOW, PERFUSION, OTHER = "long-axis cine", "flow", "perfusion", "other"

_REFERENCE = ((LGE, 3), (T2, 2), (T1, 1), (LONG_AXIS, 4), (FLOW, 1), (PERFUSION, 1), (CINE, TILES), (OTHER, 2))
_FOCI = {
    "scar": ((LGE, 6), (T2, 1), (T1, 1), (PERFUSION, 1), (LONG_AXIS, 3), (CINE, TILES), (FLOW, 1), (OTHER, 2)),
    "function": ((CINE, 8), (LONG_AXIS, 4), (LGE, 2), (T2, 1), (T1, 1), (FLOW, 1), (PERFUSION, 1), (OTHER, 2)),
    "oedema": ((T2, 4), (T1, 2), (LGE, 3), (LONG_AXIS, 3), (CINE, TILES), (FLOW, 1), (PERFUSION, 1), (OTHER, 2)),
    "ischaemia": ((PERFUSION, 6), (LGE, 3), (LONG_AXIS, 3), (CINE, TILES), (T2, 1), (T1, 1), (FLOW, 1), (OTHER, 2)),
    "flow": ((FLOW, 4), (LONG_AXIS, 4), (CINE, TILES), (LGE, 2), (T2, 1), (T1, 1), (PERFUSION, 1), (OTHER, 2)),
}
"""What comes first, and at most how much of it, for what a question is about."""

_WORDS = {
    "scar": r"scar|fibros|viab|infarct|\blge\b|late gad|enhanc|amyloid",
    "function": r"function|volume|wall motion|ejection|\bl?r?v?ef\b|contract|kinesi|strain|dyssync|stroke",
    "oedema": r"edema|inflam|myocarditis|\bt2\b",
    "ischaemia": r"ischaem|ischem|perfus|stress|coronary",
    "flow": r"valv|flow|regurg|stenos|shunt|\bqp",
}


def focus(question: str) -> str:
    """What a question is about; the topic it names first. Empty where it names none."""
    folded = fold(question)
    found = {topic: match.start() for topic, words in _WORDS.items() if (match := re.search(words, folded))}
    return min(found, key=found.__getitem__) if found else ""


def plan(routed: Sequence[Routed], topic: str) -> list[Tile]:
    """Up to 16 tiles in the order in which they are shown."""
    wanted = _FOCI.get(topic, _REFERENCE)
    groups = {name: lines for name, lines in _groups(routed).items() if lines}
    sizes = {name: sum(map(len, lines)) for name, lines in groups.items()}
    kept = min(SHORT_AXIS_LEVELS, sizes.get(CINE, 0))
    taken: dict[str, int] = {CINE: kept}
    free = TILES - kept
    for name, most in wanted:
        already = taken.get(name, 0)
        more = max(0, min(most, sizes.get(name, 0)) - already)
        taken[name] = already + min(more, free)
        free -= min(more, free)
    for name, _ in ((CINE, 0), *wanted):  # what is left over goes to more of the same
        more = min(sizes.get(name, 0) - taken.get(name, 0), free)
        taken[name] = taken.get(name, 0) + more
        free -= more
    return [tile for name, _ in wanted if name in groups for tile in _pick(groups[name], taken[name], name == LGE)]


def _pick(lines: list[Line], count: int, fill: bool) -> list[Tile]:
    """So many tiles of these lines: line after line to the full (`fill`), or in turn one of each; spread evenly."""
    counts = [0] * len(lines)
    while sum(counts) < count:
        before = sum(counts)
        for index, line in enumerate(lines):
            room = len(line) - counts[index]
            counts[index] += min(room, count - sum(counts), room if fill else 1)
        if sum(counts) == before:
            break
    return [tile for line, many in zip(lines, counts, strict=True) for tile in spread(line, many)]


def spread(line: Line, count: int) -> Line:
    """`count` of the slices, evenly from base to apex: of ten, three are the 2nd, 6th and 9th."""
    return [line[(2 * index + 1) * len(line) // (2 * count)] for index in range(count)]


_VIEW_ORDER = ("short axis", "4-chamber", "2-chamber", "3-chamber", "long axis", "RVOT", "RV long axis")


def _groups(routed: Sequence[Routed]) -> dict[str, list[Line]]:
    def lines(*labels: Label, of: Callable[[Routed], bool] = lambda one: True) -> list[Line]:
        return [line for label in labels for line in _lines(one for one in routed if one.label is label and of(one))]

    enhanced = lines(Label.PSIR) or lines(Label.LGE)
    seen = {line[0].routed.view for line in enhanced}
    enhanced += [line for line in lines(Label.LGE) if line[0].routed.view not in seen]
    cines = lines(Label.CINE)
    across = [line for line in cines if _view(line) == "short axis"]
    along = [line for line in cines if _view(line) in _VIEW_ORDER[1:]]
    # neither a name nor geometry tells short from long axis: shown after everything else
    rest = [line for line in cines if line not in across and line not in along]
    flow = lines(Label.PHASE_CONTRAST, of=lambda one: one.stack.component == "phase")
    return {
        LGE: sorted(enhanced, key=lambda line: _rank(_view(line))),
        T2: [*lines(Label.T2_MAP), *lines(Label.T2W)],
        T1: lines(Label.T1_MAP, Label.ECV_MAP),
        LONG_AXIS: along,
        FLOW: flow or lines(Label.PHASE_CONTRAST),
        PERFUSION: lines(Label.PERFUSION_STRESS, Label.PERFUSION_REST, Label.PERFUSION),
        CINE: [max(across, key=_fullest)] if across else [],
        OTHER: [*rest, *lines(Label.T2_STAR, Label.T1W)],
    }


def _view(line: Line) -> str:
    return line[0].routed.view


def _rank(view: str) -> int:
    return _VIEW_ORDER.index(view) if view in _VIEW_ORDER else len(_VIEW_ORDER)


def _fullest(line: Line) -> tuple[int, int, int]:
    """Most slices, then most phases, then the latest: a repeat is made because the first was no good."""
    return len(line), min(len(tile.phases) for tile in line), max(tile.routed.stack.number or 0 for tile in line)


def _lines(routed: Iterable[Routed]) -> list[Line]:
    """Parallel slices of one view, of whatever series, from base to apex; of repeats the fullest and latest."""
    sets: list[list[Routed]] = []
    for one in routed:
        home = next((known for known in sets if _belongs(one, known[0])), None)
        if home is None:
            sets.append([one])
        else:
            home.append(one)
    found = [_levels(members) for members in sets]
    return sorted(found, key=lambda line: (_rank(_view(line)), -len(line)))


def _belongs(one: Routed, other: Routed) -> bool:
    mine, theirs = one.stack.across, other.stack.across
    if one.view != other.view or one.stack.component != other.stack.component:
        return False
    if mine is None or theirs is None:
        return one.stack is other.stack
    return geometry.degrees_between(mine, theirs) <= geometry.PARALLEL_DEGREES


def _levels(members: list[Routed]) -> Line:
    across = members[0].stack.across
    slices: list[tuple[float, Routed, tuple[Picture, ...]]] = []
    for one in members:
        for index, phases in enumerate(one.stack.slices):
            place = phases[0].position
            depth = one.stack.depth(index) if across is None or place is None else geometry.dot(place, across)
            slices.append((depth, one, phases))
    slices.sort(key=lambda known: (known[0], known[1].stack.number or 0))
    best: list[tuple[float, Routed, tuple[Picture, ...]]] = []
    for found in slices:
        if best and across is not None and found[0] - best[-1][0] < SAME_SLICE_MM:
            if (len(found[2]), found[1].stack.number or 0) > (len(best[-1][2]), best[-1][1].stack.number or 0):
                best[-1] = (best[-1][0], *found[1:])
        else:
            best.append(found)
    return [Tile(one, number, len(best), phases) for number, (_, one, phases) in enumerate(best, 1)]
