# ruff: noqa: RUF001 - Chinese punctuation
"""Supervised chains of diagnosis: what a record shows, whatever the patient has, then the category that it leads to.

The first two steps cite what any reader would name before making up their mind: both ventricles' function, late
enhancement, trabeculation, and all that is abnormal or was left open. They do not depend on the category: nothing is
picked to suit it, and a reasoner that learns from them decides where the evidence is before it, at the opinion's first
word. The opinion then says what fits, what speaks against the category, and what would decide and is not there (sites
omit and err).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from chordae.cohort.chinese import record_in
from chordae.cohort.record_cases import Case
from chordae.cohort.signs import SIGNS, UNSAID, Signs
from chordae.cohort.wording import decapitalise
from chordae.platform.diagnosis.category import Language, category_name
from chordae.platform.diagnosis.chain import cite, write_chain
from chordae.platform.diagnosis.probabilities import CLOSE, OPEN
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.diagnosis.record import CmrRecord, Parameter

_UNDECIDED = (
    "Borderline",
    "Doubtful",
    "LV function at the limit",
    "T1 and T2 at their limits",
    "Pericardial effusion at",
)
"""How lines begin that speak neither for nor against anything."""
ALWAYS, ALWAYS_SHOWN = ("LV EF", "RV EF"), ("lge", "trabeculation")
"""Parameters and topics that are cited when they are normal, too: much turns on them."""
MOST_FOR, MOST_AGAINST = 3, 2
"""Of the opinion's parameters, and of its findings."""


def lesson(case: Case, rng: np.random.Generator, language: Language = "en") -> list[dict[str, str]]:
    """OpenAI messages that end in the supervised chain: instructions, record, chain."""
    chain = supervised_chain(case, rng, language)
    return [*messages(record_in(case.record, language), language), {"role": "assistant", "content": chain}]


def verdict(case: Case, language: Language = "en") -> list[dict[str, str]]:
    """OpenAI messages that end in the category alone: instructions, record, answer.

    What a record's probabilities are read from (`platform/diagnosis/probabilities.py`).
    """
    answer = f"{OPEN}{category_name(case.category, language)}{CLOSE}"
    return [*messages(record_in(case.record, language), language), {"role": "assistant", "content": answer}]


def supervised_chain(case: Case, rng: np.random.Generator, language: Language = "en") -> str:
    """A chain of diagnosis for a record whose category is known.

    Args:
        case: described in English, as cases are.
        rng: draws the wording of the opinion.
        language: of the chain; it cites `record_in(case.record, language)`.
    """
    signs = SIGNS[case.category]
    values, lines = _named(case), _shown(case)
    fitting, values_against = _parameters(case, signs)
    found, found_against = _findings(case, signs)
    open_lines, sentence = _left_open(case, signs.decisive, language)
    support: list[str | int] = [*_among(fitting, values, MOST_FOR), *_among(found, lines, MOST_FOR)]
    against: list[str | int] = [
        *_among(values_against, values, MOST_AGAINST),
        *_among(found_against, lines, MOST_AGAINST),
    ]
    if not support and not against and not open_lines:  # an opinion rests on something all the same
        against = [*([name for name in values if _tells(case, name)] or lines)[:1]]
    record = record_in(case.record, language)
    opinion = _opinion(record, support, against, rng, language) + sentence
    return write_chain(record, case.category, values, lines, support, language, opinion)


def rests_on_something(case: Case) -> bool:
    """Whether the record holds anything that an opinion could rest on: a line, or a value with a range that tells."""
    return bool(case.record.description) or any(one.flag is not None for one in case.record.parameters)


def _named(case: Case) -> list[str]:
    """Parameters of the first step, as the record has them in order."""
    outside = [one.name for one in case.record.parameters if one.name in ALWAYS or one.flag in ("low", "high")]
    return outside or [one.name for one in case.record.parameters[:1]]


def _shown(case: Case) -> list[int]:
    """Numbers of the second step's lines, in order."""
    said = list(zip(case.topics, case.record.description, strict=True))
    shown = [line.number for topic, line in said if topic in ALWAYS_SHOWN or line.normal is not True]
    return shown or [line.number for _, line in said[:1]]


