"""The LV ejection fraction that a text states, in numbers or as a grade of LV function.

Grades: Lang et al., Eur Heart J Cardiovasc Imaging 2015;16:233, over both sexes. A bare "EF" is the left ventricle's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from chordae.deployments.clinical_text import Clause, is_open, quoted, whole_words

Interval = tuple[float, float]

EF_GRADES: dict[str, Interval] = {
    "severe": (0, 30),
    "moderate": (30, 41),
    "mild": (41, 54),
    "reduced": (0, 54),
    "normal": (52, 100),
}
"""Percent."""
SEXES_DIFFER = 3.0
"""By so much a number may leave its grade, percentage points: the sexes' limits differ by two, and readers round."""

_LV = r"(?:LV|left ventricular|biventricular)"
_IS, _LOW = r"(?:is|was|appears|remains)", r"(?:reduced|impaired|depressed|decreased)"
_GRADE = r"(?:mild|moderate|severe)(?:ly)?(?:(?: to |-)(?:moderate|severe)(?:ly)?)?"
_FUNCTION = r"(?:(?:systolic |global )*function|(?:systolic )?ejection fraction|EF)"
_EF = r"(?:ejection fraction|\bEF|\bLVEF)\b"
_EF_NUMBER = re.compile(
    r"\b(?P<chamber>[LR]V ?)?(?:EF|ejection fraction)\b"
    r"(?:[\s:=~(),]|(?:LVEF|RVEF|is|was|of|at|to be|approximately|approx\b\.?|about|around|estimated|measured|"
    r"calculated|visually|by|Simpson(?:'s)?|biplane|normal|preserved|mildly|moderately|severely|reduced|impaired|low)\b)*"
    r"(?P<bound>[<>≤≥]|less than|below|under|greater than|more than|above|over|at least)?\s*"
    r"(?P<low>\d{1,2}(?:\.\d+)?)\s*%?\s*(?:(?:-|–|to)\s*(?P<high>\d{1,2}(?:\.\d+)?)\s*)?(?:%|percent|per cent)",  # noqa: RUF001
    re.IGNORECASE,
)
_BELOW = ("<", "≤", "less than", "below", "under")
_CHAMBER = re.compile(r"\b(?:(?P<right>RV|right ventric)|LV|left ventric)", re.IGNORECASE)
_EF_LOW = whole_words(
    rf"(?:(?P<before>{_GRADE}) )?{_LOW} (?:{_LV} {_FUNCTION}|{_EF})|"
    rf"(?:{_LV} {_FUNCTION}|{_EF}) (?:{_IS} )?(?:(?P<behind>{_GRADE}) )?{_LOW}|"
    rf"(?P<noun>{_GRADE}) {_LV} (?:systolic )?dysfunction"
)
_EF_NORMAL = whole_words(
    rf"(?:normal|preserved) (?:{_LV} {_FUNCTION}|{_EF})|(?:{_LV} {_FUNCTION}|{_EF}) (?:{_IS} )?(?:normal|preserved)"
)


def read_ejection_fraction(lines: Iterable[str], read: Iterable[Clause]) -> tuple[Interval, str] | None:
    """Lowest and highest EF that the words allow, percent, and the statement that says so; none: nothing is said.

    A number goes before its grade, unless it does not fit: then both count, and so does what lies between.
    """
    numbers = [told for line in lines for told in _numbers(line)]
    grades = list(_grades(read))
    value, grade = _hull(one for one, _ in numbers), _hull(one for one, _ in grades)
    if value and grade and not (grade[0] - SEXES_DIFFER <= value[0] and value[1] <= grade[1] + SEXES_DIFFER):
        value = _hull([value, grade])
    interval = value or grade
    return (interval, (numbers or grades)[0][1]) if interval else None


def of_right_ventricle(line: str, position: int) -> bool:
    """Whether the chamber that is named last before `position` is the right ventricle."""
    named = list(_CHAMBER.finditer(line, 0, position))
    return bool(named) and named[-1]["right"] is not None


def _numbers(line: str) -> Iterator[tuple[Interval, str]]:
    for match in _EF_NUMBER.finditer(line):
        own, start = (match["chamber"] or "").strip().upper(), match.start()
        if own == "RV" or "RVEF" in match.group().upper() or (not own and of_right_ventricle(line, start)):
            continue
        if is_open(line[line.rfind(",", 0, start) + 1 : match.end()]):
            continue
        low, bound = float(match["low"]), (match["bound"] or "").lower()
        interval = (low, float(match["high"] or low))
        if bound:
            interval = (0.0, low) if bound in _BELOW else (low, 100.0)
        yield interval, quoted(line, match)


def _grades(read: Iterable[Clause]) -> Iterator[tuple[Interval, str]]:
    for clause in read:
        for pattern in (_EF_LOW, _EF_NORMAL):
            for match, stated in clause.says(pattern):
                if stated and not of_right_ventricle(clause.text, match.start()):
                    yield _grade(match), clause.quote


def _grade(match: re.Match[str]) -> Interval:
    """Of "mildly to moderately reduced", both grades."""
    if match.re is _EF_NORMAL:
        return EF_GRADES["normal"]
    words = (match["before"] or match["behind"] or match["noun"] or "reduced").lower()
    named = [interval for name, interval in EF_GRADES.items() if name in words]
    return min(low for low, _ in named), max(high for _, high in named)


def _hull(intervals: Iterable[Interval]) -> Interval | None:
    every = list(intervals)
    return (min(low for low, _ in every), max(high for _, high in every)) if every else None
