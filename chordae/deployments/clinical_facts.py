"""The few facts of an expert's answer that other modalities also speak of, each with the words that state it.

What is not clearly said is no fact, and where an answer says two things about the same matter, its fact covers both
(grades, territories) or there is none (yes and no). Limits: ESC/EACVI chamber quantification (Lang et al., Eur Heart J
Cardiovasc Imaging 2015;16:233), over both sexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from chordae.deployments.clinical_text import Clause, clauses, quoted, statements, whole_words
from chordae.deployments.ejection_fraction import Interval, of_right_ventricle, read_ejection_fraction

Value = TypeVar("Value")
Told = tuple[bool, str]

THIN_MM, THICK_MM = 9.0, 13.0
"""Normal in either sex up to the first, thick in either from the second."""
EFFUSIONS = {"small": 1, "mild": 1, "moderate": 2, "large": 3, "severe": 3, "massive": 3}
NO_DISEASE = "normal"
CARDIOMYOPATHIES = frozenset({"dilated", "hypertrophic", "infiltrative", "non-compaction"})


@dataclass(frozen=True)
class Fact(Generic[Value]):
    """What an answer says of one matter, and the first statement that says so, word for word."""

    value: Value
    quote: str


@dataclass(frozen=True)
class Facts:
    """None, or an empty dictionary: not clearly said."""

    ef: Fact[Interval] | None
    """LV ejection fraction, lowest and highest that the words allow, percent."""
    fibrillation: Fact[bool] | None
    """False: sinus or a regular rhythm is stated, or fibrillation denied."""
    lvh: Fact[bool] | None
    """LV hypertrophy by that name: on an ECG, by voltage."""
    thick: Fact[bool] | None
    """Thick walls: hypertrophy by name, a hypertrophic heart, or the thickness itself."""
    hypertrophic: Fact[bool] | None
    low_voltage: Fact[bool] | None
    effusion: Fact[frozenset[int]] | None
    """Pericardial; 0 none to 3 large: the grades that the words allow."""
    rv_reduced: Fact[bool] | None
    rv_dilated: Fact[bool] | None
    wall_motion: Fact[frozenset[str]] | None
    """Territories, `global`, `somewhere`; or `none` alone, or `not regional` alone."""
    scar: Fact[frozenset[str]] | None
    """Territories with ischaemic late enhancement."""
    diseases: dict[str, str]
    """Diagnoses stated, with their words; `normal`: of the whole heart."""
    denied: dict[str, str]
    """Diagnoses denied, with their words."""


_IS, _LOW = r"(?:is|was|appears|remains)", r"(?:reduced|impaired|depressed|decreased)"
_RV = r"(?:RV|right ventricular|biventricular)"
_AF = whole_words(r"atrial fibrillation|AF|A-?fib")
_REGULAR = whole_words(
    r"sinus (?:rhythm|bradycardia|tachycardia)|NSR|regular (?:heart )?(?:rhythm|beat)|rhythm is regular"
)
_LVH = whole_words(r"(?:left ventricular|LV) hypertrophy|LVH")
_VH = whole_words(r"(?<!right )(?<!left )ventricular hypertrophy")
_HYPERTROPHIC = whole_words(r"hypertrophic (?:obstructive )?(?:cardiomyopathy|heart disease)|HO?CM")
_THICK = whole_words(
    r"(?:concentric|asymmetric|septal|lateral|apical) wall thickening|(?:increased|raised) (?:LV )?wall thickness|"
    r"thick(?:ened)? (?:LV )?walls"
)
_NOT_THICK = whole_words(
    r"normal (?:LV )?wall thickness|(?:LV )?wall thickness is normal|(?:LV )?walls of normal thickness"
)
_THICKENING = whole_words(r"(?:LV )?wall thickening")
_MILLIMETRES = re.compile(
    r"\b(?:wall|septal|septum) thickness:? (?:is |was |of |up to |measures |at )*(\d{1,2}(?:\.\d+)?) ?mm\b",
    re.IGNORECASE,
)
_LOW_VOLTAGE = whole_words(r"low (?:QRS )?voltages?|low-voltage pattern")
_EFFUSION = whole_words(
    rf"(?:(?P<low>trace|trivial|minimal|physiological|{'|'.join(EFFUSIONS)})(?: to (?P<high>moderate|large))? )?"
    rf"(?:circumferential )?pericardial effusions?(?: is (?P<after>{'|'.join(EFFUSIONS)}))?"
)
_RV_LOW = whole_words(
    rf"{_LOW} {_RV} (?:systolic )?function|{_RV} (?:systolic )?function (?:{_IS} )?(?:\w+ly )?{_LOW}|"
    rf"{_RV} (?:systolic )?dysfunction|right ventricle with reduced function"
)
_RV_NORMAL = whole_words(
    rf"(?:normal|preserved) {_RV} (?:size and )?(?:systolic )?function|"
    rf"{_RV} (?:systolic )?function (?:{_IS} )?(?:normal|preserved)"
)
_RV_FINE = whole_words(
    r"normal (?:right ventricle|RV)(?! (?:size|dimension|volume|wall|cavity|pressure|diameter|systolic|function|EF))|"
    r"(?:right ventricle|RV) is normal(?! (?:in|sized))"
)
_RV_WIDE = whole_words(r"(?:dilat(?:ed|at?ion)|enlarge[dm]\w*)")
_RV_SIZE = whole_words(rf"normal {_RV} size|normal-sized (?:right ventricle|RV)")
_OTHER_CHAMBER = re.compile(r"\b(?:LV|left|atri\w+|LA|RA|biventricular|aort\w+)\b", re.IGNORECASE)
_KINESIS = whole_words(r"wall[- ]motion abnormalit(?:y|ies)|WMA|(?:hypo|a|dys)kine(?:sis|sia|tic)")
_MOTION_FINE = whole_words(r"normal (?:LV )?wall motion|wall motion is normal")
_REGIONAL = re.compile(r"\b(?:regional|segmental|focal|local)\b", re.IGNORECASE)
_SCAR = whole_words(r"enhancement|LGE|scar|infarct(?:ion)?")
_ISCHAEMIC = re.compile(r"(?<!non-)(?<!non )\b(?:ischa?emic|transmural|subendocardial|infarct\w*)\b", re.IGNORECASE)
_DIFFUSE = re.compile(r"\b(?:diffuse(?:ly)?|global(?:ly)?|circumferential)\b", re.IGNORECASE)
_ALL = frozenset({"anterior", "inferior", "lateral"})
_TERRITORIES: dict[str, frozenset[str]] = {
    **{name: frozenset({name}) for name in _ALL},
    "anteroseptal": frozenset({"anterior"}),
    "anterolateral": frozenset({"anterior", "lateral"}),
    "inferolateral": frozenset({"inferior", "lateral"}),
    "inferoseptal": frozenset({"inferior"}),
    "posterior": frozenset({"inferior", "lateral"}),
    "septal": frozenset({"anterior", "inferior"}),
    "septum": frozenset({"anterior", "inferior"}),
    "apical": _ALL,
    "apex": _ALL,
}
"""Arteries' territories (Cerqueira et al., Circulation 2002;105:539); a wall that two share counts as both."""
_DISEASES: dict[str, re.Pattern[str]] = {
    "hypertrophic": _HYPERTROPHIC,
    "dilated": whole_words(r"dilated (?:cardiomyopathy|heart disease)|DCM"),
    "infiltrative": whole_words(
        r"infiltrative cardiomyopathy|(?:cardiac |AL |ATTR )?amyloid(?:osis)?|amyloid cardiomyopathy"
    ),
    "non-compaction": whole_words(r"(?:LV )?non-?compaction(?: cardiomyopathy)?|LVNC"),
    "infarction": whole_words(r"myocardial infarction"),
    "right-ventricular": whole_words(r"right ventricular abnormality"),
    "myocarditis": whole_words(r"myocarditis"),
    NO_DISEASE: whole_words(r"(?:structurally )?normal heart"),
}
_NO_CARDIOMYOPATHY = whole_words(r"(?<!hypertrophic )(?<!dilated )(?<!infiltrative )(?<!compaction )cardiomyopathy")