def _tells(case: Case, name: str) -> bool:
    held = case.record.parameter(name)
    return held is not None and held.flag is not None


def _parameters(case: Case, signs: Signs) -> tuple[list[str], list[str]]:
    """Names of those that fit, abnormal ones first, and of those that speak against the category."""
    looked_up = ((name, _held(case, name)) for name in signs.parameters)
    held = [(name, one) for name, one in looked_up if one is not None and one.flag is not None]
    fitting = [one for name, one in held if one.flag in signs.parameters[name]]
    expected = tuple(signs.parameters)[:2]
    against = [one for name, one in held if one not in fitting and (name in expected or case.category == "normal")]
    fitting = sorted(fitting, key=lambda one: case.category != "normal" and one.flag == "normal")
    return [one.name for one in fitting], [one.name for one in against]


def _held(case: Case, name: str) -> Parameter | None:
    """A parameter of the record; where it lacks an index, what the index is of."""
    return case.record.parameter(name) or case.record.parameter(name.removesuffix(" index"))


def _findings(case: Case, signs: Signs) -> tuple[list[int], list[int]]:
    """Numbers of the lines that fit, in the order of importance, and of those that speak against the category."""
    said = dict(zip(case.topics, case.record.description, strict=True))
    fitting, against = [], []
    for topic, starts in signs.findings.items():
        line = said.get(topic)
        if line is not None and line.text.startswith(starts):
            fitting.append(line.number)
        elif line is not None and line.normal is not None and not line.text.startswith(_UNDECIDED):
            against += [line.number] if topic == signs.decisive or (topic == "lge" and not line.normal) else []
    if case.category == "normal":
        abnormal = [one for one in said.values() if one.normal is False and not one.text.startswith(_UNDECIDED)]
        against += [one.number for one in abnormal if one.number not in against]
    return fitting, against


def _left_open(case: Case, decisive: str, language: Language) -> tuple[list[int], str]:
    """The line that says that what would decide was not assessed, if there is one, and the sentence that says so."""
    name = UNSAID[decisive][0 if language == "en" else 1]
    if decisive not in case.topics:
        return [], f" {name} is not described." if language == "en" else f"未描述{name}。"
    line = case.record.description[case.topics.index(decisive)]
    if line.normal is not None:
        return [], ""
    sentence = (
        f" [{line.number}] leaves {decapitalise(name)} open." if language == "en" else f"[{line.number}]未评估{name}。"
    )
    return [line.number], sentence


Sign = TypeVar("Sign", str, int)


def _among(signs: Sequence[Sign], cited: Sequence[Sign], most: int) -> list[Sign]:
    """The first of them that the steps before cite."""
    return [one for one in signs if one in cited][:most]


ENGLISH = (
    "{category} is likeliest, given {signs}.",
    "{category} fits best with {signs}.",
    "{category} is supported by {signs}.",
    "{category} is suggested by {signs}.",
)
NOTHING_TYPICAL = "{category} is likeliest, though nothing typical is recorded."
CHINESE = (
    "{category}可能性最大，依据为{signs}。",
    "{category}与{signs}最相符。",
    "{category}有{signs}支持。",
    "{category}符合{signs}的表现。",
)


def _opinion(
    record: CmrRecord,
    support: Sequence[str | int],
    against: Sequence[str | int],
    rng: np.random.Generator,
    language: Language,
) -> str:
    """The third step in one of the wordings: the category first, then what speaks for it and against it."""
    forms = CHINESE if language == "zh" else ENGLISH
    form = forms[int(rng.integers(len(forms)))]
    if not support:
        form = "{category}可能性最大，但记录无典型表现。" if language == "zh" else NOTHING_TYPICAL
    if against:
        contrary = cite(record, against, language)
        if language == "zh":
            form += f"{contrary}与之不符。"
        else:
            form += f" {contrary[0].upper()}{contrary[1:]} speak{'s' if len(against) == 1 else ''} against it."
    return form
