"""What can be true of a simulated ECG, and an even draw of the part of it that conduction studies need.

`ecg_truth.draw_ecg` draws what a patient with a given disease has; `sample_latents` draws rhythm, conduction and ST
segment evenly, for whoever needs all classes equally often.
"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

Rhythm = Literal["sinus", "bradycardia", "tachycardia", "atrial fibrillation"]
Conduction = Literal["normal", "LBBB", "RBBB", "first-degree block"]
StSegment = Literal["none", "anterior", "inferior", "diffuse"]
Axis = Literal["normal", "left", "right"]
Hypertrophy = Literal["none", "left", "right"]
Morphology = Literal["none", "anterior Q", "inferior Q", "T inversion", "low voltage"]
RHYTHMS: tuple[Rhythm, ...] = ("sinus", "bradycardia", "tachycardia", "atrial fibrillation")
CONDUCTIONS: tuple[Conduction, ...] = ("normal", "LBBB", "RBBB", "first-degree block")
ST_SEGMENTS: tuple[StSegment, ...] = ("none", "anterior", "inferior")
"""Those that `sample_latents` draws."""
RATE_RANGES: dict[Rhythm, tuple[int, int]] = {
    "sinus": (60, 99),
    "bradycardia": (36, 57),
    "tachycardia": (103, 150),
    "atrial fibrillation": (52, 148),
}


class EcgLatents(BaseModel):
    """What is true of one simulated recording.

    Atrial fibrillation has no PR interval and so no first-degree block. Left bundle branch block carries no ST label
    but "none": its secondary ST changes hide the primary ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rhythm: Rhythm
    conduction: Conduction
    st: StSegment
    rate_bpm: int
    """Mean ventricular rate over the ten seconds, beats a minute."""
    pr_ms: int | None
    """Onset of P to onset of QRS; none in atrial fibrillation."""
    qrs_ms: int
    axis: Axis = "normal"
    """Of the QRS in the frontal plane: -30 to 90 degrees is normal."""
    hypertrophy: Hypertrophy = "none"
    morphology: Morphology = "none"
    qtc_ms: int = 400
    """Fridericia."""


def sample_latents(
    rng: np.random.Generator,
    rhythm: Rhythm | None = None,
    conduction: Conduction | None = None,
    st: StSegment | None = None,
) -> EcgLatents:
    """A random truth; what is given stays fixed, the rest is drawn evenly from what can go with it."""
    if rhythm is None:
        choices = RHYTHMS[:3] if conduction == "first-degree block" else RHYTHMS
        rhythm = choices[int(rng.integers(len(choices)))]
    if conduction is None:
        # A third of the rhythms with a P wave have first-degree block, so that all four are equally frequent over all.
        shares = [1 / 3, 1 / 3, 1 / 3, 0.0] if rhythm == "atrial fibrillation" else [2 / 9, 2 / 9, 2 / 9, 1 / 3]
        if st in ("anterior", "inferior", "diffuse"):
            shares[1] = 0.0
        conduction = CONDUCTIONS[int(rng.choice(4, p=np.array(shares) / sum(shares)))]
    if st is None:
        st = "none" if conduction == "LBBB" else ST_SEGMENTS[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    rate = draw_rate(rhythm, conduction, rng)
    return EcgLatents(
        rhythm=rhythm,
        conduction=conduction,
        st=st,
        rate_bpm=rate,
        pr_ms=draw_pr(rhythm, conduction, rate, rng),
        qrs_ms=draw_qrs_duration(conduction, rng),
        qtc_ms=int(rng.integers(365, 441)) + (30 if conduction in ("LBBB", "RBBB") else 0),
    )


def draw_rate(rhythm: Rhythm, conduction: Conduction, rng: np.random.Generator) -> int:
    """Beats a minute within the rhythm's range; a long PR interval leaves no room for the fastest."""
    low, high = RATE_RANGES[rhythm]
    rate = int(rng.integers(low, high + 1))
    return min(rate, int(rng.integers(103, 118))) if conduction == "first-degree block" else rate


def draw_pr(rhythm: Rhythm, conduction: Conduction, rate_bpm: int, rng: np.random.Generator) -> int | None:
    """PR interval in ms: above 200 in first-degree block, none in atrial fibrillation."""
    if conduction == "first-degree block":
        longest = min(400, 60_000 // rate_bpm - 180)  # P must not fall into the QRS before it
        return int(rng.integers(240, max(longest, 260)))
    return None if rhythm == "atrial fibrillation" else int(rng.integers(120, 186 if rate_bpm < 110 else 161))


def draw_qrs_duration(conduction: Conduction, rng: np.random.Generator) -> int:
    """QRS duration in ms: from 120 in bundle branch block, below 110 otherwise."""
    return int(rng.integers(*{"LBBB": (132, 176), "RBBB": (122, 166)}.get(conduction, (76, 106))))
