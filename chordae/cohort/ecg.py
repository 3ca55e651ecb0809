"""Simulated 12-lead ECGs with known truth.

A heart dipole (a vectorcardiogram made of Gaussian waves, after McSharry et al., IEEE Trans Biomed Eng 2003;50:289)
is projected to the eight independent leads with Dower's matrix (Dower et al., J Electrocardiol 1980;13:27) and the
other four limb leads follow from Einthoven and Goldberger. Conduction follows the criteria of AHA/ACCF/HRS 2009
(Circulation 2009;119:e235): bundle branch block from 120 ms with its shapes in V1 and V6, first-degree block from a
PR interval above 200 ms. Axis, hypertrophy, Q waves and voltage obey `qrs_criteria`; `waves` has T waves and ST
segments. ST elevation follows the fourth universal definition of myocardial infarction (J point from 0.1 mV, 0.2 mV in
V2-V3, in contiguous leads) with reciprocal depression.

Everything is a function of the latents and a random generator: the same seed is the same recording.
"""

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.latents import (
    CONDUCTIONS,
    RATE_RANGES,
    RHYTHMS,
    ST_SEGMENTS,
    Axis,
    Conduction,
    EcgLatents,
    Hypertrophy,
    Morphology,
    Rhythm,
    StSegment,
    sample_latents,
)
from chordae.cohort.noise import recording_noise
from chordae.cohort.waves import RATE_HZ, Beat, draw_beat, fibrillation, sample_patient, twelve_leads

__all__ = [
    "CONDUCTIONS",
    "LEADS",
    "RATE_HZ",
    "RATE_RANGES",
    "RHYTHMS",
    "SAMPLES",
    "ST_SEGMENTS",
    "Axis",
    "Conduction",
    "EcgLatents",
    "Hypertrophy",
    "Morphology",
    "Rhythm",
    "StSegment",
    "sample_latents",
    "simulate_ecg",
    "twelve_leads",
]

SAMPLES = 5000
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def simulate_ecg(
    latents: EcgLatents, rng: np.random.Generator, noise: float = 1.0, mains_hz: int | None = None
) -> NDArray[np.float32]:
    """One recording of `latents`: (12, 5000) float32 mV at 500 Hz, leads in the order of `LEADS`, unfiltered.

    `noise` is how many times the usual noise there is, 0 (or False) for none; `mains_hz` is 50 or 60, by default
    either.
    """
    patient = sample_patient(latents, rng)
    leads = np.zeros((8, SAMPLES))
    onsets, intervals = _beat_times(latents, rng)
    for onset, interval in zip(onsets, intervals, strict=True):
        beat = Beat(onset_s=onset, rr_s=interval, pr_s=None if latents.pr_ms is None else latents.pr_ms / 1000)
        draw_beat(leads, beat, patient, rng)
    if latents.rhythm == "atrial fibrillation":
        leads += fibrillation(patient, rng, SAMPLES)
    if noise:
        leads += float(noise) * recording_noise(rng, (8, SAMPLES), RATE_HZ, mains_hz)
    return twelve_leads(leads)


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
