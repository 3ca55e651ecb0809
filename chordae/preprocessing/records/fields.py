# ruff: noqa: RUF001 - Chinese punctuation
"""One value, sex, age or description as a file holds it, to what a record holds; what cannot be read is said."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chordae.platform.diagnosis.disarm import disarm
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import UNITS, Finding, Parameter, Sex, Source

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,12},[0-9]{1,2}")  # three digits after it could be thousands
_ABSENT = {"", "-", "--", "na", "n/a", "nan", "none", "null", "nd", "未测", "无"}
_SEXES: dict[str, Sex] = {
    **dict.fromkeys(("f", "female", "w", "woman", "女"), "female"),
    **dict.fromkeys(("m", "male", "man", "男"), "male"),
}
_SENTENCE = re.compile(r"(?<=[.;。；])\s+|[\r\n]+|(?<=[。；])")
_ENUMERATED = re.compile(r"^\s*(?:\(?[0-9]{1,3}[.)、](?![0-9])|\[[0-9]{1,3}\]|[-*•])\s*")
LONGEST = 2000
_MOST = 200


class UnreadableError(ValueError):
    """Not a number, or none that can be kept."""


def number(given: object) -> float | None:
    """A cell or JSON value as a number; None where it says that there is none.

    Raises:
        UnreadableError: anything else.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise UnreadableError
    if isinstance(given, str):
        text = given.strip()
        if text.casefold() in _ABSENT:
            return None
        if _DECIMAL_COMMA.fullmatch(text):
            text = text.replace(",", ".")
        elif not _NUMBER.fullmatch(text):
            raise UnreadableError
        given = text
    try:
        value = float(given)
    except OverflowError:  # an integer of more than 308 digits
        raise UnreadableError from None
    if not math.isfinite(value):
        raise UnreadableError
    return value


def parameter(
    name: str,
    given: object,
    scale: float,
    low: float | None,
    high: float | None,
    source: Source,
    digits: int | None,
    problems: list[Problem],
) -> Parameter | None:
    """A record's parameter of a value as it is given; None, and why in `problems`, where there is none to keep.

    Args:
        name: one of `record.UNITS`.
        given: the cell or JSON value.
        scale: the value times this is in the unit that is kept.
        low, high: limits in the unit that is kept.
        source: where the value comes from.
        digits: decimals to round to; none: two.
        problems: is added to.
    """
    try:
        value = number(given)
    except UnreadableError:
        problems.append(Problem(kind="unreadable", text=f"{name} is not a number and was left out."))
        return None
    if value is None:
        return None
    value = round(value * scale, 2 if digits is None else digits)
    if abs(value) > 1e6:
        problems.append(Problem(kind="impossible", text=f"{name} is not possible and was left out."))
        return None
    if low is not None and high is not None and low > high:
        text = f"The reference range of {name} has its lower limit above its upper one and was left out."
        problems.append(Problem(kind="range", text=text))
        low = high = None
    return Parameter(name=name, value=value, unit=UNITS[name], low=low, high=high, source=source)


def limit(name: str, given: object, scale: float, problems: list[Problem]) -> float | None:
    """A limit of a reference range, converted as its value is."""
    try:
        value = number(given)
    except UnreadableError:
        value = math.inf
    if value is None:
        return None
    if abs(value * scale) > 1e6:
        problems.append(Problem(kind="range", text=f"A limit of {name} cannot be read and was left out."))
        return None
    return value * scale


def sex(given: object, problems: list[Problem]) -> Sex | None:
    """Female or male, in the usual spellings of either language."""
    text = str(given).strip().casefold() if given is not None else ""
    if text in _ABSENT:
        return None
    if text not in _SEXES:
        problems.append(Problem(kind="unreadable", text="The sex is neither female nor male and was left out."))
    return _SEXES.get(text)


def age(given: object, problems: list[Problem]) -> int | None:
    """Whole years, 0 to 120."""
    try:
        years = number(given)
    except UnreadableError:
        years = math.inf
    if years is None:
        return None
    if not 0 <= years <= 120:
        problems.append(Problem(kind="unreadable", text="The age cannot be read and was left out."))
        return None
    return int(years)


def sentences(text: str) -> list[str]:
    """A description in one piece, cut into its lines and sentences, without their numbers and bullets."""
    return [part for part in (_ENUMERATED.sub("", part).strip() for part in _SENTENCE.split(text)) if _says(part)]


def findings(lines: Sequence[tuple[str, bool | None]], problems: list[Problem]) -> tuple[Finding, ...]:
    """Findings numbered from 1, of their words and whether they are normal; empty lines are no findings."""
    said = [(text, normal) for text, normal in lines if _says(text)]
    if len(said) > _MOST:
        problems.append(Problem(kind="unreadable", text=f"Of {len(said)} findings the first {_MOST} were read."))
    if any(len(text) > LONGEST for text, _ in said):
        problems.append(Problem(kind="unreadable", text=f"A finding of more than {LONGEST} characters was left out."))
    kept = [(text, normal) for text, normal in said[:_MOST] if len(text) <= LONGEST]
    return tuple(Finding(number=at, text=text, normal=normal) for at, (text, normal) in enumerate(kept, start=1))


def _says(text: str) -> bool:
    return bool(disarm(text).strip(" .。;；"))
