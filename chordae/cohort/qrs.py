"""QRS complexes that show the axis, hypertrophy, Q waves and voltage that the latents say.

A loop of a few Gaussian dipoles is drawn at random for a person, turned in the frontal plane until the net area in I
and aVF has the wanted axis, seen by electrodes that lie a little elsewhere in everybody, and kept if `qrs_criteria`
says of it what the latents say; else another person is drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.latents import EcgLatents
from chordae.cohort.qrs_criteria import LOW_CHEST, LOW_LIMB, SOKOLOW_ABSENT, SOKOLOW_PRESENT, shows, sokolow_lyon

Array = NDArray[np.float64]

MOST_DRAWS = 400

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

# Directions (x to the left, y to the feet, z to the back), centre as a share of the QRS duration, width likewise.
_LOOPS = {
    "narrow": [
        ((-0.16, -0.05, -0.26), 0.22, 0.085),  # septum: r in V1, q in V6
        ((1.10, 0.75, 0.40), 0.50, 0.120),  # free walls
        ((-0.22, -0.12, 0.50), 0.76, 0.100),  # base
    ],
    "left hypertrophy": [
        ((-0.14, -0.05, -0.24), 0.20, 0.080),
        ((1.55, 0.75, 0.95), 0.50, 0.130),  # thick left wall: to the left and to the back
        ((-0.15, -0.10, 0.60), 0.76, 0.100),
    ],
    "right hypertrophy": [
        ((0.05, -0.05, -0.30), 0.22, 0.085),
        ((0.70, 0.65, -0.10), 0.42, 0.110),
        ((-0.85, 0.25, -0.30), 0.66, 0.110),  # thick right wall: to the right and forward
    ],
    "RBBB": [
        ((-0.16, -0.05, -0.24), 0.14, 0.055),
        ((1.05, 0.70, 0.30), 0.31, 0.085),
        ((-0.10, -0.08, 0.28), 0.46, 0.070),
        ((-0.36, 0.02, -0.78), 0.74, 0.115),  # right ventricle, late and slow: R' in V1, wide S in I and V6
    ],
    "LBBB": [
        ((0.42, 0.25, 0.42), 0.24, 0.110),  # septum from the right: no q in V6
        ((0.80, 0.35, 0.85), 0.48, 0.130),
        ((0.78, 0.10, 0.60), 0.74, 0.110),  # late left wall: notched broad R in V6, deep S in V1
    ],
}

# Early activation that a scar takes away: on I, II, V1-V6. III = II - I.
_LOSSES = {
    "anterior Q": np.array([0.0, 0.0, -0.28, -0.75, -0.85, -0.60, -0.12, 0.0]),
    "inferior Q": np.array([0.10, -0.42, 0.0, 0.0, 0.0, 0.0, 0.0, -0.05]),
}
# What is left of each lead's R wave over a scar.
_LEFT_OVER = {
    "anterior Q": np.array([1.0, 1.0, 0.8, 0.35, 0.35, 0.6, 0.95, 1.0]),
    "inferior Q": np.ones(8),
}
_CHEST_FOLLOWS = 0.45
"""Share of the turn in the frontal plane that the chest leads, being near and nearly horizontal, see."""


@dataclass(frozen=True)
class Waves:
    """Gaussian waves: centres and widths (s) of shape (J,), values on the eight leads (mV) of shape (J, 8)."""

    centres: Array
    widths: Array
    values: Array


def draw_qrs(latents: EcgLatents, rng: np.random.Generator) -> tuple[Waves, Array, Array]:
    """A person's QRS waves on the eight leads, what those leads see of a dipole, (8, 3), and the heart's (3, 3) turn.

    Times count from QRS onset; the turn is that in the horizontal plane, which P and T waves share.
    """
    for _ in range(MOST_DRAWS):
        electrodes = _electrodes(rng)
        waves, turn = _drawn(latents, electrodes, rng)
        if shows(latents, sampled(waves, latents.qrs_ms)):
            return waves, electrodes, turn
    raise ValueError(f"no QRS complex in {MOST_DRAWS} draws shows all of this: {latents}")


def sampled(waves: Waves, qrs_ms: int) -> Array:
    """The waves alone in twelve leads: (12, N) mV at 500 Hz, from 30 ms before to 30 ms after the QRS complex."""
    time = np.arange(-0.03, qrs_ms / 1000 + 0.03, 0.002)
    shapes = np.exp(-0.5 * ((time - waves.centres[:, None]) / waves.widths[:, None]) ** 2)
    one, two, *chest = waves.values.T @ shapes
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


def _drawn(latents: EcgLatents, electrodes: Array, rng: np.random.Generator) -> tuple[Waves, Array]:
    kind = "narrow" if latents.hypertrophy == "none" else f"{latents.hypertrophy} hypertrophy"
    if latents.conduction in ("LBBB", "RBBB"):
        kind = latents.conduction
    loop = _LOOPS[kind]
    directions = np.array([wave[0] for wave in loop])
    directions = directions * np.exp(rng.normal(0, 0.18, (len(loop), 1))) + rng.normal(0, 0.05, directions.shape)
    turn = rotation(0.0, np.deg2rad(rng.normal(0, 12)))
    directions = np.exp(rng.normal(0, 0.22)) * directions @ turn.T
    qrs_s = latents.qrs_ms / 1000
    centres = qrs_s * (np.array([wave[1] for wave in loop]) + rng.normal(0, 0.015, len(loop)))
    widths = qrs_s * np.array([wave[2] for wave in loop]) * np.exp(rng.normal(0, 0.06, len(loop)))
    loss = np.zeros(8)
    if latents.morphology in _LOSSES:
        loss = _LOSSES[latents.morphology] * rng.uniform(0.8, 1.4) * rng.uniform(0.8, 1.2, 8)
        centres[1] += 0.05 * qrs_s  # what is left of the wall is activated around the scar
        electrodes = electrodes * _LEFT_OVER[latents.morphology][:, None] ** rng.uniform(0.6, 1.6)
        centres = np.append(centres, qrs_s * rng.uniform(0.23, 0.29))
        widths = np.append(widths, qrs_s * rng.uniform(0.13, 0.16))
    # The late vector of right bundle branch block belongs to the right ventricle, whatever the left one's axis.
    turned = np.arange(len(loop)) < (len(loop) - 1 if kind == "RBBB" else len(loop))
    seen = directions @ electrodes.T
    stays = loss * widths[-1] + widths[: len(loop)][~turned] @ seen[~turned]
    areas = widths[: len(loop)][turned] @ directions[turned]
    angle = _angle(areas, electrodes, stays, _target(latents, rng))
    limb = directions @ rotation(angle, 0.0).T @ electrodes[:2].T
    chest = directions @ rotation(_CHEST_FOLLOWS * angle, 0.0).T @ electrodes[2:].T
    values = np.where(turned[:, None], np.concatenate([limb, chest], axis=1), seen)
    if loss.any():
        values = np.concatenate([values, loss[None]])
    waves = Waves(centres, widths, values)
    return Waves(centres, widths, values * _gains(latents, sampled(waves, latents.qrs_ms), rng)), turn


def _target(latents: EcgLatents, rng: np.random.Generator) -> float:
    """The axis in degrees that this person shall have."""
    if latents.axis == "left":
        return float(rng.uniform(-73, -43))
    if latents.axis == "right":
        return float(rng.uniform(107, 147))
    if latents.hypertrophy == "right":
        return float(rng.uniform(45, 82))
    middle, spread, highest = {"inferior Q": (0.0, 14.0, 30.0)}.get(latents.morphology, (40.0, 25.0, 82.0))
    return float(np.clip(rng.normal(middle, spread), -20 + rng.uniform(-3, 3), highest))


def _angle(areas: Array, electrodes: Array, stays: Array, target: float) -> float:
    """The turn in the frontal plane (radians) of areas (3,) which, beside what stays on eight leads, gives the axis."""
    angles = np.deg2rad(np.arange(-180.0, 180.0, 1.0))
    cosine, sine = np.cos(angles), np.sin(angles)
    x, y = areas[0] * cosine - areas[1] * sine, areas[0] * sine + areas[1] * cosine
    one, two = (row[0] * x + row[1] * y + row[2] * areas[2] + stays[k] for k, row in enumerate(electrodes[:2]))
    degrees = np.degrees(np.arctan2((two - one / 2) * 2 / 3**0.5, one))
    return float(angles[np.argmin(np.abs((degrees - target + 180) % 360 - 180))])


def _gains(latents: EcgLatents, qrs: Array, rng: np.random.Generator) -> Array:
    """(8,) factors of the limb and the chest leads that bring the voltages to where the latents say."""
    limb_swing, chest_swing = np.ptp(qrs[:6], axis=1).max(), np.ptp(qrs[6:], axis=1).max()
    limb = chest = 1.0
    if latents.morphology == "low voltage":
        limb = LOW_LIMB * rng.uniform(0.5, 0.92) / limb_swing
        chest = LOW_CHEST * rng.uniform(0.55, 0.93) / chest_swing
    elif latents.conduction in ("LBBB", "RBBB") or latents.hypertrophy == "right":
        limb = max(1.0, LOW_LIMB * rng.uniform(1.25, 1.8) / limb_swing)
        chest = max(1.0, LOW_CHEST * rng.uniform(1.25, 1.8) / chest_swing)
    elif latents.hypertrophy == "left":
        limb = max(1.0, LOW_LIMB * rng.uniform(1.6, 3.0) / limb_swing)
        chest = rng.uniform(SOKOLOW_PRESENT + 0.05, 5.6) / sokolow_lyon(qrs)
    else:
        limb = max(1.0, LOW_LIMB * rng.uniform(1.25, 1.8) / limb_swing)
        highest = SOKOLOW_ABSENT * rng.uniform(0.75, 0.99) / max(sokolow_lyon(qrs), 0.01)
        chest = min(max(1.0, LOW_CHEST * rng.uniform(1.25, 1.8) / chest_swing), highest)
    return np.array([limb] * 2 + [chest] * 6)


def rotation(frontal: float, horizontal: float) -> Array:
    """Turn the heart in the frontal plane (axis) and the horizontal plane (transition); radians."""
    a, b = np.cos(frontal), np.sin(frontal)
    c, d = np.cos(horizontal), np.sin(horizontal)
    in_front = np.array([[a, -b, 0], [b, a, 0], [0, 0, 1]])
    from_above = np.array([[c, 0, -d], [0, 1, 0], [d, 0, c]])
    return np.asarray(in_front @ from_above)


def _electrodes(rng: np.random.Generator) -> Array:
    """Dower's matrix for one chest: (8, 3), each lead a little off in direction and gain."""
    scale = np.exp(rng.normal(0, 0.12, (8, 1)))
    scale[:2] = np.exp(rng.normal(0, 0.05, (2, 1)))
    return np.asarray(DOWER * scale + rng.normal(0, 0.05, DOWER.shape))
