"""The ECG that a patient has: what a disease makes likely, what comes by chance, and what cannot go together.

Shares are those of patients; the ones with a source name it, the others are chosen so that no finding gives a disease
away and none is too rare to learn. A finding drawn later yields to those drawn before it: conduction, ST segment,
morphology, hypertrophy, axis.

Sources: [Mu] Murtagh et al., Am J Cardiol 2005;95:535 (amyloidosis: low voltage in 46 %, pseudo-infarction in 47 %,
mostly anterior, both in 25 %; here a tracing has one of them); [Ml] McLeod et al., J Am Coll Cardiol 2009;54:229
(hypertrophic: a normal ECG in 6 %); [Ol] Olivotto et al., Circulation 2001;104:2517 (hypertrophic: fibrillation in
22 %); [Ba] Baldasseroni et al., Am Heart J 2002;143:398 (heart failure: left bundle branch block in 25 %); [Am]
Ammirati et al., Circulation 2018;138:1088 (acute myocarditis: ST elevation in about 60 %); [St] Steffel et al., Am J
Cardiol 2009;104:984 (non-compaction: conduction delay, voltage and repolarisation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from chordae.cohort.latents import (
    Axis,
    Conduction,
    EcgLatents,
    Hypertrophy,
    Morphology,
    Rhythm,
    StSegment,
    draw_pr,
    draw_qrs_duration,
    draw_rate,
)
from chordae.cohort.truth import Category, Territory

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Tendencies:
    """Shares of the findings of a kind of patient; what remains of 1 has none."""

    rhythm: dict[Rhythm, float]
    conduction: dict[Conduction, float]
    axis: dict[Axis, float] = field(default_factory=dict)
    hypertrophy: dict[Hypertrophy, float] = field(default_factory=dict)
    morphology: dict[Morphology, float] = field(default_factory=dict)
    st: dict[StSegment, float] = field(default_factory=dict)
    qtc_ms: float = 405.0


def draw_ecg(
    category: Category,
    severity: float,
    territory: Territory | None,
    acute: bool,
    la_large: bool,
    effusion: bool,
    rng: np.random.Generator,
) -> EcgLatents:
    """The ECG of such a patient; the same generator state is the same ECG. `severity` is 0 to 1."""
    usual = tendencies(category, severity, territory, acute)
    rhythms = dict(usual.rhythm)
    if la_large:  # size of the left atrium and fibrillation go together (Vaziri et al., Circulation 1994;89:724)
        rhythms["atrial fibrillation"] = rhythms.get("atrial fibrillation", 0.0) + 0.15
    morphologies, segments = dict(usual.morphology), dict(usual.st)
    if effusion:  # fluid between heart and electrodes; pericarditis where it is the cause
        morphologies["low voltage"] = morphologies.get("low voltage", 0.0) + 0.2
        segments["diffuse"] = segments.get("diffuse", 0.0) + 0.1

    rhythm = _pick(rhythms, "sinus", rng)
    conduction = _pick(usual.conduction, "normal", rng)
    if rhythm == "atrial fibrillation" and conduction == "first-degree block":
        conduction = "normal"
    st = _pick(segments, "none", rng)
    if not compatible(conduction, st):
        st = "none"
    morphology = _pick(morphologies, "none", rng)
    if not compatible(conduction, st, morphology):
        morphology = "none"
    hypertrophy = _pick(usual.hypertrophy, "none", rng)
    if not compatible(conduction, st, morphology, hypertrophy):
        hypertrophy = "none"
    axes = dict(usual.axis)
    if hypertrophy == "right":
        axes = {"right": 0.8}
    axis = _pick(axes, "normal", rng)
    if not compatible(conduction, st, morphology, hypertrophy, axis):
        axis = "normal"

    rate = draw_rate(rhythm, conduction, rng)
    wide = 30 if conduction in ("LBBB", "RBBB") else 0
    qrs = draw_qrs_duration(conduction, rng)
    if morphology in ("anterior Q", "inferior Q"):  # what is left of the wall is activated late, around the scar
        qrs = max(qrs, int(rng.integers(90, 108)))
    return EcgLatents(
        rhythm=rhythm,
        conduction=conduction,
        st=st,
        rate_bpm=rate,
        pr_ms=draw_pr(rhythm, conduction, rate, rng),
        qrs_ms=qrs,
        axis=axis,
        hypertrophy=hypertrophy,
        morphology=morphology,
        qtc_ms=int(np.clip(rng.normal(usual.qtc_ms + wide, 18), 350, 510)),
    )


def compatible(
    conduction: Conduction,
    st: StSegment = "none",
    morphology: Morphology = "none",
    hypertrophy: Hypertrophy = "none",
    axis: Axis = "normal",
) -> bool:
    """Whether one tracing can show all of this so that a reader can tell."""
    if conduction == "LBBB":  # hides ST segments, Q waves, T waves and voltages; turns the axis left if at all
        return st == "none" and morphology == "none" and hypertrophy == "none" and axis != "right"
    if conduction == "RBBB" and (hypertrophy != "none" or morphology == "low voltage"):  # R' makes and takes voltage
        return False
    if st != "none" and morphology in ("T inversion", "low voltage"):  # T belongs to the elevated segment
        return False
    if st == "diffuse" and morphology != "none":
        return False
    if morphology == "low voltage" and hypertrophy != "none":
        return False
    if hypertrophy == "left" and (st == "anterior" or morphology == "anterior Q"):
        return False  # deep S waves in V1-V3 imitate both
    if hypertrophy == "right" and (st != "none" or morphology != "none" or axis == "left"):
        return False
    return not (morphology == "inferior Q" and axis == "right")


def tendencies(category: Category, severity: float, territory: Territory | None, acute: bool) -> Tendencies:
    """What is likely in a disease of this severity (0 to 1)."""
    if category == "myocardial infarction":
        return _infarction(severity, territory, acute)
    if category == "right-ventricular abnormality":
        return Tendencies(
            rhythm={"atrial fibrillation": 0.10, "bradycardia": 0.10, "tachycardia": 0.22},
            conduction={"RBBB": 0.25, "first-degree block": 0.10},
            axis={"right": 0.55, "left": 0.03},
            hypertrophy={"right": 0.55 + 0.25 * severity},
            morphology={"T inversion": 0.03, "low voltage": 0.05},
            qtc_ms=410,
        )
    if category == "LV non-compaction":  # [St]
        return Tendencies(
            rhythm={"atrial fibrillation": 0.08 + 0.08 * severity, "bradycardia": 0.17, "tachycardia": 0.12},
            conduction={"LBBB": 0.10 + 0.15 * severity, "RBBB": 0.05, "first-degree block": 0.10},
            axis={"left": 0.22, "right": 0.03},
            hypertrophy={"left": 0.20},
            morphology={"T inversion": 0.25, "inferior Q": 0.04},
            qtc_ms=418,
        )
    if category == "hypertrophic cardiomyopathy":  # [Ml], [Ol]
        return Tendencies(
            rhythm={"atrial fibrillation": 0.10 + 0.10 * severity, "bradycardia": 0.22, "tachycardia": 0.05},
            conduction={"LBBB": 0.04, "RBBB": 0.05, "first-degree block": 0.10},
            axis={"left": 0.22, "right": 0.02},
            hypertrophy={"left": 0.45 + 0.35 * severity},
            morphology={"T inversion": 0.30 + 0.30 * severity, "inferior Q": 0.10, "anterior Q": 0.03},
            qtc_ms=422,
        )
    if category == "amyloidosis":  # [Mu]
        return Tendencies(
            rhythm={"atrial fibrillation": 0.16 + 0.14 * severity, "bradycardia": 0.13, "tachycardia": 0.15},
            conduction={"LBBB": 0.03, "RBBB": 0.05, "first-degree block": 0.27},
            axis={"left": 0.22, "right": 0.05},
            hypertrophy={"left": 0.04},
            morphology={"low voltage": 0.50 + 0.20 * severity, "anterior Q": 0.20, "inferior Q": 0.05},
            qtc_ms=420,
        )
    if category == "dilated cardiomyopathy":  # [Ba]; more where the cause is the muscle itself
        return Tendencies(
            rhythm={"atrial fibrillation": 0.12 + 0.15 * severity, "bradycardia": 0.12, "tachycardia": 0.18},
            conduction={"LBBB": 0.28 + 0.14 * severity, "RBBB": 0.06, "first-degree block": 0.16},
            axis={"left": 0.35, "right": 0.04},
            hypertrophy={"left": 0.18},
            morphology={"T inversion": 0.15, "anterior Q": 0.07, "low voltage": 0.07},
            qtc_ms=424,
        )
    if category == "myocarditis":  # [Am]; regional elevation imitates infarction
        return Tendencies(
            rhythm={"atrial fibrillation": 0.05, "bradycardia": 0.07, "tachycardia": 0.40 if acute else 0.15},
            conduction={"LBBB": 0.04, "RBBB": 0.05, "first-degree block": 0.10},
            axis={"left": 0.06, "right": 0.04},
            hypertrophy={"left": 0.03},
            morphology={"T inversion": 0.10 if acute else 0.20, "low voltage": 0.06},
            st={"diffuse": 0.60, "inferior": 0.10, "anterior": 0.06} if acute else {"diffuse": 0.08},
            qtc_ms=412,
        )
    return Tendencies(
        rhythm={"atrial fibrillation": 0.04, "bradycardia": 0.18, "tachycardia": 0.06},
        conduction={"LBBB": 0.015, "RBBB": 0.06, "first-degree block": 0.08},
        axis={"left": 0.08, "right": 0.03},
        hypertrophy={"left": 0.06},
        morphology={"T inversion": 0.01, "low voltage": 0.03},
    )


def _infarction(severity: float, territory: Territory | None, acute: bool) -> Tendencies:
    """Fresh: ST elevation of the territory. Old: its Q waves in 70 %, and elevation that stays over an aneurysm.

    The circumflex artery's territory shows in the inferior leads or not at all.
    """
    lateral = territory == "lateral"
    segment: StSegment = "anterior" if territory == "anterior" else "inferior"
    q_wave: Morphology = "anterior Q" if territory == "anterior" else "inferior Q"
    if acute:
        st, q_waves = {segment: 0.55 if lateral else 0.88}, {q_wave: 0.15 if lateral else 0.30}
    else:
        aneurysm = 0.20 + 0.25 * severity if territory == "anterior" else 0.08
        st, q_waves = {segment: aneurysm}, {q_wave: 0.40 if lateral else 0.70}
    return Tendencies(
        rhythm={"atrial fibrillation": 0.07, "bradycardia": 0.17, "tachycardia": 0.20 if acute else 0.08},
        conduction={"LBBB": 0.03 if acute else 0.07, "RBBB": 0.06, "first-degree block": 0.11},
        axis={"left": 0.15, "right": 0.04},
        hypertrophy={"left": 0.08},
        morphology=q_waves | {"T inversion": 0.08, "low voltage": 0.03},
        st=st,
        qtc_ms=414,
    )


def _pick(shares: dict[Name, float], otherwise: Name, rng: np.random.Generator) -> Name:
    """One of the names with its share, or `otherwise`; shares above 1 in all are scaled down."""
    draw = rng.random() * max(sum(shares.values()), 1.0)
    for name, share in shares.items():
        draw -= share
        if draw < 0:
            return name
    return otherwise
