"""A beating heart as a function of space and time: which tissue is where.

Heart coordinates in mm: z runs along the left ventricle's long axis from the base (0) to the apex, x to the lateral
wall, y to the anterior wall, so that a short-axis slice with x to the right and y up has the septum on its left
(Cerqueira et al., Circulation 2002;105:539). Nothing is assigned here that can be measured: volumes, mass, thickness
and strain are counted on the labels (`measure.py`).

The left ventricle is a truncated ellipsoid whose wall keeps its volume while it contracts: the base descends, the
cavity narrows by segment, and the wall thickens by as much as that takes. The right ventricle is a crescent around it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float32]


class Tissue(IntEnum):
    """What a point of the heart is; `OUTSIDE` is whatever surrounds it."""

    OUTSIDE = 0
    FAT = 1
    FLUID = 2
    VESSEL_WALL = 3
    AORTA = 4
    LA_CAVITY = 5
    RA_CAVITY = 6
    RV_WALL = 7
    RV_CAVITY = 8
    MYOCARDIUM = 9
    LV_CAVITY = 10
    TRABECULAE = 11
    PAPILLARY = 12
    VALVE = 13


BLOOD = (Tissue.AORTA, Tissue.LA_CAVITY, Tissue.RA_CAVITY, Tissue.RV_CAVITY, Tissue.LV_CAVITY)


@dataclass(frozen=True)
class Lesion:
    """Where the myocardium is diseased: `extent` (16,) 0 to 1 by AHA segment, `band` inner and outer depth.

    Depth is 0 at the endocardium, 1 at the epicardium. `insertion`: only where the right ventricle inserts.
    """

    extent: NDArray[np.float64]
    band: tuple[float, float]
    insertion: bool = False


@dataclass(frozen=True)
class HeartShape:
    """One heart at end-diastole and how it moves. Lengths in mm; by AHA segment where (16,)."""

    lv_radius: float
    """Of the cavity at its widest."""
    lv_length: float
    """Base to the cavity's apex."""
    wall: NDArray[np.float64]
    """(16,) end-diastolic thickness."""
    contraction: NDArray[np.float64]
    """(16,) share of its radius that the cavity loses until end-systole."""
    shortening: float
    """Share of its length that the left ventricle loses."""
    rv_width: float
    """Of the crescent at the base, septum to free wall."""
    rv_contraction: float
    rv_shortening: float
    rv_wall: float = 3.0
    flattening: float = 0.0
    """Share of its radius that the septum is pushed in by at end-diastole."""
    la_radius: float = 21.0
    ra_radius: float = 21.0
    effusion: float = 0.0
    """Depth of the pericardial fluid where it is deepest, behind the heart."""
    fat: float = 2.5
    noncompacted: NDArray[np.float64] | None = None
    """(16,) thickness of the trabeculated layer inside the compact wall."""
    lesion: Lesion | None = None
    systole: float = 0.36
    """End-systole as a share of the cycle."""
    texture: int = 0
    """Seed of the trabeculae's pattern."""


@dataclass(frozen=True)
class Pose:
    """Where the heart lies in the body, DICOM's patient coordinates (left, posterior, superior), mm."""

    axes: NDArray[np.float64] = field(repr=False)
    """(3, 3): the columns are the heart's x, y and z."""
    centre: NDArray[np.float64] = field(repr=False)
    """(3,): where the middle of the left ventricle's axis lies."""
    half_length: float

    def to_heart(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) patient coordinates -> heart coordinates."""
        heart: NDArray[np.float64] = (points - self.centre) @ self.axes
        heart[..., 2] += self.half_length
        return heart

    def to_patient(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) heart coordinates -> patient coordinates."""
        shifted = np.array(points, dtype=np.float64)
        shifted[..., 2] -= self.half_length
        return np.asarray(shifted @ self.axes.T + self.centre)


@dataclass(frozen=True)
class Labels:
    """Of points of any shape: what each is, and for myocardium how deep in the wall and how diseased, 0 to 1 each."""

    tissue: NDArray[np.uint8]
    depth: Array
    lesion: Array


