"""Champion and candidate on the same sentinels, through the engine that serves: what the gate decides by."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chordae.cohort.record_cases import Case
from chordae.learning.diagnosis_evaluation import diagnose_all, running
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.gate.measured import Measured, Outcome, Trial
from chordae.learning.loop.bare_records import bare_records
from chordae.learning.reasoner_lessons import case_id
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.reasoning import Reasoning
from chordae.platform.diagnosis.temperature import read_temperature, scaled
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import identify

TIMED, TURNS = 16, 2
"""Sentinels, a quarter of all at most, that are asked again, one after the other, in turns of both versions."""


def measured_trial(
    model: str, champion: tuple[str, Path], candidate: tuple[str, Path], settings: ExpertSettings, cases: Sequence[Case]
) -> Trial:
    """Both versions, each a number and a directory, measured on these cases, by one engine that changes between them.

    Raises:
        BadSettings: a checkpoint cannot be served, or the candidate has another architecture.
        ExpertUnavailable: the engine died.
    """
    both = asyncio.run(_measured((champion, candidate), settings, cases))
    return Trial(model=model, champion=both[0], candidate=both[1])


async def _measured(
    versions: Sequence[tuple[str, Path]], settings: ExpertSettings, cases: Sequence[Case]
) -> list[Measured]:
    said: list[list[DiagnosisOutcome]] = []
    mirages: list[list[bool]] = []
    seconds: list[list[float]] = [[] for _ in versions]
    async with running(versions[0][1], settings) as reasoning:
        cases = [case for case in cases if reasoning.fits(case.record, "en")]  # no version answers the others
        timed = cases[: min(TIMED, math.ceil(len(cases) / 4))]
        reasonings = [replace(reasoning, weights=identify(directory)) for _, directory in versions]
        for turn in range(TURNS):  # in turns: what else the machine does slows both
            for which, (_, directory) in enumerate(versions):
                if turn or which:
                    await reasoning.engine.reload(directory)
                if not turn:
                    said.append(await diagnose_all(reasonings[which], cases, "en"))
                    mirages.append(await _mirages(reasonings[which]))
                seconds[which] += await _seconds(reasonings[which], timed[turn::TURNS])
    return [_of_version(*one) for one in zip(versions, said, mirages, seconds, strict=True)]


async def _mirages(reasoning: Reasoning) -> list[bool]:
    """Of each record with nothing to see, whether a category was given for it and not flagged."""
    asked = (reasoning.diagnose(one, "en", f"bare-{place}") for place, one in enumerate(bare_records()))
    return [one.category is not None and not one.flagged for one in await asyncio.gather(*asked)]


async def _seconds(reasoning: Reasoning, cases: Sequence[Case]) -> list[float]:
    """How long each takes alone."""
    found = []
    for case in cases:
        began = time.monotonic()
        await reasoning.diagnose(case.record, "en", case_id(case))
        found.append(time.monotonic() - began)
    return found


def _of_version(
    version: tuple[str, Path], said: Sequence[DiagnosisOutcome], mirages: Sequence[bool], seconds: Sequence[float]
) -> Measured:
    number, checkpoint = version
    fitted = read_temperature(checkpoint, identify(checkpoint).digest)
    return Measured(
        version=number,
        outcomes=tuple(_outcome(one, 1.0 if fitted is None else fitted.temperature) for one in said),
        mirages=sum(mirages),
        mirage_questions=len(mirages),
        seconds=tuple(seconds),
    )


def _outcome(one: DiagnosisOutcome, temperature: float) -> Outcome:
    confidence = 0.0 if one.category is None else None  # who names no category claims nothing
    if one.category is not None and one.probabilities:
        confidence = min(1.0, scaled(one.probabilities, temperature)[CATEGORIES.index(one.category)])
    return Outcome(
        case=f"{one.site} {one.patient}",
        truth=one.truth,
        site=one.site,
        right=one.category == one.truth,
        confidence=confidence,
    )
