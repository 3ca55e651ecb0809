"""What a physician would notice about a record before reading on: stated with the result, never mended in silence.

A value that no heart can have is taken out and said to be, so is a line that gives orders. Values that contradict
each other stay, since nobody here knows which is wrong. Where nothing is left that the reasoner can read, or the
description is in another language than it reads, there is no category at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.disarm import disarm, has_markup, instructs
from chordae.platform.diagnosis.language import language_of
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter, printed
from chordae.platform.noun import Noun

Kind = Literal[
    "missing",
    "estimate",
    "impossible",
    "contradiction",
    "unit",
    "unknown",
    "unreadable",
    "range",
    "no description",
    "markup",
    "instruction",
    "language",
    "empty",
]
WITHHOLDING: frozenset[Kind] = frozenset({"language", "empty"})
"""With one of these there is no category."""

POSSIBLE: dict[str, tuple[float, float]] = {
    "LV EF": (1, 95),
    "LV EDV": (10, 1000),
    "LV ESV": (2, 1000),
    "LV mass": (10, 1000),
    "LV EDV index": (5, 500),
    "LV mass index": (5, 500),
    "Wall thickness": (1, 60),
    "RV EF": (1, 95),
    "RV EDV": (10, 1000),
    "RV ESV": (2, 1000),
    "RV EDV index": (5, 500),
    "LA volume index": (3, 500),
}
"""Wider than any heart: what lies outside is a slip of the pen or of the unit, not a disease."""

EF_POINTS = 5.0
"""By how much an EF may differ from the one that follows from EDV and ESV, in points of percent."""


class Problem(Noun):
    """One thing to be said with the result. Holds no patient's words, so that it can be shown and kept."""

    kind: Kind
    text: str = Field(description="One sentence")


class Examined(Noun):
    """A record as the reasoner may read it, and what is to be said about it."""

    record: CmrRecord
    language: Language = Field(description="Of the description, so of the prompt; English where there is none")
    problems: tuple[Problem, ...]

    @property
    def withheld(self) -> bool:
        """No category can be given for this record."""
        return any(one.kind in WITHHOLDING for one in self.problems)


def examine(record: CmrRecord, noticed: Sequence[Problem] = ()) -> Examined:
    """Take out what cannot be, say what is missing, contradictory or not a finding.

    Args:
        record: as it was read.
        noticed: what its reader already noticed; comes first.
    """
    parameters, impossible = _possible(record.parameters)
    description, orders = _findings(record.description)
    kept = record.model_copy(update={"parameters": parameters, "description": description})
    problems = [*noticed, *impossible, *_contradictions(kept), *orders]
    if kept.missing and (parameters or description):
        problems.append(Problem(kind="missing", text=f"Not given: {', '.join(kept.missing)}."))
    estimates = [one.name for one in parameters if one.source == "estimate"]
    if estimates:
        problems.append(Problem(kind="estimate", text=f"Estimated, not measured: {', '.join(estimates)}."))
    language = language_of([one.text for one in description])
    if language is None:
        problems.append(
            Problem(
                kind="language", text="The description is in another language than English or Chinese: no category."
            )
        )
    if not description:
        problems.append(Problem(kind="no description", text="There is no imaging description."))
    if not parameters and not description:
        problems.append(Problem(kind="empty", text="The record holds nothing to reason about: no category."))
    return Examined(record=kept, language=language or "en", problems=tuple(problems))


def _possible(parameters: Sequence[Parameter]) -> tuple[tuple[Parameter, ...], list[Problem]]:
    kept, problems = [], []
    for one in parameters:
        low, high = POSSIBLE[one.name]
        if low <= one.value <= high:
            kept.append(one)
        else:
            text = f"{one.name} of {printed(one.value)} {one.unit} is not possible and was left out."
            problems.append(Problem(kind="impossible", text=text))
    return tuple(kept), problems


def _contradictions(record: CmrRecord) -> list[Problem]:
    problems = []
    for side in ("LV", "RV"):
        ef, edv, esv = (record.parameter(f"{side} {name}") for name in ("EF", "EDV", "ESV"))
        if edv is None or esv is None:
            continue
        if esv.value >= edv.value:
            text = (
                f"{side} ESV of {printed(esv.value)} mL is not below {side} EDV of {printed(edv.value)} mL; "
                "at least one of them is wrong."
            )
            problems.append(Problem(kind="contradiction", text=text))
            continue
        follows = 100 * (edv.value - esv.value) / edv.value
        if ef is not None and abs(ef.value - follows) > EF_POINTS:
            text = (
                f"{side} EF of {printed(ef.value)} % does not follow from EDV {printed(edv.value)} mL and ESV "
                f"{printed(esv.value)} mL, which give {follows:.1f} %; at least one of them is wrong."
            )
            problems.append(Problem(kind="contradiction", text=text))
    return problems


def _findings(description: Sequence[Finding]) -> tuple[tuple[Finding, ...], list[Problem]]:
    """Without lines that give orders, the rest disarmed; numbers stay as they are."""
    kept, problems = [], []
    for one in description:
        if instructs(one.text):
            text = f"Line [{one.number}] of the description gives instructions instead of findings and was left out."
            problems.append(Problem(kind="instruction", text=text))
            continue
        if has_markup(one.text):
            text = f"Line [{one.number}] of the description holds tags or markup, which were made harmless."
            problems.append(Problem(kind="markup", text=text))
        kept.append(one.model_copy(update={"text": disarm(one.text)}))
    return tuple(kept), problems
