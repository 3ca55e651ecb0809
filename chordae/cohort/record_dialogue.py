# ruff: noqa: RUF001 - Chinese punctuation
"""Short dialogues on a record: what a value is and where it lies, what a line says, what is abnormal.

They teach a reasoner to look things up before it draws conclusions; every answer is the record's own.
"""

from __future__ import annotations

import numpy as np

from chordae.cohort.chinese import record_in
from chordae.cohort.record_cases import Case
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.prompts import describe
from chordae.platform.diagnosis.record import CmrRecord, printed
from chordae.platform.diagnosis.wording import wording

TURNS = 4
"""At most."""


def dialogue(case: Case, rng: np.random.Generator, language: Language = "en") -> list[dict[str, str]]:
    """OpenAI messages: the record with a first question, then one to `TURNS` answers with questions between."""
    record = record_in(case.record, language)
    asked = _questions(record, language)
    chosen = [asked[place] for place in rng.permutation(len(asked))[: rng.integers(1, TURNS + 1)]]
    messages: list[dict[str, str]] = []
    for number, (question, answer) in enumerate(chosen):
        text = f"{describe(record, language)}\n\n{question}" if number == 0 else question
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return messages


def _questions(record: CmrRecord, language: Language) -> list[tuple[str, str]]:
    """All questions that the record answers, with their answers."""
    words, chinese = wording(language), language == "zh"
    asked = []
    outside, abnormal = [], []
    for one in record.parameters:
        name, value = words.names[one.name], f"{printed(one.value)} {one.unit}"
        flag = words.no_range if one.flag is None else words.directions[one.flag]
        question = f"{name}是多少？" if chinese else f"What is the {name}?"
        said = f"{name} {value} {flag}" if chinese or one.flag is None else f"{name} {value} is {flag}"
        asked.append((question, said + ("。" if chinese else ".")))
        outside += [said] if one.flag in ("low", "high") else []
    for line in record.description:
        question = f"第[{line.number}]条是什么？" if chinese else f"What does [{line.number}] say?"
        asked.append((question, f"[{line.number}] {line.text}{'。' if chinese else '.'}"))
        abnormal += [f"[{line.number}]"] if line.normal is False else []
    both = (
        ("哪些参数异常？", "哪些影像学表现异常？"),
        ("Which parameters are abnormal?", "Which findings are abnormal?"),
    )
    nothing, end = ("无。", "。") if chinese else ("None.", ".")
    for question, items in zip(both[0 if chinese else 1], (outside, abnormal), strict=True):
        asked.append((question, (f"{end if chinese else '. '}".join(items) + end) if items else nothing))
    return asked
