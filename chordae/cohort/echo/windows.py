"""Where the transducer stands and which plane it cuts, in heart coordinates: the standard views of a study.

Windows and orientation follow the ASE guideline (Mitchell et al., J Am Soc Echocardiogr 2019;32:1): apical views have
the apex on top, the parasternal long axis has it on the left, the short axis has the right ventricle on the left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.heart import Heart, Tissue

View = Literal["PLAX", "PSAX mitral", "PSAX papillary", "PSAX apex", "A4C", "A2C", "A3C", "SUBCOSTAL"]
VIEWS: tuple[View, ...] = get_args(View)
"""In the order in which a sonographer records them."""

Vector = NDArray[np.float64]
PARASTERNAL, SHORT_AXIS, SUBCOSTAL = 138.0, 117.0, 203.0
"""Degrees around the long axis, 0 lateral and 90 anterior, at which the transducer stands."""
APICAL: dict[View, float] = {"A4C": 4.0, "A2C": 84.0, "A3C": 128.0}
"""Degrees of what is on the right of the picture: lateral, anterior, anteroseptal wall."""
LEVELS: dict[View, float] = {"PSAX mitral": 0.25, "PSAX papillary": 0.54, "PSAX apex": 0.80}
"""Of the short axis, as shares of the length at end-diastole; the mitral valve still is there at end-systole."""
PARASTERNAL_LEVEL, SUBCOSTAL_LEVEL = 0.13, 0.30
SKIN_MM: dict[str, float] = {"apical": 13.0, "parasternal": 22.0, "subcostal": 30.0}
"""From the transducer to the pericardium: chest wall, and liver below the ribs."""
DEPTH_STEP_MM, DEEPEST_MM = 10.0, 240.0


@dataclass(frozen=True)
class Plane:
    """A sector: where it begins, which way it looks and which way is right on the screen; lengths in mm."""

    origin: Vector
    down: Vector
    right: Vector
    depth: float
    degrees: float
    near: float = 0.0
    """Where the picture begins: above 0 for a zoomed one."""
    aside: float = 0.0
    """Degrees by which a zoomed picture is turned from the middle."""

    def points(self, ranges: int, beams: int) -> NDArray[np.float32]:
        """(ranges, beams, 3) heart coordinates: what each sample of each beam meets."""
        along = np.linspace(self.near, self.depth, ranges)[:, None, None]
        angle = np.deg2rad(self.angles(beams))[None, :, None]
        ray = np.cos(angle) * self.down + np.sin(angle) * self.right
        return np.asarray(self.origin + along * ray, np.float32)

    def angles(self, beams: int) -> Vector:
        """(beams,) degrees from the middle of the sector, to the right."""
        return self.aside + np.linspace(-self.degrees / 2, self.degrees / 2, beams)

    def tilted(self, elevation: float, rotation: float, shift: Vector) -> Plane:
        """Tipped out of itself, turned about its middle beam (degrees both) and moved: a hand is never still."""
        down = _turned(self.down, self.right, elevation)
        right = _turned(self.right, down, rotation)
        return replace(self, origin=self.origin + shift, down=down, right=right)

    def zoomed(self, near: float, far: float, aside: float, degrees: float) -> Plane:
        """A part of the sector, enlarged."""
        return replace(self, near=near, depth=far, aside=aside, degrees=degrees)


def plane_of(heart: Heart, view: View, depth: float, degrees: float) -> Plane:
    """The sector of a standard view. `depth` is the machine's; it is set deeper where the heart would not fit."""
    length = heart.shape.lv_length
    if view in APICAL:
        outside = _leaves(heart, np.array([0.0, 0.0, 0.8 * length]), np.array([0.0, 0.0, 1.0]))
        origin = np.array([0.0, 0.0, outside + SKIN_MM["apical"]])
        side = _around(APICAL[view])
        # towards the atria, which lie a little behind the axis
        down = np.array([-16.0 if view == "A4C" else 1.0, -5.0, -20.0]) - origin
        return _fitted(heart, origin, down, side, max(depth, _atrial_roof(heart, origin)), degrees)
    if view == "SUBCOSTAL":
        at, towards = np.array([0.0, 0.0, SUBCOSTAL_LEVEL * length]), _around(SUBCOSTAL)
        origin, right = _skin(heart, at, towards, "subcostal"), np.array([0.0, 0.0, 1.0])
        return _fitted(heart, origin, at - origin, right, _behind(heart, origin, at, depth), degrees)
    if view == "PLAX":
        at, towards = np.array([0.0, 0.0, PARASTERNAL_LEVEL * length]), _around(PARASTERNAL)
        origin, right = _skin(heart, at, towards, "parasternal"), np.array([0.0, 0.0, -1.0])
        return _fitted(heart, origin, at - origin, right, _behind(heart, origin, at, 0.75 * depth), degrees)
    at, towards = np.array([-6.0, 0.0, LEVELS[view] * length]), _around(SHORT_AXIS)
    origin, right = _skin(heart, at, towards, "parasternal"), _around(SHORT_AXIS - 90)
    return _fitted(heart, origin, at - origin, right, _behind(heart, origin, at, 0.75 * depth), degrees)


def _fitted(heart: Heart, origin: Vector, down: Vector, right: Vector, depth: float, degrees: float) -> Plane:
    down = down / np.linalg.norm(down)
    right = right - (right @ down) * down
    depth = min(float(np.ceil(depth / DEPTH_STEP_MM) * DEPTH_STEP_MM), DEEPEST_MM)
    return Plane(origin, down, right / np.linalg.norm(right), depth, degrees)


def _around(degrees: float) -> Vector:
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0.0])


def _turned(vector: Vector, about: Vector, degrees: float) -> Vector:
    """A vector turned about an axis (Rodrigues)."""
    angle = np.deg2rad(degrees)
    along = (about @ vector) * about * (1 - np.cos(angle))
    return np.asarray(vector * np.cos(angle) + np.cross(about, vector) * np.sin(angle) + along)


def _leaves(heart: Heart, start: Vector, towards: Vector) -> float:
    """z, or mm from the start, at which a ray has left the heart and what surrounds it, at end-diastole."""
    steps = np.arange(0.0, 160.0, 1.0)
    tissue = heart.at(start + steps[:, None] * towards, 0.0).tissue
    inside = np.flatnonzero(tissue != Tissue.OUTSIDE)
    end = float(steps[inside[-1]]) if len(inside) else 0.0
    return end + float(start @ towards)


def _skin(heart: Heart, at: Vector, towards: Vector, window: str) -> Vector:
    """Where the transducer stands: beyond the heart on the ray from `at`."""
    return np.asarray(at + (_leaves(heart, at, towards) - float(at @ towards) + SKIN_MM[window]) * towards)


def _behind(heart: Heart, origin: Vector, at: Vector, depth: float) -> float:
    """The depth, or more where the far side of the heart lies deeper."""
    away = (at - origin) / np.linalg.norm(at - origin)
    far = _leaves(heart, at, away) - float(at @ away)
    return max(depth, float(np.linalg.norm(at - origin)) + far + 14)


def _atrial_roof(heart: Heart, origin: Vector) -> float:
    """Depth at which the larger atrium ends, seen from the apex."""
    return float(origin[2]) + 1.9 * max(heart.shape.la_radius, heart.shape.ra_radius) + 8
