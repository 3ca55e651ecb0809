"""Whether a chain says what the record says: every citation held against its field.

An answer can be right and its chain unfaithful, as a mirage can be right: the chain is flagged all the same.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from chordae.platform.diagnosis.chain import Chain, CitedFinding, CitedParameter, Opinion, bare
from chordae.platform.diagnosis.record import CmrRecord, Flag, printed
from chordae.platform.noun import Noun

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.\[])-?[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_\]])")
_HALF = 0.005  # values are shown to two decimals


class CitationCheck(Noun):
    """One citation, and what is wrong with it."""

    step: Literal["parameters", "findings", "opinion"]
    cited: str
    problem: str | None = Field(None, description="None: it is as the record says")


class ChainCheck(Noun):
    """A chain held against its record."""

    faithful: bool = Field(description="Every citation holds, and there are some wherever the record has something")
    citations: tuple[CitationCheck, ...]
    problems: tuple[str, ...] = Field(description="All that is wrong, in words; empty where the chain is faithful")


def check(chain: Chain, record: CmrRecord) -> ChainCheck:
    """Hold every citation of the chain against the record: value, unit, direction, finding and its words.

    The parameters, findings and numbers of the opinion must be cited by the steps before it, and it must name the
    answer's category; its other words are not judged. The form (`Chain.problems`) is not judged here.
    """
    citations = [_parameter(one, record) for one in chain.parameters]
    citations += [_finding(one, record) for one in chain.findings]
    citations += _opinion(chain.opinion, chain, record)
    problems = [one.problem for one in citations if one.problem is not None]
    problems += [f"Not a citation of the record: {text[:120]}" for text in chain.unread]
    if record.parameters and not chain.parameters:
        problems.append("No parameter is cited.")
    if record.description and not chain.findings:
        problems.append("No finding is cited.")
    if not chain.opinion.parameters and not chain.opinion.findings:
        problems.append("The opinion rests on nothing.")
    if chain.category is not None and chain.category not in chain.opinion.categories:
        said = ", ".join(chain.opinion.categories) or "no category"
        problems.append(f"The opinion names {said}, the answer is {chain.category}.")
    problems += _loose_numbers(chain)
    return ChainCheck(faithful=not problems, citations=tuple(citations), problems=tuple(problems))


def _parameter(cited: CitedParameter, record: CmrRecord) -> CitationCheck:
    shown = f"{cited.name} {printed(cited.value)} {cited.unit} {cited.direction or 'without a full range'}"
    held = record.parameter(cited.name)
    problem = None
    if held is None:
        problem = f"The record has no {cited.name}."
    elif abs(held.value - cited.value) >= _HALF:
        problem = f"{cited.name} is {printed(held.value)} {held.unit} in the record, not {printed(cited.value)}."
    elif cited.unit != held.unit:
        problem = f"{cited.name} is in {held.unit}, not in {cited.unit}."
    elif cited.direction != held.flag:
        problem = f"{cited.name} is {_worded(held.flag)}, not {_worded(cited.direction)}."
    return CitationCheck(step="parameters", cited=shown, problem=problem)


def _finding(cited: CitedFinding, record: CmrRecord) -> CitationCheck:
    held = record.finding(cited.number)
    problem = None
    if held is None:
        problem = f"The record has no finding [{cited.number}]."
    elif bare(held.text).casefold() != bare(cited.words).casefold():
        problem = f"Finding [{cited.number}] says otherwise in the record: {bare(held.text)}."
    return CitationCheck(step="findings", cited=f"[{cited.number}] {cited.words}", problem=problem)


def _opinion(opinion: Opinion, chain: Chain, record: CmrRecord) -> list[CitationCheck]:
    named, numbered = {one.name for one in chain.parameters}, {one.number for one in chain.findings}
    checks = []
    for one in opinion.parameters:
        held = record.parameter(one.name)
        problem = None
        if one.name not in named:
            problem = f"The opinion rests on {one.name}, which no step before it cites."
        elif held is not None and held.flag != one.direction:
            problem = f"The opinion calls {one.name} {one.direction}; it is {_worded(held.flag)}."
        checks.append(CitationCheck(step="opinion", cited=f"{one.direction} {one.name}", problem=problem))
    for number in opinion.findings:
        problem = None if number in numbered else f"The opinion rests on [{number}], which no step before it cites."
        checks.append(CitationCheck(step="opinion", cited=f"[{number}]", problem=problem))
    return checks


def _loose_numbers(chain: Chain) -> list[str]:
    """Numbers of the opinion that no cited value or finding has."""
    known = {printed(one.value) for one in chain.parameters}
    known |= {number for one in chain.findings for number in _NUMBER.findall(one.words)}
    loose = sorted(set(_NUMBER.findall(chain.opinion.text)) - known)
    return [f"The opinion gives {number}, which no step before it cites." for number in loose]


def _worded(flag: Flag | None) -> str:
    return flag or "without a full range"
