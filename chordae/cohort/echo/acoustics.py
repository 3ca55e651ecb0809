"""What the machine makes of labels: grey levels of tissue, of interfaces, of depth, and of a poor window.

Levels are grey values of a log-compressed picture, so that gain and attenuation add, and speckle too.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.echo.speckle import Array, smooth_noise
from chordae.cohort.echo.windows import Plane, View
from chordae.cohort.heart import Heart, Labels, Tissue
from chordae.cohort.truth import Truth

RANGES, BEAMS = 128, 96
"""Samples at which labels are asked for."""

_LEVEL = np.zeros(len(Tissue), np.float32)
_IMPEDANCE = np.zeros(len(Tissue), np.float32)
for _tissue, _grey, _impedance in (
    (Tissue.OUTSIDE, 34, 2.1),
    (Tissue.FAT, 84, 1.0),
    (Tissue.FLUID, -40, 0.0),
    (Tissue.VESSEL_WALL, 122, 1.2),
    (Tissue.AORTA, -10, 0.0),
    (Tissue.LA_CAVITY, -11, 0.0),
    (Tissue.RA_CAVITY, -11, 0.0),
    (Tissue.RV_WALL, 108, 0.7),
    (Tissue.RV_CAVITY, -6, 0.0),
    (Tissue.MYOCARDIUM, 110, 0.6),
    (Tissue.LV_CAVITY, -9, 0.0),
    (Tissue.TRABECULAE, 112, 0.7),
    (Tissue.PAPILLARY, 120, 0.7),
    (Tissue.VALVE, 146, 0.9),
):
    _LEVEL[_tissue], _IMPEDANCE[_tissue] = _grey, _impedance

SCAR_GREY = 22.0
"""Collagen and amyloid scatter more than muscle; oedema, and fibrosis that is spread out, hardly do."""
INTERFACE_GREY = 68.0
"""Of an interface across the beam, per step of impedance."""
CLOSED_VALVE = 0.7
"""Step of impedance that a closed tricuspid or aortic valve, which the labels do not have, stands for."""


@dataclass(frozen=True)
class Window:
    """What a clip's picture owes to the chest it was taken through: (RANGES, BEAMS) grey levels that add, and blur."""

    gain: Array
    haze: Array
    """At least this level: reverberation of the chest wall, clutter."""
    body: Array
    """Texture of what lies outside the heart."""
    blur: float


def draw_window(plane: Plane, quality: float, noise: float, view: View, rng: np.random.Generator) -> Window:
    """A window of `quality` 0 (hardly to be read) to 1 (excellent); the machine has `noise` times the usual clutter."""
    shape = (RANGES, BEAMS)
    poor = min((1 - quality) * noise, 1.1)
    depth = np.linspace(plane.near, plane.depth, RANGES, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, BEAMS, dtype=np.float32)[None, :]
    gain = np.full(shape, rng.normal(2, 5), np.float32)
    gain -= (0.08 + 0.28 * poor) * np.maximum(depth - 50, 0)
    gain -= (16 + 26 * poor) * np.abs(across) ** 3  # fewer elements look aside
    dropout = smooth_noise(shape, (RANGES, BEAMS / 7), rng)  # ribs, lung: along beams
    gain -= (34 + 90 * poor) * np.clip(dropout - (1.6 - 1.3 * poor), 0, 1.2) * np.clip(depth / 40, 0, 1)
    gain += 7 * smooth_noise(shape, (RANGES / 5, BEAMS / 5), rng)
    near = np.exp(-((depth / 9) ** 2))
    bands = 20 * np.cos(depth * rng.uniform(1.1, 1.6)) * np.exp(-depth / 7)
    clutter = np.clip(smooth_noise(shape, (RANGES / 6, BEAMS / 4), rng) - 0.3, 0, 2) * np.exp(-depth / 55)
    haze = -30 + 105 * poor**2 + 125 * near + bands + (26 + 70 * poor) * clutter
    body = 15 * smooth_noise(shape, (RANGES / 12, BEAMS / 7), rng) + 7 * smooth_noise(shape, (3, BEAMS / 4), rng)
    if view == "SUBCOSTAL":  # liver: even and mid-grey, up to the heart
        body = body * 0.45 + 26 * (depth < 45)
    return Window(
        gain, np.asarray(haze, np.float32), np.asarray(body, np.float32), 0.55 + 1.5 * max(0.0, 0.6 - quality)
    )


def scar_grey(truth: Truth) -> float:
    """How much brighter a patient's diseased myocardium is."""
    if truth.category == "amyloidosis":
        return SCAR_GREY
    return SCAR_GREY if truth.category == "myocardial infarction" and not truth.acute else 0.0


def levels(labels: Labels, systole: bool, window: Window, scar: float) -> Array:
    """(RANGES, BEAMS) grey levels without speckle, not clipped. Labels on the same grid."""
    tissue = labels.tissue
    grey = _LEVEL[tissue]
    outside = tissue == Tissue.OUTSIDE
    grey += np.float32(scar) * labels.lesion
    grey += np.where(outside, window.body, np.float32(0))
    impedance = _IMPEDANCE.copy()
    impedance[Tissue.RA_CAVITY if systole else Tissue.AORTA] += CLOSED_VALVE
    sharp = impedance[tissue]
    step = np.zeros_like(grey)
    np.abs(sharp[1:] - sharp[:-1], out=step[1:])
    # an interface along the beam meets few samples of each beam: across beams it fades
    step = cv2.GaussianBlur(step, (5, 3), sigmaX=1.3, sigmaY=0.8)
    grey = cv2.GaussianBlur(grey, (5, 3), sigmaX=0.3 + window.blur, sigmaY=window.blur)
    grey += np.float32(INTERFACE_GREY * 2) * step
    grey += window.gain
    np.maximum(grey, window.haze, out=grey)
    return np.asarray(grey, np.float32)


def cycle_levels(heart: Heart, plane: Plane, window: Window, phases: int, scar: float) -> Array:
    """(phases, RANGES, BEAMS): the levels at so many moments, evenly over a cycle from the R wave."""
    points = plane.points(RANGES, BEAMS)
    systole = heart.shape.systole
    found = np.empty((phases, RANGES, BEAMS), np.float32)
    for number in range(phases):
        phase = number / phases
        found[number] = levels(heart.at(points, phase), 0.04 < phase < systole + 0.05, window, scar)
    return found


def labels_of(heart: Heart, plane: Plane, phase: float, ranges: int = RANGES, beams: int = BEAMS) -> NDArray[np.uint8]:
    """(ranges, beams) of `Tissue`: the truth of what a sector shows."""
    return heart.at(plane.points(ranges, beams), phase).tissue
