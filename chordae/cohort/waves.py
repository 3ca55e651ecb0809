"""P, ST, T and f waves beside the QRS complex of `qrs`, and how a patient's vary.

Axes: x to the patient's left, y to the feet, z to the back; millivolts and seconds. A wave is a Gaussian in time with
a direction in space, which the electrodes of `qrs` turn into I, II, V1-V6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.latents import EcgLatents
from chordae.cohort.qrs import Waves, draw_qrs, rotation

RATE_HZ = 500
Array = NDArray[np.float64]

# ST elevation of 1 in the territory's strongest lead, on I, II, V1-V6. Limb leads: III = II - I, aVL = I - II / 2.
ST_PATTERNS: dict[str, Array] = {
    "none": np.zeros(8),
    "anterior": np.array([0.15, -0.15, 0.55, 1.0, 1.0, 0.8, 0.35, 0.1]),
    "inferior": np.array([-0.2, 0.9, -0.05, -0.4, -0.3, -0.1, 0.05, 0.1]),
    "diffuse": np.array([0.95, 1.0, 0.05, 0.75, 0.95, 1.0, 0.95, 0.8]),
}


@dataclass(frozen=True)
class Patient:
    """One person's waves; times count from QRS onset, P's from its own onset."""

    p: Waves
    qrs: Waves
    t: Waves  # times as shares of the QT interval
    st: Array
    """ST level on the eight leads, mV."""
    st_bend: float
    """How much higher the segment ends than it begins, as a share: concave above 0, convex below."""
    qrs_s: float
    qtc_s: float
    fibrillation: Array
    """Size of f waves on the eight leads, mV."""


@dataclass(frozen=True)
class Beat:
    """One beat: QRS onset in the recording, the interval before it, its PR interval (none: no P wave); seconds."""

    onset_s: float
    rr_s: float
    pr_s: float | None


_T = {"narrow": (0.30, 0.24, -0.17), "RBBB": (0.28, 0.22, 0.12), "LBBB": (-0.34, -0.10, -0.36)}
_T_STRAIN_LEFT = (-0.34, 0.08, -0.22)  # away from the thick left wall: inverted in I, aVL, V4-V6
_T_STRAIN_RIGHT = (0.26, 0.02, 0.26)  # away from the right one: inverted in V1-V3


def sample_patient(latents: EcgLatents, rng: np.random.Generator) -> Patient:
    """A person with these latents: sizes, shapes and electrode places vary."""
    qrs, leads, turn = draw_qrs(latents, rng)
    t_values = _t_wave(latents, leads, turn, rng)
    level = _st_level(latents.st, rng)
    if latents.st != "none":  # tall T waves over the elevated segment
        t_values = t_values + level * rng.uniform(0.2, 0.9)
    t = Waves(
        # The steepest tangent of the second half meets the baseline at the end of the QT interval.
        centres=np.array([0.78, 0.857]) + rng.normal(0, 0.012),
        widths=np.array([0.117, 0.067]) * np.exp(rng.normal(0, 0.1)),
        values=np.stack([0.55 * t_values, 0.55 * t_values]),
    )
    p_scale = np.exp(rng.normal(0, 0.2))
    p_directions = np.array([[0.03, 0.075, -0.035], [0.07, 0.06, 0.04]]) * p_scale + rng.normal(0, 0.006, (2, 3))
    p = Waves(
        centres=np.array([0.035, 0.065]),
        widths=np.array([0.017, 0.019]) * np.exp(rng.normal(0, 0.08)),
        values=p_directions @ leads.T,
    )
    f_size = rng.uniform(0.025, 0.09)
    f_waves = f_size * np.array([0.15, 0.7, 1.0, 0.6, 0.35, 0.2, 0.15, 0.15]) * rng.uniform(0.6, 1.4, 8)
    return Patient(
        p=p,
        qrs=qrs,
        t=t,
        st=level + _st_background(latents, qrs, rng),
        st_bend={"diffuse": rng.uniform(0.4, 0.8), "none": 0.0}.get(latents.st, rng.uniform(-0.4, 0.2)),
        qrs_s=latents.qrs_ms / 1000,
        qtc_s=latents.qtc_ms / 1000,
        fibrillation=f_waves,
    )


def _t_wave(latents: EcgLatents, leads: Array, turn: Array, rng: np.random.Generator) -> Array:
    """(8,) mV, the height of T without what an elevated ST segment adds."""
    kind = latents.conduction if latents.conduction in ("LBBB", "RBBB") else "narrow"
    inverted = latents.morphology == "T inversion"
    while True:
        direction = np.array(_T[kind])
        if inverted:
            direction = np.array(_T_STRAIN_LEFT) * np.exp(rng.normal(0, 0.25))
        elif latents.hypertrophy == "right" and rng.random() < 0.7:
            direction = np.array(_T_STRAIN_RIGHT)
        direction = direction * np.exp(rng.normal(0, 0.32)) + rng.normal(0, 0.04, 3)
        if kind == "narrow" and not inverted:
            # T waves of 1 mV and more in V2-V4 are normal (Surawicz et al. 2009, Part IV)
            direction[2] *= np.exp(rng.normal(0, 0.6))
            if rng.random() < 0.12:  # flat T waves without any other finding do occur
                direction *= rng.uniform(0.1, 0.4)
        if latents.morphology == "inferior Q" and rng.random() < 0.55:
            direction[1] = -abs(direction[1]) * rng.uniform(0.5, 1.1)
        direction = rotation(np.deg2rad(np.clip(rng.normal(0, 15), -30, 30)), 0.0) @ turn @ direction
        values = leads @ direction
        if latents.morphology == "low voltage":
            values *= rng.uniform(0.2, 0.5)
        lateral = np.array([values[0], values[0] - values[1] / 2, *values[5:8]])  # I, aVL, V4-V6
        if inverted and lateral.max() < -0.05 and lateral[3:].min() < -0.14:
            break
        if not inverted and (kind == "LBBB" or min(values[0], values[6], values[7]) > -0.02):
            break
    if latents.morphology == "anterior Q" and latents.st == "none" and rng.random() < 0.55:  # over the scar
        values[2:6] = -np.abs(values[2:6]) * rng.uniform(0.4, 1.0) - rng.uniform(0.03, 0.15)
    return np.asarray(values)


def _st_level(st: str, rng: np.random.Generator) -> Array:
    """(8,) mV of primary ST shift."""
    if st == "diffuse":  # up to 0.3 mV, and 0.1 mV in aVL, which sees the least of it
        return rng.uniform(0.24, 0.31) * ST_PATTERNS[st] * rng.uniform(0.95, 1.05, 8)
    return rng.uniform(0.16, 0.42) * ST_PATTERNS[st] * rng.uniform(0.8, 1.2, 8)


def _st_background(latents: EcgLatents, qrs: Waves, rng: np.random.Generator) -> Array:
    """(8,) mV of ST shift that is no finding of its own."""
    background = rng.normal(0, 0.018, 8)
    if latents.morphology == "T inversion":  # strain
        background[[0, 5, 6, 7]] -= rng.uniform(0.02, 0.13)
    elif latents.st == "none" and rng.random() < 0.15:  # strain-like depression, no elevation
        background[[0, 5, 6, 7]] -= rng.uniform(0.03, 0.1)
    if latents.conduction == "LBBB":
        return np.asarray(background - 0.10 * qrs.values.sum(axis=0))
    if latents.conduction != "RBBB":
        background[3:5] += rng.uniform(0, 0.1)  # in health the J point of V2-V3 lies up to 0.1 mV high
    return background


def draw_beat(leads: Array, beat: Beat, patient: Patient, rng: np.random.Generator) -> None:
    """Add one beat to (8, N) leads in place."""
    gain = rng.normal(1, 0.03)
    qt = patient.qtc_s * min(max(beat.rr_s, 0.35), 1.7) ** (1 / 3)  # Fridericia
    first = max(int((beat.onset_s - 0.5) * RATE_HZ), 0)
    last = min(int((beat.onset_s + 1.25 * qt + 0.1) * RATE_HZ), leads.shape[1])
    if last <= first:
        return
    time = np.arange(first, last) / RATE_HZ - beat.onset_s
    part = leads[:, first:last]
    part += gain * _draw(patient.qrs, time)
    part += gain * _draw(patient.t, time / qt)
    end = 0.87 * qt
    rise = 1 / (1 + np.exp(-(time - 0.97 * patient.qrs_s) / 0.008))
    fall = 1 / (1 + np.exp((time - end) / 0.022))
    along = np.clip((time - patient.qrs_s) / (end - patient.qrs_s), 0, 1) - 0.4
    part += patient.st[:, None] * (rise * fall * (1 + patient.st_bend * along))
    if beat.pr_s is not None:
        part += _draw(patient.p, time + beat.pr_s + rng.normal(0, 0.002))


def fibrillation(patient: Patient, rng: np.random.Generator, samples: int) -> Array:
    """(8, samples) mV of f waves: 4-9 a second, never quite the same, largest in V1 and II."""
    time = np.arange(samples) / RATE_HZ
    base = rng.uniform(5.0, 8.0)
    wander = 0.8 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time + rng.uniform(0, 6.28))
    drift = np.cumsum(rng.normal(0, 0.35, samples // 25 + 2)) * 0.35
    phase = 2 * np.pi * np.cumsum(base + wander) / RATE_HZ + np.interp(time, np.arange(len(drift)) * 0.05, drift)
    swell = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.9) * time + rng.uniform(0, 6.28))
    wave = swell * (np.sin(phase) + rng.uniform(0.15, 0.4) * np.sin(2 * phase + rng.uniform(0, 6.28)))
    return patient.fibrillation[:, None] * wave


def twelve_leads(independent: Array) -> NDArray[np.float32]:
    """(8, N) I, II, V1-V6 -> (12, N): III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2."""
    one, two = independent[0], independent[1]
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.asarray(np.concatenate([np.stack(limbs), independent[2:]]), dtype=np.float32)


def _draw(waves: Waves, time: Array) -> Array:
    shapes = np.exp(-0.5 * ((time[None, :] - waves.centres[:, None]) / waves.widths[:, None]) ** 2)
    return np.asarray(waves.values.T @ shapes)
