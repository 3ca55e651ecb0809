"""Physician-style reports: ECG, echo and CMR with a conclusion, as one of a site's writers words them.

Writers differ in form and in words, not in what they know. The CMR section states what the record's description
states, mistakes included: it is the same reader's. The other sections have mistakes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chordae.cohort.record import Parameter, Record
from chordae.cohort.sites import SiteProfile
from chordae.cohort.statements import Alteration, Statement, alter, conclusion, ecg_statements, echo_statements
from chordae.cohort.truth import Truth
from chordae.cohort.wording import decapitalise

NAMED = ("LV EF", "LV EDV", "LV ESV", "LV mass", "RV EF", "RV EDV")
"""Parameters that reports quote; the itemised one quotes all."""

_SHORT = {
    "late gadolinium enhancement": "LGE",
    "enhancement": "LGE",
    "left bundle branch block": "LBBB",
    "right bundle branch block": "RBBB",
    "atrial fibrillation": "AF",
    "left ventricular hypertrophy": "LVH",
    "right ventricular hypertrophy": "RVH",
    "left ventricle": "LV",
    "right ventricle": "RV",
    "left atrium": "LA",
    "wall motion abnormality": "WMA",
    "sinus rhythm": "SR",
}
"""How the terse writer shortens."""


@dataclass(frozen=True)
class Report:
    """A report, and what it leaves out or states wrongly."""

    text: str
    altered: tuple[Alteration, ...]


def write_report(truth: Truth, record: Record, site: SiteProfile, rng: np.random.Generator) -> str:
    """The text of `draft_report`."""
    return draft_report(truth, record, site, rng).text


def draft_report(truth: Truth, record: Record, site: SiteProfile, rng: np.random.Generator) -> Report:
    """A report by one of the site's writers.

    Args:
        truth: the patient.
        record: theirs; numbers and the CMR section are taken from it.
        site: whose writers and rates of omissions and errors these are.
        rng: draws the writer and the mistakes.
    """
    writer = site.wording.writers[int(rng.integers(len(site.wording.writers)))]
    ecg, missed_ecg = alter(ecg_statements(truth), site.wording, rng)
    echo, missed_echo = alter(echo_statements(truth), site.wording, rng)
    end, missed_end = alter([conclusion(truth)], site.wording, rng)
    cmr = [Statement(one.key, one.text, one.normal) for one in record.description]
    sections = {"ECG": ecg, "Echocardiography": echo, "Cardiac MRI": cmr, "Conclusion": end}
    write = {"terse": _terse, "narrative": _narrative, "itemised": _itemised}[writer]
    text = write(record, {name: statements for name, statements in sections.items() if statements})
    return Report(text, (*missed_ecg, *missed_echo, *record.altered, *missed_end))


def _terse(record: Record, sections: dict[str, list[Statement]]) -> str:
    lines = [f"{record.sex[0].upper()}, {record.age} y."]
    for name, statements in sections.items():
        said = "; ".join(_shortened(statement.text) for statement in statements)
        numbers = ", ".join(_quoted(one) for one in _named(record)) + "; " if name == "Cardiac MRI" else ""
        label = {"Echocardiography": "Echo", "Cardiac MRI": "CMR", "Conclusion": "Imp."}.get(name, name)
        lines.append(f"{label}: {numbers}{said}.")
    return "\n".join(lines) + "\n"


def _narrative(record: Record, sections: dict[str, list[Statement]]) -> str:
    person = "woman" if record.sex == "female" else "man"
    parts = [f"This {record.age}-year-old {person} was referred for cardiac assessment."]
    openings = {
        "ECG": "The electrocardiogram shows {}.",
        "Echocardiography": "On transthoracic echocardiography there is {}.",
        "Cardiac MRI": "Cardiac magnetic resonance demonstrates {}.",
        "Conclusion": "In summary, the findings are those of: {}.",
    }
    for name, statements in sections.items():
        sentence = openings[name].format(_joined([decapitalise(one.text) for one in statements]))
        if name == "Cardiac MRI":
            values = _joined([f"{_spelled(one.name)} {one.value:g} {one.unit}" for one in _named(record)])
            sentence += f" The measurements are: {values}."
        parts.append(sentence)
    return "\n\n".join(parts) + "\n"


def _itemised(record: Record, sections: dict[str, list[Statement]]) -> str:
    lines = [f"PATIENT: {record.sex}, {record.age} years, body surface {record.bsa:g} m2"]
    for name, statements in sections.items():
        lines += ["", name.upper()]
        if name == "Cardiac MRI":
            lines += [f"- {_quoted(one)} (reference {one.low:g} to {one.high:g})" for one in record.parameters]
        abnormal = [statement for statement in statements if not statement.normal]
        rest = [statement for statement in statements if statement.normal]
        lines += [f"- {statement.text}" for statement in (*abnormal, *rest)]
    return "\n".join(lines) + "\n"


def _named(record: Record) -> list[Parameter]:
    return [record.parameter(name) for name in NAMED]


def _quoted(parameter: Parameter) -> str:
    return f"{parameter.name} {parameter.value:g} {parameter.unit}"


def _spelled(name: str) -> str:
    return name.replace("LV", "left ventricular").replace("RV", "right ventricular").replace("EF", "ejection fraction")


def _shortened(text: str) -> str:
    text = decapitalise(text)
    for long, short in _SHORT.items():
        text = text.replace(long, short)
    return text


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else "; ".join(words[:-1]) + f"; and {words[-1]}"
