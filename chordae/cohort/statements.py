"""What a physician would state about a simulated patient, sentence by sentence, before wording and mistakes.

Statements follow from the truth. Those of a topic of the vocabulary (`findings`) name the finding as it does; where it
lies too near to a limit, they say so and give the number. Reports are not perfect: `alter` leaves some statements out
and turns some into another finding, at the site's rates, and says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from chordae.cohort.findings import Topic, topics
from chordae.cohort.sites import Wording
from chordae.cohort.truth import Truth
from chordae.cohort.wording import decapitalise

SEPTUM, LATERAL = (2, 3, 8, 9), (5, 6, 11, 12)
TRABECULATED = 2.3
"""Ratio of the trabeculated to the compact layer above which non-compaction is suggested (Petersen et al., J Am Coll
Cardiol 2005;46:101)."""

_BORDERLINE = {
    "lv_function": "LV function at the limit between two grades, EF {lv_ef:.0f} %",
    "rv_function": "Borderline right ventricle, EF {rv_ef:.0f} %",
    "wall_motion": "Doubtful wall motion abnormality",
    "pericardial": "Pericardial effusion at the limit between two grades, {effusion:.0f} mm",
    "atrium": "Borderline left atrium, {la_index:.0f} mL/m2",
    "tissue": "T1 and T2 at their limits, T1 {t1:.0f} ms, T2 {t2:.0f} ms",
}
_NUMBERS = {
    "lv_function": "EF {lv_ef:.0f} %",
    "rv_function": "EF {rv_ef:.0f} %",
    "pericardial": "{effusion:.0f} mm",
    "atrium": "{la_index:.0f} mL/m2",
    "tissue": "T1 {t1:.0f} ms, T2 {t2:.0f} ms",
}


@dataclass(frozen=True)
class Statement:
    """One finding in words."""

    key: str
    text: str
    normal: bool
    """Nothing is wrong there."""
    others: tuple[tuple[str, bool], ...] = ()
    """What could be stated wrongly in its place, and whether that were normal."""


class Alteration(BaseModel):
    """One statement that was left out or is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: Literal["omitted", "wrong"]
    truth: str
    """What should have been stated."""


def ecg_statements(truth: Truth) -> list[Statement]:
    """Rhythm, conduction, ST, hypertrophy, axis, rate and morphology, but for what a bundle branch block hides."""
    told = [topic for topic in topics("ecg") if topic.key != "diagnosis"]
    return [_of_topic(topic, truth) for topic in told if topic.key == "rate" or topic.tell(truth) is not None]


def echo_statements(truth: Truth) -> list[Statement]:
    """LV and RV function, wall motion, pericardium, left atrium."""
    wanted = ("lv_function", "wall_motion", "rv_function", "atrium", "pericardial")
    by_key = {topic.key: topic for topic in topics("echo")}
    return [_of_topic(by_key[key], truth) for key in wanted]


def cmr_statements(truth: Truth, lv_enlarged: bool, thickest_mm: float) -> list[Statement]:
    """Chamber size and function, wall, trabeculation, late enhancement, maps, pericardium; no diagnosis.

    Args:
        truth: the patient.
        lv_enlarged: the end-diastolic volume lies above its reference range.
        thickest_mm: upper limit of the end-diastolic wall thickness.
    """
    echo, cmr = ({topic.key: topic for topic in topics(modality)} for modality in ("echo", "cmr"))
    measured = truth.measured
    thickest = max(measured.wall_ed)
    ratio = measured.trabeculated_ratio
    return [
        _either("lv_size", lv_enlarged, "Enlarged left ventricle", "Left ventricle not enlarged"),
        _of_topic(cmr["lv_function"], truth),
        _of_topic(echo["wall_motion"], truth),
        _either(
            "wall",
            round(thickest) > thickest_mm,
            f"{_where_thick(truth, thickest_mm)} wall thickening, up to {thickest:.0f} mm",
            "No wall thickening",
        ),
        _either(
            "trabeculation",
            ratio > TRABECULATED,
            f"Prominent trabeculation, {ratio:.1f} times the compact layer",
            "No prominent trabeculation",
        ),
        _of_topic(cmr["rv_function"], truth),
        _of_topic(echo["atrium"], truth),
        _of_topic(cmr["lge"], truth),
        _of_topic(cmr["tissue"], truth),
        _of_topic(cmr["pericardial"], truth),
    ]


def conclusion(truth: Truth) -> Statement:
    """The diagnosis, by its name in the vocabulary."""
    return _of_topic(next(topic for topic in topics("cmr") if topic.key == "diagnosis"), truth)


def alter(
    statements: Sequence[Statement], wording: Wording, rng: np.random.Generator
) -> tuple[list[Statement], list[Alteration]]:
    """Leave statements out and make some wrong, each on its own, at the site's rates.

    Returns:
        What is stated, in order, and what is not as it should be.
    """
    stated, altered = [], []
    for statement in statements:
        draw = rng.random()
        if draw < wording.omissions:
            altered.append(Alteration(key=statement.key, kind="omitted", truth=statement.text))
        elif draw < wording.omissions + wording.errors:
            wrong, normal = statement.others[int(rng.integers(len(statement.others)))]
            altered.append(Alteration(key=statement.key, kind="wrong", truth=statement.text))
            stated.append(Statement(statement.key, wrong, normal))
        else:
            stated.append(statement)
    return stated, altered


def _of_topic(topic: Topic, truth: Truth) -> Statement:
    finding = topic.tell(truth)
    values = {
        "lv_ef": truth.measured.lv_ef,
        "rv_ef": truth.measured.rv_ef,
        "effusion": truth.measured.effusion_mm,
        "la_index": truth.measured.la_volume / truth.bsa,
        "t1": truth.tissue.lesion_t1,
        "t2": truth.tissue.lesion_t2,
    }
    others = tuple((name, name == topic.normal) for name in topic.findings if name != finding)
    if topic.key == "rate":
        rates = tuple((f"Heart rate {decapitalise(name)}", normal) for name, normal in others)
        normal = 60 <= truth.ecg.rate_bpm < 100
        return Statement(topic.key, f"Heart rate {truth.ecg.rate_bpm} bpm", normal, rates)
    if finding is None:
        return Statement(topic.key, _BORDERLINE[topic.key].format(**values), False, others)
    text = finding
    if topic.key in _NUMBERS and finding != "No pericardial effusion":
        text = f"{finding}, {_NUMBERS[topic.key].format(**values)}"
    elif topic.key == "lge" and truth.tissue.segments:
        text = f"{finding}, segments {', '.join(str(segment) for segment in truth.tissue.segments)}"
    return Statement(topic.key, text, finding == topic.normal, others)


def _either(key: str, abnormal: bool, yes: str, no: str) -> Statement:
    """A finding that is there or not; stated wrongly, it is the other, without its number."""
    other = no if abnormal else yes.split(",")[0]
    return Statement(key, yes if abnormal else no, not abnormal, ((other, abnormal),))


def _where_thick(truth: Truth, limit: float) -> str:
    wall = truth.measured.wall_ed
    septum, lateral = (max(wall[segment - 1] for segment in part) for part in (SEPTUM, LATERAL))
    if min(septum, lateral) > limit:
        return "Concentric"
    if max(wall[12:]) >= max(septum, lateral):
        return "Apical"
    return "Septal" if septum > lateral else "Lateral"