SEGMENTS = 16
WIDEST = 0.25
"""Where along the length, from the base, the cavity is widest."""
INSERTION = np.deg2rad(118.0)
"""Angle at which the right ventricle's free wall meets the septum, in front; mirrored behind."""
VESSEL_WALL_MM, AORTA_MM, AORTA_LENGTH_MM = 2.2, 12.0, 55.0
VALVE_MM, PAPILLARY_MM = 2.0, 4.2
BASAL, MID = 0.35, 0.70
"""Ends of the basal and the mid third, as shares of the length."""


def segment_at(share: NDArray[np.floating], angle: NDArray[np.floating]) -> NDArray[np.int64]:
    """AHA segment less one, at a share of the length (0 base, 1 apex) and an angle (0 lateral, pi/2 anterior)."""
    degrees = np.rad2deg(angle) % 360
    six = (((degrees - 60) % 360) // 60).astype(np.int64)  # segment 1 is anterior; they run on to the septum
    four = (((degrees - 45) % 360) // 90).astype(np.int64)
    return np.where(share < BASAL, six, np.where(share < MID, 6 + six, 12 + four))


class Heart:
    """The labels of a `HeartShape` at any point and time of the cycle (0 to 1, from the R wave)."""

    SHARES, ANGLES = 64, 180
    """Cells of the maps that hold what varies over the wall."""

    def __init__(self, shape: HeartShape) -> None:
        self.shape = shape
        self.share_centres = ((np.arange(self.SHARES) + 0.5) / self.SHARES).astype(np.float32)
        self.angle_centres = ((np.arange(self.ANGLES) + 0.5) * 2 * np.pi / self.ANGLES).astype(np.float32)
        self._wall = self._map(shape.wall, 1.0)
        self._contraction = self._map(shape.contraction, 1.0)
        self._lesion = self._lesion_map()
        self._trabeculae = self._trabeculae_map()
        end = shape.systole
        # isovolumic contraction, ejection, isovolumic relaxation, rapid filling, diastasis, atrial contraction
        times = [0.0, 0.05, end * 0.55, end, end + 0.06, end + 0.22, 0.86, 1.0]
        self._activation = PchipInterpolator(times, [0.0, 0.02, 0.68, 1.0, 0.95, 0.30, 0.16, 0.0])

    def activation(self, phase: float) -> float:
        """0 at end-diastole (the R wave), 1 at end-systole."""
        return float(self._activation(phase % 1.0))

    def base(self, activation: float) -> float:
        """z of the mitral annulus."""
        return self.shape.shortening * self.shape.lv_length * activation

    def radii(self, share: Array, angle: Array, activation: float) -> tuple[Array, Array]:
        """Inner and outer radius of the left ventricle's wall; inner is 0 beyond the cavity's apex."""
        row = np.clip(share * self.SHARES, 0, self.SHARES - 1).astype(np.intp)
        column = (angle * np.float32(self.ANGLES / (2 * np.pi))).astype(np.intp) % self.ANGLES
        flat = row * self.ANGLES + column
        wall, contraction = self._wall.ravel()[flat], self._contraction.ravel()[flat]
        shape = self.shape
        tip = 1 - WIDEST + 0.7 * float(shape.wall[12:].mean()) / shape.lv_length
        inner = np.sqrt(np.maximum(1 - ((share - WIDEST) / np.float32(1 - WIDEST)) ** 2, 0))
        outer = np.sqrt(np.maximum(1 - ((share - WIDEST) / np.float32(tip)) ** 2, 0))
        if shape.flattening:
            around = np.exp(-(((angle - np.pi) / np.float32(0.8)) ** 2))
            pressed = 1 - np.float32(shape.flattening * (1 - 0.4 * activation)) * around
        else:
            pressed = np.float32(1)
        inner_still = shape.lv_radius * inner * pressed
        outer_still = np.maximum((shape.lv_radius * pressed + wall) * outer, inner_still)
        moved = inner_still * (1 - contraction * np.float32(activation))
        # what the wall loses in length it gains in thickness: its volume stays
        kept = (outer_still**2 - inner_still**2) / np.float32(1 - shape.shortening * activation)
        return moved, np.sqrt(moved**2 + kept)

    def at(self, points: NDArray[np.floating], phase: float) -> Labels:
        """Labels of points (..., 3) in heart coordinates."""
        shape = points.shape[:-1]
        flat = np.ascontiguousarray(points.reshape(-1, 3).T, dtype=np.float32)
        reach = 1.1 * max(self.shape.lv_length, 2 * self.shape.lv_radius) + self.shape.rv_width + self.shape.effusion
        middle = np.float32(self.shape.lv_length * 0.35)
        near = np.flatnonzero((flat[0] + 15) ** 2 + flat[1] ** 2 + (flat[2] - middle) ** 2 < reach**2)
        tissue = np.zeros(flat.shape[1], np.uint8)
        depth, lesion = np.zeros(flat.shape[1], np.float32), np.zeros(flat.shape[1], np.float32)
        tissue[near], depth[near], lesion[near] = self._label(
            flat[0, near], flat[1, near], flat[2, near], self.activation(phase), phase
        )
        return Labels(tissue.reshape(shape), depth.reshape(shape), lesion.reshape(shape))

    def _label(
        self, x: Array, y: Array, z: Array, activation: float, phase: float
    ) -> tuple[NDArray[np.uint8], Array, Array]:
        shape = self.shape
        base = self.base(activation)
        share = (z - np.float32(base)) / np.float32(shape.lv_length - base)
        angle = np.arctan2(y, x) % np.float32(2 * np.pi)
        radius = np.hypot(x, y)
        inner, outer = self.radii(share, angle, activation)
        below = share >= 0
        in_wall = below & (radius < outer)
        in_cavity = below & (share < 1) & (radius < inner)

        tissue = np.zeros(x.shape, np.uint8)
        if shape.effusion or shape.fat:
            self._around(tissue, x, y, z, angle, radius, outer, share, activation)
        self._great(tissue, x, y, z, base, activation)
        rv_wall, rv_cavity = self._right_ventricle(x, y, z, activation, 0.0)
        tissue[rv_wall], tissue[rv_cavity] = Tissue.RV_WALL, Tissue.RV_CAVITY
        tissue[in_wall], tissue[in_cavity] = Tissue.MYOCARDIUM, Tissue.LV_CAVITY
        tissue[in_cavity & self._in_trabeculae(share, angle, radius, inner, activation)] = Tissue.TRABECULAE
        for place in (0.75, 4.05):  # anterolateral, posteromedial
            away = np.hypot(x - 0.62 * inner * np.cos(place), y - 0.62 * inner * np.sin(place))
            tissue[in_cavity & (share > 0.38) & (share < 0.78) & (away < PAPILLARY_MM)] = Tissue.PAPILLARY
        leaflet = self._leaflets(radius, z, base, inner, phase)
        tissue[in_cavity & leaflet] = Tissue.VALVE

        depth = np.where(in_wall, np.clip((radius - inner) / np.maximum(outer - inner, 0.1), 0, 1), 0).astype(
            np.float32
        )
        return tissue, depth, self._lesion_at(share, angle, depth, in_wall & ~in_cavity)

    def _leaflets(self, radius: Array, z: Array, base: float, inner: Array, phase: float) -> NDArray[np.bool_]:
        """Mitral leaflets: a shallow tent in systole, two flaps that hang into the ventricle in diastole."""
        end = self.shape.systole
        since = (phase % 1.0) - end
        opened = (
            0.0 if since < 0.04 else float(np.clip((since - 0.04) / 0.06, 0, 1)) * (0.75 if 0.3 < since < 0.5 else 1)
        )
        slope = 0.22 + 1.3 * opened
        hanging = np.float32(base) + slope * (inner - radius)
        hole = radius > (0.42 * opened) * inner
        return np.asarray((np.abs(z - hanging) < VALVE_MM * (1 + 0.5 * opened)) & hole & (inner > 1))

    def _right_ventricle(
        self, x: Array, y: Array, z: Array, activation: float, extra: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Wall and cavity: between the septum and a cylinder surface that meets it at the insertion points."""
        shape = self.shape
        base = shape.rv_shortening * shape.lv_length * activation - 4
        share = (z - np.float32(base)) / np.float32(0.92 * shape.lv_length - base)
        profile = np.sqrt(np.maximum(1 - np.maximum(share - 0.12, 0) ** 2 / np.float32(0.88**2), 0))
        septum = np.full_like(z, np.pi)
        _, outer = self.radii(
            np.clip((z - self.base(activation)) / (shape.lv_length - self.base(activation)), 0, 1), septum, activation
        )
        width = shape.rv_width * (1 - shape.rv_contraction * activation) * profile
        inside = (share > 0) & (share < 1)
        cavity = inside & self._in_crescent(x, y, outer, width)
        wall = inside & self._in_crescent(x, y, outer, width + np.float32(shape.rv_wall + extra))
        return wall, cavity

    @staticmethod
    def _in_crescent(x: Array, y: Array, outer: Array, width: Array) -> NDArray[np.bool_]:
        """Inside the circle through both insertion points that reaches `width` beyond the septum."""
        behind = outer * np.float32(-np.cos(INSERTION))
        reach = outer + width
        centre = (reach**2 - outer**2) / np.maximum(2 * (reach - behind), 1e-3)
        circle = (x + centre) ** 2 + y**2 < (reach - centre) ** 2
        return np.asarray(circle & (width > 0.5) & (x < 0.2 * outer))

    def _great(self, tissue: NDArray[np.uint8], x: Array, y: Array, z: Array, base: float, activation: float) -> None:
        """Atria and the root of the aorta, above the ventricles."""
        shape = self.shape
        filling = 0.84 + 0.16 * activation  # the atria are largest when the ventricles are smallest
        above = (z < np.float32(base)) & (z > np.float32(base - AORTA_LENGTH_MM))
        for radius, centre, cavity, top in (
            (shape.la_radius, (3.0, -8.0), Tissue.LA_CAVITY, base),
            (
                shape.ra_radius,
                (-shape.lv_radius - 0.55 * shape.rv_width - 6, -6.0),
                Tissue.RA_CAVITY,
                shape.rv_shortening * shape.lv_length * activation - 4,
            ),
        ):
            size = np.float32(radius * filling)
            middle = np.float32(top - 0.82 * size)
            away = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + ((z - middle) / np.float32(1.06)) ** 2)
            over = z < np.float32(top)
            tissue[over & (away < size + np.float32(VESSEL_WALL_MM))] = Tissue.VESSEL_WALL
            tissue[over & (away < size)] = cavity
        along = (np.float32(base) - z) * np.float32(0.25)
        away = np.hypot(x + 0.42 * shape.lv_radius + along, y - 0.5 * shape.lv_radius)
        tissue[above & (away < AORTA_MM + VESSEL_WALL_MM)] = Tissue.VESSEL_WALL
        tissue[above & (away < AORTA_MM)] = Tissue.AORTA

    def _around(
        self,
        tissue: NDArray[np.uint8],
        x: Array,
        y: Array,
        z: Array,
        angle: Array,
        radius: Array,
        outer: Array,
        share: Array,
        activation: float,
    ) -> None:
        """Pericardial fluid, deepest behind the heart, and the fat around it."""
        shape = self.shape
        dependent = 0.62 + 0.38 * np.cos(angle - np.float32(np.deg2rad(315)))
        fluid = np.float32(shape.effusion) * dependent
        layers = ((Tissue.FAT, fluid + np.float32(shape.fat)), (Tissue.FLUID, fluid))
        tip = 1 - WIDEST + 0.7 * float(shape.wall[12:].mean()) / shape.lv_length
        widest = np.float32(shape.lv_radius + float(shape.wall.mean()))
        for label, layer in layers:
            if label is Tissue.FLUID and not shape.effusion:
                continue
            # around the apex an ellipsoid that is so much larger: a layer of that depth around a point would be a knob
            end = tip + layer / np.float32(shape.lv_length)
            bulge = (widest + layer) * np.sqrt(np.maximum(1 - ((share - WIDEST) / end) ** 2, 0))
            around = (share > -0.02) & (radius < np.where(share < MID, outer + layer, bulge))
            right, _ = self._right_ventricle(x, y, z, activation, layer)
            tissue[around | right] = label

    def _in_trabeculae(
        self, share: Array, angle: Array, radius: Array, inner: Array, activation: float
    ) -> NDArray[np.bool_]:
        if self._trabeculae is None:
            return np.zeros(share.shape, np.bool_)
        layer, strands = self._trabeculae
        row = np.clip(share * self.SHARES, 0, self.SHARES - 1).astype(np.intp)
        column = (angle * np.float32(self.ANGLES / (2 * np.pi))).astype(np.intp) % self.ANGLES
        within = radius > inner - layer[row, column] * np.float32(1 - 0.25 * activation)
        return np.asarray(within & (strands[row, column] > 0))

    def _lesion_at(self, share: Array, angle: Array, depth: Array, in_wall: NDArray[np.bool_]) -> Array:
        lesion = self.shape.lesion
        if lesion is None or self._lesion is None:
            return np.zeros(depth.shape, np.float32)
        row = np.clip(share * self.SHARES, 0, self.SHARES - 1).astype(np.intp)
        column = (angle * np.float32(self.ANGLES / (2 * np.pi))).astype(np.intp) % self.ANGLES
        extent = self._lesion[row, column]
        inside = in_wall & (depth >= lesion.band[0]) & (depth <= lesion.band[1])
        return np.where(inside, extent, 0).astype(np.float32)

    def _map(self, by_segment: NDArray[np.float64], smooth: float) -> Array:
        """(SHARES, ANGLES) from a value a segment, without steps between them."""
        grid = np.asarray(by_segment)[segment_at(self.share_centres[:, None], self.angle_centres[None, :])]
        grid = gaussian_filter1d(grid, 3.5 * smooth, axis=0, mode="nearest")
        return np.asarray(gaussian_filter1d(grid, 7.0 * smooth, axis=1, mode="wrap"), dtype=np.float32)

    def _lesion_map(self) -> Array | None:
        lesion = self.shape.lesion
        if lesion is None:
            return None
        extent = self._map(lesion.extent, 0.6)
        if lesion.insertion:
            apart = [np.abs((self.angle_centres - at + np.pi) % (2 * np.pi) - np.pi) for at in (INSERTION, -INSERTION)]
            extent = extent * (np.minimum(*apart) < np.deg2rad(22))[None, :]
        # uneven edges: enhancement ends sharply, but not along the borders of segments
        noise = np.random.default_rng(self.shape.texture).normal(0, 1, extent.shape)
        noise = gaussian_filter1d(gaussian_filter1d(noise, 3, axis=0), 5, axis=1, mode="wrap")
        return np.asarray(np.clip((extent + 0.35 * noise / noise.std() * 0.4 - 0.30) * 5, 0, 1), dtype=np.float32)

    def _trabeculae_map(self) -> tuple[Array, Array] | None:
        """How thick the trabeculated layer is, and where in it there is muscle (above 0) and where blood."""
        if self.shape.noncompacted is None:
            return None
        layer = self._map(self.shape.noncompacted, 0.8)
        noise = np.random.default_rng(self.shape.texture + 1).normal(0, 1, layer.shape)
        noise = gaussian_filter1d(gaussian_filter1d(noise, 2.0, axis=0), 2.2, axis=1, mode="wrap")
        return layer, np.asarray(noise / noise.std() + 0.15, dtype=np.float32)
