"""Simulated 12-lead ECGs with known truth.

A heart dipole (a vectorcardiogram made of Gaussian waves, after McSharry et al., IEEE Trans Biomed Eng 2003;50:289)
is projected to the eight independent leads with Dower's matrix (Dower et al., J Electrocardiol 1980;13:27) and the
other four limb leads follow from Einthoven and Goldberger. Conduction follows the criteria of AHA/ACCF/HRS 2009
(Circulation 2009;119:e235): bundle branch block from 120 ms with its shapes in V1 and V6, first-degree block from a
PR interval above 200 ms. ST elevation follows the fourth universal definition of myocardial infarction (J point from
0.1 mV, 0.2 mV in V2-V3, in contiguous leads) with reciprocal depression.

Everything is a function of the latents and a random generator: the same seed is the same recording.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from chordae.cohort.noise import recording_noise
from chordae.cohort.waves import Beat, draw_beat, fibrillation, sample_patient

RATE_HZ, SAMPLES = 500, 5000
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

Rhythm = Literal["sinus", "bradycardia", "tachycardia", "atrial fibrillation"]
Conduction = Literal["normal", "LBBB", "RBBB", "first-degree block"]
StSegment = Literal["none", "anterior", "inferior", "diffuse"]
Axis = Literal["normal", "left", "right"]
Hypertrophy = Literal["none", "left", "right"]
Morphology = Literal["none", "anterior Q", "inferior Q", "T inversion", "low voltage"]
RHYTHMS: tuple[Rhythm, ...] = ("sinus", "bradycardia", "tachycardia", "atrial fibrillation")
CONDUCTIONS: tuple[Conduction, ...] = ("normal", "LBBB", "RBBB", "first-degree block")
ST_SEGMENTS: tuple[StSegment, ...] = ("none", "anterior", "inferior")
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
        rhythm = _pick(rng, RHYTHMS[:3] if conduction == "first-degree block" else RHYTHMS)
    if conduction is None:
        # A third of the rhythms with a P wave have first-degree block, so that all four are equally frequent over all.
        shares = [1 / 3, 1 / 3, 1 / 3, 0.0] if rhythm == "atrial fibrillation" else [2 / 9, 2 / 9, 2 / 9, 1 / 3]
        if st in ("anterior", "inferior"):
            shares[1] = 0.0
        conduction = CONDUCTIONS[int(rng.choice(4, p=np.array(shares) / sum(shares)))]
    if st is None:
        st = "none" if conduction == "LBBB" else ST_SEGMENTS[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    low, high = RATE_RANGES[rhythm]
    rate = int(rng.integers(low, high + 1))
    if conduction == "first-degree block":
        rate = min(rate, int(rng.integers(103, 118)))
    pr: int | None = None
    if conduction == "first-degree block":
        longest = min(400, 60_000 // rate - 180)  # P must not fall into the QRS before it
        pr = int(rng.integers(240, max(longest, 260)))
    elif rhythm != "atrial fibrillation":
        pr = int(rng.integers(120, 186 if rate < 110 else 161))
    wide = {"LBBB": (132, 176), "RBBB": (122, 166)}.get(conduction, (76, 106))
    return EcgLatents(
        rhythm=rhythm, conduction=conduction, st=st, rate_bpm=rate, pr_ms=pr, qrs_ms=int(rng.integers(*wide))
    )


def simulate_ecg(latents: EcgLatents, rng: np.random.Generator, noise: bool = True) -> NDArray[np.float32]:
    """One recording of `latents`: (12, 5000) float32 mV at 500 Hz, leads in the order of `LEADS`, unfiltered."""
    patient = sample_patient(latents.conduction, latents.st, latents.qrs_ms, rng)
    leads = np.zeros((8, SAMPLES))
    onsets, intervals = _beat_times(latents, rng)
    for onset, interval in zip(onsets, intervals, strict=True):
        beat = Beat(onset_s=onset, rr_s=interval, pr_s=None if latents.pr_ms is None else latents.pr_ms / 1000)
        draw_beat(leads, beat, patient, rng)
    if latents.rhythm == "atrial fibrillation":
        leads += fibrillation(patient, rng, SAMPLES)
    if noise:
        leads += recording_noise(rng, leads.shape, RATE_HZ)
    return twelve_leads(leads)


def twelve_leads(independent: NDArray[np.float64]) -> NDArray[np.float32]:
    """(8, N) I, II, V1-V6 -> (12, N): III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2."""
    one, two = independent[0], independent[1]
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.asarray(np.concatenate([np.stack(limbs), independent[2:]]), dtype=np.float32)


def _beat_times(latents: EcgLatents, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """QRS onsets (s) from before the recording to after it, and the interval that ends at each of them."""
    mean = 60.0 / latents.rate_bpm
    count = int(14 / mean) + 4
    if latents.rhythm == "atrial fibrillation":
        spread = rng.uniform(0.16, 0.28)
        factors = np.clip(rng.lognormal(-(spread**2) / 2, spread, count), 0.5, 1.9)
        factors = np.maximum(factors, 0.3 / mean)
    else:  # respiratory sinus arrhythmia and a little jitter
        breath = rng.uniform(3.0, 6.0)
        depth = rng.uniform(0.0, 0.07 if latents.rate_bpm < 100 else 0.015)
        phase = 2 * np.pi * np.arange(count) * mean / breath + rng.uniform(0, 2 * np.pi)
        factors = 1 + depth * np.sin(phase) + rng.normal(0, 0.008, count)
    start = -rng.uniform(1.0, 2.0) - rng.uniform(0, mean)
    onsets = start + np.cumsum(factors * mean)
    inside = (onsets >= 0) & (onsets < SAMPLES / RATE_HZ)
    # The rate is what a reader counts in these ten seconds, so stretch time until the intervals inside have its mean.
    measured = float(np.diff(onsets[inside]).mean())
    onsets = onsets[inside][0] + (onsets - onsets[inside][0]) * mean / measured
    intervals = np.diff(onsets, prepend=onsets[0] - mean)
    kept = (onsets > -1.5) & (onsets < SAMPLES / RATE_HZ + 0.6)
    return onsets[kept], intervals[kept]


def _pick(rng: np.random.Generator, choices: tuple[Rhythm, ...]) -> Rhythm:
    return choices[int(rng.integers(len(choices)))]
