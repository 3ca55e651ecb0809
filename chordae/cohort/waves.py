"""P, QRS, ST, T and f waves as moving dipoles, and how a patient's vary.

Axes: x to the patient's left, y to the feet, z to the back; millivolts and seconds. A wave is a Gaussian in time with
a direction in space; Dower's matrix turns directions into I, II, V1-V6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 500
Array = NDArray[np.float64]

# Dower et al. 1980: rows I, II, V1-V6 of the inverse transform.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

# ST elevation of 1 in the territory's strongest lead, on I, II, V1-V6. Limb leads: III = II - I, aVL = I - II / 2.
ST_PATTERNS: dict[str, Array] = {
    "none": np.zeros(8),
    "anterior": np.array([0.15, -0.15, 0.55, 1.0, 1.0, 0.8, 0.35, 0.1]),
    "inferior": np.array([-0.2, 0.9, -0.05, -0.4, -0.3, -0.1, 0.05, 0.1]),
}


@dataclass(frozen=True)
class Waves:
    """Gaussian waves: centres and widths (s) of shape (J,), values on the eight leads (mV) of shape (J, 8)."""

    centres: Array
    widths: Array
    values: Array


@dataclass(frozen=True)
class Patient:
    """One person's waves; times count from QRS onset, P's from its own onset."""

    p: Waves
    qrs: Waves
    t: Waves  # times as shares of the QT interval
    st: Array
    """ST level on the eight leads, mV."""
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


# Directions (x, y, z), centre as a share of the QRS duration, width likewise.
_QRS = {
    "narrow": [
        ((-0.16, -0.05, -0.26), 0.22, 0.085),  # septum: r in V1, q in V6
        ((1.10, 0.75, 0.40), 0.50, 0.120),  # free walls
        ((-0.22, -0.12, 0.50), 0.76, 0.100),  # base
    ],
    "RBBB": [
        ((-0.16, -0.05, -0.24), 0.14, 0.055),
        ((1.00, 0.70, 0.30), 0.31, 0.075),
        ((-0.10, -0.08, 0.28), 0.46, 0.070),
        ((-0.55, 0.02, -0.72), 0.74, 0.120),  # right ventricle, late and slow: R' in V1, wide S in I and V6
    ],
    "LBBB": [
        ((0.42, 0.25, 0.42), 0.24, 0.110),  # septum from the right: no q in V6
        ((0.80, 0.35, 0.85), 0.48, 0.130),
        ((0.78, 0.10, 0.60), 0.74, 0.110),  # late left wall: notched broad R in V6, deep S in V1
    ],
}
_T = {"narrow": (0.30, 0.24, -0.17), "RBBB": (0.28, 0.22, 0.12), "LBBB": (-0.34, -0.10, -0.36)}


def sample_patient(conduction: str, st: str, qrs_ms: int, rng: np.random.Generator) -> Patient:
    """A person with this conduction and ST segment: axis, sizes, shapes and electrode places vary."""
    kind = conduction if conduction in ("LBBB", "RBBB") else "narrow"
    leads = _electrodes(rng)
    turn = _rotation(np.deg2rad(rng.normal(0, 20)), np.deg2rad(rng.normal(0, 12)))
    size = np.exp(rng.normal(0, 0.22))
    qrs_s = qrs_ms / 1000

    directions = np.array([wave[0] for wave in _QRS[kind]])
    directions = directions * np.exp(rng.normal(0, 0.18, (len(directions), 1))) + rng.normal(0, 0.05, directions.shape)
    qrs = Waves(
        centres=qrs_s * (np.array([wave[1] for wave in _QRS[kind]]) + rng.normal(0, 0.015, len(directions))),
        widths=qrs_s * np.array([wave[2] for wave in _QRS[kind]]) * np.exp(rng.normal(0, 0.06, len(directions))),
        values=size * directions @ turn.T @ leads.T,
    )

    t_direction = np.array(_T[kind]) * size**0.5 * np.exp(rng.normal(0, 0.3)) + rng.normal(0, 0.04, 3)
    if kind == "narrow":  # T waves of 1 mV and more in V2-V4 are normal (Surawicz et al. 2009, Part IV)
        t_direction[2] *= np.exp(rng.normal(0, 0.6))
    if kind == "narrow" and rng.random() < 0.12:  # flat or inverted T waves without ST elevation do occur
        t_direction = t_direction * rng.uniform(-0.7, 0.3)
    t_values = (t_direction @ turn.T) @ leads.T
    level = rng.uniform(0.16, 0.42) * ST_PATTERNS[st] * rng.uniform(0.8, 1.2, 8)
    if st != "none":  # tall T waves over the elevated segment
        t_values = t_values + level * rng.uniform(0.2, 0.9)
    t = Waves(
        centres=np.array([0.70, 0.77]) + rng.normal(0, 0.012),
        widths=np.array([0.105, 0.060]) * np.exp(rng.normal(0, 0.1)),
        values=np.stack([0.55 * t_values, 0.55 * t_values]),
    )

    background = rng.normal(0, 0.018, 8)
    if st == "none" and rng.random() < 0.15:  # strain-like depression, no elevation
        background[[0, 5, 6, 7]] -= rng.uniform(0.03, 0.1)
    if kind == "narrow":
        background[3:5] += rng.uniform(0, 0.1)  # in health the J point of V2-V3 lies up to 0.1 mV high
    discordant = -0.10 * qrs.values.sum(axis=0) if kind == "LBBB" else np.zeros(8)

    p_scale = np.exp(rng.normal(0, 0.2))
    p_directions = np.array([[0.03, 0.075, -0.035], [0.07, 0.06, 0.04]]) * p_scale + rng.normal(0, 0.006, (2, 3))
    p = Waves(
        centres=np.array([0.035, 0.065]),
        widths=np.array([0.017, 0.019]) * np.exp(rng.normal(0, 0.08)),
        values=p_directions @ leads.T,
    )
    f_size = rng.uniform(0.025, 0.09)
    f_waves = f_size * np.array([0.15, 0.7, 1.0, 0.6, 0.35, 0.2, 0.15, 0.15]) * rng.uniform(0.6, 1.4, 8)
    return Patient(p, qrs, t, level + background + discordant, qrs_s, rng.uniform(0.36, 0.44), f_waves)


def draw_beat(leads: Array, beat: Beat, patient: Patient, rng: np.random.Generator) -> None:
    """Add one beat to (8, N) leads in place."""
    gain = rng.normal(1, 0.03)
    qt = patient.qtc_s * min(max(beat.rr_s, 0.35), 1.4) ** (1 / 3) + max(patient.qrs_s - 0.1, 0.0)  # Fridericia
    first = max(int((beat.onset_s - 0.5) * RATE_HZ), 0)
    last = min(int((beat.onset_s + qt + 0.25) * RATE_HZ), leads.shape[1])
    if last <= first:
        return
    time = np.arange(first, last) / RATE_HZ - beat.onset_s
    part = leads[:, first:last]
    part += gain * _draw(patient.qrs, time)
    part += gain * _draw(patient.t, time / qt)
    rise = 1 / (1 + np.exp(-(time - 0.97 * patient.qrs_s) / 0.008))
    fall = 1 / (1 + np.exp((time - 0.80 * qt) / 0.022))
    part += patient.st[:, None] * rise * fall
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


def _draw(waves: Waves, time: Array) -> Array:
    shapes = np.exp(-0.5 * ((time[None, :] - waves.centres[:, None]) / waves.widths[:, None]) ** 2)
    return np.asarray(waves.values.T @ shapes)


def _electrodes(rng: np.random.Generator) -> Array:
    """Dower's matrix for one chest: (8, 3), each lead a little off in direction and gain."""
    scale = np.exp(rng.normal(0, 0.12, (8, 1)))
    scale[:2] = np.exp(rng.normal(0, 0.05, (2, 1)))
    return np.asarray(DOWER * scale + rng.normal(0, 0.05, DOWER.shape))


def _rotation(frontal: float, horizontal: float) -> Array:
    """Turn the heart in the frontal plane (axis) and the horizontal plane (transition)."""
    a, b = np.cos(frontal), np.sin(frontal)
    c, d = np.cos(horizontal), np.sin(horizontal)
    in_front = np.array([[a, -b, 0], [b, a, 0], [0, 0, 1]])
    from_above = np.array([[c, 0, -d], [0, 1, 0], [d, 0, c]])
    return np.asarray(in_front @ from_above)
