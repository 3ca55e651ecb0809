"""A record as a prompt, in English or in Chinese. A reasoner is trained on these words and asked with them.

A change here makes reasoners that were trained before worse. Whatever a record's findings hold, they come out as one
numbered line each (`disarm`); a patient's key never comes out.
"""

from __future__ import annotations

from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.disarm import disarm
from chordae.platform.diagnosis.record import CmrRecord, Parameter, printed
from chordae.platform.diagnosis.wording import Wording, wording


def messages(record: CmrRecord, language: Language) -> list[dict[str, str]]:
    """OpenAI messages: the instructions as the system's, the record as the user's."""
    return [
        {"role": "system", "content": instructions(language)},
        {"role": "user", "content": describe(record, language)},
    ]


def instructions(language: Language) -> str:
    """Who reads, along which three steps, which categories there are, and in which form to answer."""
    return wording(language).instructions


def describe(record: CmrRecord, language: Language) -> str:
    """The record as text: a line a parameter with range and direction, what is missing, then the numbered findings.

    Names, headings and marks are in `language`; findings are in the words of the record.
    """
    words = wording(language)
    sex = words.sexes[record.sex] if record.sex is not None else ""
    age = words.years.format(age=record.age) if record.age is not None else ""
    patient = ", ".join(part for part in (sex, age) if part)
    missing = ", ".join(words.names[name] for name in record.missing)
    return "\n".join(
        [
            *([patient] if patient else []),
            words.steps[0],
            *(_row(one, words) for one in record.parameters),
            *([f"{words.not_given}{missing}"] if missing else []),
            "",
            words.description,
            *([f"[{one.number}] {disarm(one.text)}" for one in record.description] or [words.nothing]),
        ]
    )


def _row(one: Parameter, words: Wording) -> str:
    """`LV EF 40.9 % [59, 83] (low)`; limits that the record does not give are left open."""
    limits = ""
    if one.low is not None and one.high is not None:
        limits = f" [{printed(one.low)}, {printed(one.high)}]"
    elif one.low is not None:
        limits = f" [>= {printed(one.low)}]"
    elif one.high is not None:
        limits = f" [<= {printed(one.high)}]"
    marks = [words.directions[one.flag]] if one.flag in ("low", "high") else []
    marks += [words.estimate] if one.source == "estimate" else []
    return f"{words.names[one.name]} {printed(one.value)} {one.unit}{limits}" + (
        f" ({', '.join(marks)})" if marks else ""
    )
