# ruff: noqa: RUF001 - Chinese punctuation
"""The chain of diagnosis: functional parameters, imaging findings, integrated opinion, then one category.

    <think>
    I. Functional parameters
    LV EF 40.9 % is low. LV EDV 102 mL is normal.
    II. Imaging findings
    [3] Regional wall motion abnormality, inferior. [8] Subendocardial late enhancement, inferior.
    III. Integrated opinion
    Low LV EF, [3] and [8] point to myocardial infarction.
    </think>
    <answer>myocardial infarction</answer>

Here are what is written and how; `parsing` reads it, `check` holds it against the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from chordae.platform.diagnosis.category import Category, Language, category_name
from chordae.platform.diagnosis.disarm import disarm
from chordae.platform.diagnosis.record import CmrRecord, Finding, Flag, Parameter, printed
from chordae.platform.diagnosis.wording import concluded, wording
from chordae.platform.noun import Noun

NUMERALS = ("I", "II", "III")


class CitedParameter(Noun):
    """A parameter that the first step names."""

    name: str
    value: float
    unit: str
    direction: Flag | None = Field(description="None: said to have no range that tells")


class CitedFinding(Noun):
    """A finding that the second step names."""

    number: int
    words: str


class OpinionParameter(Noun):
    """A parameter that the opinion rests on."""

    name: str
    direction: Flag


class Opinion(Noun):
    """The third step: what the diagnosis rests on."""

    text: str = ""
    parameters: tuple[OpinionParameter, ...] = ()
    findings: tuple[int, ...] = ()
    category: Category | None = Field(None, description="The category that the opinion names; none: none or several")


class Chain(Noun):
    """What the reasoner wrote, read."""

    parameters: tuple[CitedParameter, ...] = ()
    findings: tuple[CitedFinding, ...] = ()
    opinion: Opinion = Opinion()
    category: Category | None = Field(None, description="None unless exactly one answer holds exactly one category")
    unread: tuple[str, ...] = Field((), description="What the first two steps say beside citations")
    problems: tuple[str, ...] = Field((), description="What is wrong with the form, in words")

    @property
    def well_formed(self) -> bool:
        """The form is the one asked for, answer and all."""
        return not self.problems


def write_chain(
    record: CmrRecord,
    category: Category,
    parameters: Sequence[str],
    findings: Sequence[int],
    basis_parameters: Sequence[str],
    basis_findings: Sequence[int],
    language: Language = "en",
) -> str:
    """The text of a chain that cites the record as it is.

    Args:
        record: whose values and words are cited.
        category: the answer.
        parameters: names that the first step cites, in this order.
        findings: numbers that the second step cites.
        basis_parameters: names that the opinion rests on; those without a range that tells cannot be among them.
        basis_findings: numbers that the opinion rests on.
        language: of the headings, directions and the answer; findings keep the record's words.

    Raises:
        ValueError: something named is not in the record, or the opinion rests on nothing.
    """
    words = wording(language)
    stop, gap = ("。", "") if language == "zh" else (".", " ")
    first = gap.join(_sentence(_parameter(record, name), language) + stop for name in parameters)
    second = gap.join(_quotation(_finding(record, number)) + stop for number in findings)
    basis = [_direction(_parameter(record, name), language) for name in basis_parameters]
    basis += [f"[{_finding(record, number).number}]" for number in basis_findings]
    if not basis:
        raise ValueError("an opinion rests on at least one parameter or finding")
    if language == "zh":
        opinion = "、".join(basis) + f"支持{concluded(category, language)}。"
    else:
        listed = basis[0] if len(basis) == 1 else f"{', '.join(basis[:-1])} and {basis[-1]}"
        verb = "points to" if len(basis) == 1 else "point to"
        opinion = f"{listed[0].upper()}{listed[1:]} {verb} {concluded(category, language)}."
    lines = ["<think>"]
    for numeral, heading, body in zip(NUMERALS, words.steps, (first, second, opinion), strict=True):
        lines += [f"{numeral}. {heading}", body or words.nothing]
    return "\n".join([*lines, "</think>", f"<answer>{category_name(category, language)}</answer>"])


def _sentence(one: Parameter, language: Language) -> str:
    words = wording(language)
    cited = f"{words.names[one.name]} {printed(one.value)} {one.unit}"
    if one.flag is None:
        return f"{cited} {words.no_range}"
    return f"{cited} {'is ' if language == 'en' else ''}{words.directions[one.flag]}"


def _quotation(one: Finding) -> str:
    return f"[{one.number}] {bare(one.text)}"


def _direction(one: Parameter, language: Language) -> str:
    if one.flag is None:
        raise ValueError(f"{one.name} has no range that tells its direction, so that no opinion can rest on it")
    words = wording(language)
    name, direction = words.names[one.name], words.directions[one.flag]
    return f"{name}{direction}" if language == "zh" else f"{direction} {name}"


def bare(text: str) -> str:
    """A finding's words as they are cited: disarmed, without the full stop at their end."""
    return disarm(text).rstrip(" .。;；")


def _parameter(record: CmrRecord, name: str) -> Parameter:
    found = record.parameter(name)
    if found is None:
        raise ValueError(f"the record has no {name}")
    return found


def _finding(record: CmrRecord, number: int) -> Finding:
    found = record.finding(number)
    if found is None:
        raise ValueError(f"the record has no finding {number}")
    return found