def read_facts(text: str) -> Facts:
    """What an answer clearly says; of any text."""
    lines = statements(text)
    read = [clause for line in lines for clause in clauses(line)]
    rv = [clause for clause in read if re.search(r"\b(?:RV|right ventric)", clause.text, re.IGNORECASE)]
    rv_alone = [clause for clause in rv if not _OTHER_CHAMBER.search(clause.text)]
    stated, denied = _diseases(read)
    ef = read_ejection_fraction(lines, read)
    thick = [*_bools(read, _LVH), *_bools(read, _HYPERTROPHIC, deny=None), *_bools(read, _VH, state=None)]
    thick += [*_bools(read, _THICK, deny=None), *_bools(read, _NOT_THICK, state=False, deny=None)]
    thick += [*_bools(_without(read, "systol"), _THICKENING, state=None), *_thickness(lines)]
    fine = list(_bools(rv, _RV_FINE, state=False, deny=None))
    return Facts(
        ef=None if ef is None else Fact(*ef),
        fibrillation=_agreed([*_bools(read, _AF), *_bools(read, _REGULAR, state=False, deny=None)]),
        lvh=_agreed([*_bools(read, _LVH), *_bools(read, _VH, state=None)]),
        thick=_agreed(thick),
        hypertrophic=_agreed(_bools(read, _HYPERTROPHIC)),
        low_voltage=_agreed(_bools(read, _LOW_VOLTAGE)),
        effusion=_effusion(read),
        rv_reduced=_agreed(
            [*_bools(read, _RV_LOW, deny=None), *_bools(read, _RV_NORMAL, state=False, deny=None), *fine]
        ),
        rv_dilated=_agreed([*_bools(rv_alone, _RV_WIDE), *fine, *_bools(rv, _RV_SIZE, state=False, deny=None)]),
        wall_motion=_wall_motion(read),
        scar=_scar(read),
        diseases=stated,
        denied=denied,
    )


