"""How a free answer stands to the atomic claims of the reference answer: without a model, by names and numbers.

A claim is a finding of the vocabulary, or `name: value unit`. Each is found supported, nearly right, of the right kind,
missing or contradicted; `POINTS` says what that is worth and `LIKERT` what the mean of the points is called.
"""

import re
from collections.abc import Sequence
from enum import Enum

import numpy as np

from chordae.cohort.findings import Topic, topics
from chordae.learning.mentions import mentions
from chordae.platform.schemas import Modality


class Standing(Enum):
    """What an answer says of a claim."""

    SUPPORTED = "supported"
    NEAR = "nearly right"
    """A neighbouring grade, a number up to twice its tolerance away, or a normal state only half stated."""
    KIND = "abnormal, but another finding"
    MISSING = "missing"
    CONTRADICTED = "contradicted"


POINTS = {
    Standing.SUPPORTED: 1.0,
    Standing.NEAR: 0.5,
    Standing.KIND: 0.25,
    Standing.MISSING: 0.0,
    Standing.CONTRADICTED: -0.25,
}
LIKERT = ((1.0, 5), (0.7, 4), (0.45, 3), (0.01, 2))
"""Mean of the points at least -> score; below all of them: 1."""

GRADED_TOPICS = {"lv_function", "rv_function", "pericardial", "atrium", "rate"}
"""Whose findings are grades in order; of these a neighbour is nearly right, unless it confuses ill with well."""

TOLERANCES = {"bpm": (5.0, 0.05), "%": (5.0, 0.0), "ms": (20.0, 0.05), "mm": (2.0, 0.1)}
"""By unit: absolute and relative; the larger counts. Any other unit: a tenth of the value."""
UNITS = {
    "bpm": r"bpm|beats per minute|beats/min|/min",
    "%": r"%|percent|per cent",
    "mL": r"m[lL](?!/)|millilit(?:re|er)s?",
    "mL/m2": r"m[lL]/m(?:2|²)",
    "g": r"g(?!/)|grams?",
    "ms": r"ms|milliseconds?",
    "mm": r"mm|millimet(?:re|er)s?",
}
_YES_NO = re.compile(r"\W*(yes|no)\b[.,:;]", re.IGNORECASE)
_NUMBER_CLAIM = re.compile(r"(?P<name>[^:]+):\s*(?P<value>-?\d+(?:\.\d+)?)\s*(?P<unit>\S+)?\s*")


def likert(standings: Sequence[Standing]) -> int:
    """1 to 5 for an answer, from the standing of every claim."""
    mean = float(np.mean([POINTS[one] for one in standings]))
    return next((value for limit, value in LIKERT if mean >= limit - 1e-9), 1)


def standing(answer: str, claim: str, modality: Modality) -> Standing:
    """What `answer` says of `claim`.

    Raises:
        ValueError: the claim is neither a finding of the modality nor `name: value unit`.
    """
    owners = [topic for topic in topics(modality) if claim in topic.findings]
    if owners:
        return max((_finding(answer, claim, topic) for topic in owners), key=lambda one: POINTS[one])
    number = _NUMBER_CLAIM.fullmatch(claim)
    if number is None:
        raise ValueError(f"neither a finding nor a number: {claim}")
    return _number(answer, number["name"], float(number["value"]), number["unit"] or "")


def yes_or_no(answer: str, reference: str) -> Standing | None:
    """How an answer that begins with yes or no stands to a reference that does; none: one of them does not."""
    said, right = (_YES_NO.match(text) for text in (answer, reference))
    if said is None or right is None:
        return None
    return Standing.SUPPORTED if said[1].lower() == right[1].lower() else Standing.CONTRADICTED


def _finding(answer: str, claim: str, topic: Topic) -> Standing:
    told = [one for one in mentions(answer, topic.modality) if one.topic == topic.key]
    there = {one.finding for one in told if one.affirmed}
    denied = {one.finding for one in told if not one.affirmed} - there
    if claim in there:
        further = len(there) - 1
        return (Standing.SUPPORTED, Standing.NEAR)[further] if further < 2 else Standing.MISSING  # all of them is none
    if there:
        return max((_other(claim, one, topic) for one in there), key=lambda one: POINTS[one])
    if claim in denied:
        return Standing.CONTRADICTED
    return Standing.NEAR if denied and claim == topic.normal else Standing.MISSING


def _other(claim: str, said: str, topic: Topic) -> Standing:
    """The standing of a claim where another finding of its topic is said to be there."""
    if topic.normal in (claim, said) and topic.key != "rate":
        return Standing.CONTRADICTED
    apart = abs(topic.findings.index(claim) - topic.findings.index(said))
    if topic.key in GRADED_TOPICS and apart == 1:
        return Standing.NEAR
    return Standing.CONTRADICTED if topic.key == "rate" else Standing.KIND


def _number(answer: str, name: str, value: float, unit: str) -> Standing:
    said = _value(answer, name, unit)
    if said is None:
        return Standing.MISSING
    absolute, relative = TOLERANCES.get(unit, (0.0, 0.1))
    tolerance = max(absolute, relative * abs(value))
    if abs(said - value) <= tolerance:
        return Standing.SUPPORTED
    return Standing.NEAR if abs(said - value) <= 2 * tolerance else Standing.CONTRADICTED


def _value(answer: str, name: str, unit: str) -> float | None:
    """The number of that unit that stands behind most of the name's words in its clause; of equals the first."""
    pattern = re.compile(rf"(?<![\d.])(-?\d+(?:\.\d+)?)\s*(?:{UNITS.get(unit, re.escape(unit))})(?!\w)", re.IGNORECASE)
    words = set(re.findall(r"[a-z]+", name.lower()))
    best, value = -1, None
    for match in pattern.finditer(answer):
        clause = re.split(r"[.;,](?!\d)", answer[: match.start()].lower())[-1]
        shared = len(words & set(re.findall(r"[a-z]+", clause)))
        if shared > best:
            best, value = shared, float(match.group(1))
    return value
