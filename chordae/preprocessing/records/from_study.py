"""A record of a CMR study that came without one: findings from the CMR expert, numbers from whoever measured.

An expert that looks at a video measures nothing. So volumes come from the report or structured data or not at all, and
an ejection fraction that only the expert states is an estimate and marked as one; a grade in words ("moderately reduced
LV function") stays a finding, since any number for it would be made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chordae.platform.diagnosis.chain import bare
from chordae.platform.diagnosis.language import language_of
from chordae.platform.diagnosis.record import UNITS, CmrRecord, Finding, Parameter
from chordae.preprocessing.records import fields
from chordae.preprocessing.records.expert_words import TOPICS, as_line, said

QUESTIONS: Mapping[str, str] = {key: topic.question for key, topic in TOPICS.items()}
"""What to ask the CMR expert, by topic."""
LV_EF_RANGE = (53.0, 74.0)
"""Percent, of an estimate: where the expert's "normal" begins, to the upper limit of women; over both sexes, which a
study does not tell (Lang et al., Eur Heart J Cardiovasc Imaging 2015;16:233: 52 to 72 in men, 54 to 74 in women)."""

LAST = 999
"""The highest number that a finding can have; no answer comes near."""

_EF = re.compile(
    r"(?<![\w-])(?:LV ?)?(?:EF|ejection fraction)(?: (?:is|was|of|about|around|approximately|estimated|at|=))*:? "
    r"([0-9]{1,2}(?:\.[0-9])?) ?(?:%|percent)(?! ?(?:to|-|–|or)\b)",  # noqa: RUF001 - an en dash
    re.IGNORECASE,
)
_RIGHT = re.compile(r"\b(?:RV|RVEF|right)\b", re.IGNORECASE)


def record_from_answers(answers: Mapping[str, str], report: CmrRecord | None = None) -> CmrRecord:
    """The record that the CMR expert's answers make, with what is known from elsewhere.

    Args:
        answers: by topic of `QUESTIONS`, in the expert's own words (English), without disclaimers. Where it declines,
            the record says nothing of that topic.
        report: what a report or structured data hold of the study: parameters, sex, age, key, and findings, which come
            first. Its description decides the language: vocabulary names are put into Chinese beside a Chinese one.

    Returns:
        A record without anything to reason about where neither holds anything: `examine` withholds its category.

    Raises:
        ValueError: an answer to something that is not asked.
    """
    unknown = sorted(set(answers) - set(QUESTIONS))
    if unknown:
        raise ValueError(f"no question of a record: {', '.join(unknown)}")
    report = report or CmrRecord()
    language = language_of([one.text for one in report.description]) or "en"
    description = list(report.description)
    stated = {bare(one.text).casefold() for one in description}
    number = max((one.number for one in description), default=0)
    for topic in TOPICS:
        for sentence in fields.sentences(answers.get(topic, "")):
            text, normal = as_line(topic, said(sentence), language)
            words = bare(text).casefold()
            if words and words not in stated and len(text) <= fields.LONGEST and number < LAST:
                stated.add(words)
                number += 1
                description.append(Finding(number=number, text=text, normal=normal))
    given = {one.name: one for one in report.parameters}
    estimate = _estimated_ef(answers.get("lv_function", ""))
    if estimate is not None and "LV EF" not in given and not {"LV EDV", "LV ESV"} <= set(given):
        given["LV EF"] = estimate
    return report.model_copy(
        update={
            "parameters": tuple(given[name] for name in UNITS if name in given),
            "description": tuple(description),
        }
    )


def _estimated_ef(answer: str) -> Parameter | None:
    """The one ejection fraction that the answer gives of the left ventricle; none where it gives several or none."""
    values = {
        float(found)
        for sentence in fields.sentences(answer)
        if said(sentence) and not _RIGHT.search(sentence)
        for found in _EF.findall(sentence)
    }
    if len(values) != 1:
        return None
    low, high = LV_EF_RANGE
    return Parameter(name="LV EF", value=values.pop(), unit=UNITS["LV EF"], low=low, high=high, source="estimate")