def _bools(
    read: Iterable[Clause], pattern: re.Pattern[str], state: bool | None = True, deny: bool | None = False
) -> Iterator[Told]:
    """What it means where a clause states the pattern, and where it denies it; none: nothing."""
    for clause in read:
        for _, stated in clause.says(pattern):
            meaning = state if stated else deny
            if meaning is not None:
                yield meaning, clause.quote


def _agreed(told: Iterable[Told]) -> Fact[bool] | None:
    """Yes or no, if only one of them is said."""
    every = list(told)
    return Fact(*every[0]) if len({value for value, _ in every}) == 1 else None


def _without(read: Iterable[Clause], word: str) -> list[Clause]:
    return [clause for clause in read if word not in clause.text.lower()]


def _thickness(lines: Iterable[str]) -> Iterator[Told]:
    for line in lines:
        for match in _MILLIMETRES.finditer(line):
            value = float(match.group(1))
            if not of_right_ventricle(line, match.start()) and not THIN_MM < value < THICK_MM:
                yield value >= THICK_MM, quoted(line, match)


def _effusion(read: Iterable[Clause]) -> Fact[frozenset[int]] | None:
    told: list[tuple[set[int], str]] = []
    for clause in read:
        for match, stated in clause.says(_EFFUSION):
            words = [match["low"], match["high"], match["after"]]
            grades = {EFFUSIONS.get(word.lower(), 0) for word in words if word}
            if stated and 0 in grades:  # physiological fluid: one reader's trace is the other's nothing
                told.append(({0, 1}, clause.quote))
            elif stated:
                told.append((grades or {1, 2, 3}, clause.quote))
            elif not grades:
                told.append(({0}, clause.quote))
    return Fact(frozenset().union(*(grades for grades, _ in told)), told[0][1]) if told else None


def _wall_motion(read: Iterable[Clause]) -> Fact[frozenset[str]] | None:
    told: list[tuple[frozenset[str], str]] = []
    for clause in read:
        where = frozenset({"global"}) if _DIFFUSE.search(clause.text) else _territories(clause.text)
        for _, stated in clause.says(_KINESIS):
            if stated:
                told.append((where or frozenset({"somewhere"}), clause.quote))
            elif not where:
                told.append((frozenset({"not regional" if _REGIONAL.search(clause.text) else "none"}), clause.quote))
        if any(stated for _, stated in clause.says(_MOTION_FINE)) and not where and not _REGIONAL.search(clause.text):
            told.append((frozenset({"none"}), clause.quote))
    values = frozenset().union(*(value for value, _ in told))
    if not told or (values & {"none", "not regional"} and len(values) > 1):
        return None
    return Fact(values, told[0][1])


def _scar(read: Iterable[Clause]) -> Fact[frozenset[str]] | None:
    told = [
        (_territories(clause.text), clause.quote)
        for clause in read
        if _ISCHAEMIC.search(clause.text) and not _DIFFUSE.search(clause.text)
        if any(stated for _, stated in clause.says(_SCAR)) and _territories(clause.text)
    ]
    return Fact(frozenset().union(*(where for where, _ in told)), told[0][1]) if told else None


def _territories(words: str) -> frozenset[str]:
    named = re.findall(r"[a-z]+", words.lower().replace("antero-", "antero").replace("infero-", "infero"))
    return frozenset().union(*(_TERRITORIES.get(word, frozenset()) for word in named))


def _diseases(read: Iterable[Clause]) -> tuple[dict[str, str], dict[str, str]]:
    stated: dict[str, str] = {}
    denied: dict[str, str] = {}
    for clause in read:
        for name, pattern in _DISEASES.items():
            for _, there in clause.says(pattern):
                (stated if there else denied).setdefault(name, clause.quote)
        if any(not there for _, there in clause.says(_NO_CARDIOMYOPATHY)):
            for name in CARDIOMYOPATHIES:
                denied.setdefault(name, clause.quote)
    denied.pop(NO_DISEASE, None)  # "no normal heart" names no disease
    return stated, {name: quote for name, quote in denied.items() if name not in stated}
