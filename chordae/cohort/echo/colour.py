"""Colour Doppler: a box in which moving blood is red towards the transducer and blue away from it.

Flow is the ordinary one only, filling in diastole and ejection in systole: colour clips are here because real studies
have them, not as evidence of valve disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.echo.windows import Plane
from chordae.cohort.heart import BLOOD, Heart

Picture = NDArray[np.uint8]
_IS_BLOOD = np.isin(np.arange(16), BLOOD)
_WALL_GREY = 70
"""Where the picture is brighter there is tissue, and no colour."""


@dataclass(frozen=True)
class ColourBox:
    """First sample and the one behind the last, in range and across the beams, of the fine polar grid."""

    ranges: tuple[int, int]
    beams: tuple[int, int]
    points: NDArray[np.float32]
    """(n, m, 3) heart coordinates of every second sample."""


def draw_box(plane: Plane, ranges: int, beams: int, rng: np.random.Generator) -> ColourBox:
    """A box in the middle of the sector, where the valves are."""
    top = int(ranges * rng.uniform(0.30, 0.42))
    left = int(beams * rng.uniform(0.18, 0.34))
    bottom = min(ranges - 6, top + int(ranges * rng.uniform(0.34, 0.46)))
    right = min(beams - 6, left + int(beams * rng.uniform(0.38, 0.5)))
    return ColourBox((top, bottom), (left, right), plane.points(ranges, beams)[top:bottom:2, left:right:2])


def flow(grey: Picture, heart: Heart, box: ColourBox, phase: float, apical: bool) -> Picture:
    """(ranges, beams, 3) BGR: the grey picture with the box's blood coloured and its frame drawn."""
    picture = cv2.merge([grey, grey, grey])
    rows, columns = slice(*box.ranges), slice(*box.beams)
    blood = _IS_BLOOD[heart.at(box.points, phase).tissue].astype(np.float32)
    size = (box.beams[1] - box.beams[0], box.ranges[1] - box.ranges[0])
    # slowest at the walls, and told from still blood only where it is fast
    blood = cv2.GaussianBlur(cv2.resize(blood, size, interpolation=cv2.INTER_LINEAR), (0, 0), 5)
    end = heart.shape.systole
    systole = phase < end
    early, late = np.exp(-(((phase - end - 0.16) / 0.1) ** 2)), 0.6 * np.exp(-(((phase - 0.9) / 0.06) ** 2))
    speed = np.sin(np.pi * phase / end) if systole else early + late
    towards = (not systole) if apical else systole
    velocity = np.float32(speed) * blood * (0.5 + grey[rows, columns].astype(np.float32) / 100)
    shown = (velocity > 0.3) & (grey[rows, columns] < _WALL_GREY)
    bright = np.clip(velocity * 210 + 40, 0, 255).astype(np.uint8)
    part = picture[rows, columns]
    channel = 2 if towards else 0
    part[shown] = 0
    part[..., channel][shown] = bright[shown]
    part[..., 1][shown] = np.where(bright > 190, bright - 110, 25)[shown]
    cv2.rectangle(picture, (box.beams[0], box.ranges[0]), (box.beams[1] - 1, box.ranges[1] - 1), (170, 170, 170), 1)
    return np.asarray(picture, np.uint8)
