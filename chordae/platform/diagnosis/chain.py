# ruff: noqa: RUF001 - Chinese punctuation
"""The chain of diagnosis: functional parameters, imaging findings, integrated opinion, then one category.

    <think>
    I. Functional parameters
    LV EF 40.9 % is low. LV EDV 102 mL is normal.
    II. Imaging findings
    [3] Regional wall motion abnormality, inferior. [8] Subendocardial late enhancement, inferior.
    III. Integrated opinion
    Myocardial infarction is likeliest, given low LV EF, [3] and [8].
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
    categories: tuple[Category, ...] = Field((), description="Those that it names, one unless it weighs several")


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
    signs: Sequence[str | int],
    language: Language = "en",
    opinion: str = "",
) -> str:
    """The text of a chain that cites the record as it is.

    Args:
        record: whose values and words are cited.
        category: the answer.
        parameters: names that the first step cites, in this order.
        findings: numbers that the second step cites.
        signs: what the opinion rests on, as `cite` takes them.
        language: of the headings, directions and the answer; findings keep the record's words.
        opinion: the third step, with `{category}` and `{signs}` where they belong; none: the plainest.

    Raises:
        ValueError: something named is not in the record, or the opinion is to rest on signs and there are none.
    """
    words = wording(language)
    stop, gap = ("。", "") if language == "zh" else (".", " ")
    first = gap.join(_sentence(_parameter(record, name), language) + stop for name in parameters)
    second = gap.join(_quotation(_finding(record, number)) + stop for number in findings)
    opinion = opinion or (
        "{category}可能性最大，依据为{signs}。" if language == "zh" else "{category} is likeliest, given {signs}."
    )
    named = {"category": concluded(category, language)}
    third = (
        opinion.format(signs=cite(record, signs, language), **named)
        if "{signs}" in opinion
        else opinion.format(**named)
    )
    lines = ["<think>"]
    for numeral, heading, body in zip(
        NUMERALS, words.steps, (first, second, third[0].upper() + third[1:]), strict=True
    ):
        lines += [f"{numeral}. {heading}", body or words.nothing]
    return "\n".join([*lines, "</think>", f"<answer>{category_name(category, language)}</answer>"])


def cite(record: CmrRecord, signs: Sequence[str | int], language: Language) -> str:
    """Low LV EF, [3] and [8]: signs as an opinion lists them.

    Args:
        record: that holds them.
        signs: names of parameters whose range tells a direction, and numbers of findings; at least one.
        language: of names and directions.

    Raises:
        ValueError: none, one that the record does not hold, or a parameter without a direction.
    """
    if not signs:
        raise ValueError("an opinion rests on at least one parameter or finding")
    items = [
        _direction(_parameter(record, sign), language)
        if isinstance(sign, str)
        else f"[{_finding(record, sign).number}]"
        for sign in signs
    ]
    if language == "zh":
        return "、".join(items)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


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
