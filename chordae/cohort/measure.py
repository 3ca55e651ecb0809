"""Volumes, ejection fraction, mass, thickness and strain of a simulated heart, counted on its labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.heart import BASAL, MID, SEGMENTS, Heart, Labels, Tissue, segment_at
from chordae.cohort.truth import Measurements

MYOCARDIAL_DENSITY = 1.05
"""g/mL."""
VOXEL_MM = 2.5


def measure(heart: Heart, voxel_mm: float = VOXEL_MM) -> Measurements:
    """Count on cubes of `voxel_mm` at end-diastole and end-systole."""
    shape = heart.shape
    points, volume = _cubes(heart, voxel_mm)
    diastole, systole = heart.at(points, 0.0), heart.at(points, shape.systole)
    lv_edv, lv_esv = (_ml(labels, volume, *LV_BLOOD) for labels in (diastole, systole))
    rv_edv, rv_esv = (_ml(labels, volume, Tissue.RV_CAVITY) for labels in (diastole, systole))
    wall_ed, wall_es = (_thickness(heart, activation) for activation in (0.0, 1.0))
    compact = np.asarray(wall_ed)
    layer = np.zeros(SEGMENTS) if shape.noncompacted is None else shape.noncompacted
    muscle = Tissue.MYOCARDIUM, Tissue.TRABECULAE, Tissue.PAPILLARY
    return Measurements(
        lv_edv=round(lv_edv, 1),
        lv_esv=round(lv_esv, 1),
        lv_ef=round(100 * (1 - lv_esv / lv_edv), 1),
        lv_mass=round(_ml(diastole, volume, *muscle) * MYOCARDIAL_DENSITY, 1),
        rv_edv=round(rv_edv, 1),
        rv_esv=round(rv_esv, 1),
        rv_ef=round(100 * (1 - rv_esv / rv_edv), 1),
        la_volume=round(_ml(systole, volume, Tissue.LA_CAVITY), 1),
        wall_ed=tuple(round(float(value), 1) for value in wall_ed),
        wall_es=tuple(round(float(value), 1) for value in wall_es),
        trabeculated_ratio=round(float((layer / compact).max()), 2),
        circumferential_strain=round(_circumferential_strain(heart), 1),
        longitudinal_strain=round(_longitudinal_strain(heart), 1),
        effusion_mm=round(_effusion(heart), 1),
    )


LV_BLOOD = (Tissue.LV_CAVITY, Tissue.VALVE)
"""Papillary muscles and trabeculae belong to the mass (Schulz-Menger et al., JCMR 2020;22:19)."""


def _cubes(heart: Heart, size: float) -> tuple[NDArray[np.float32], float]:
    """Centres of the cubes around the heart, (..., 3), and the volume of one, mL."""
    shape = heart.shape
    wide = shape.lv_radius + float(shape.wall.max()) + 4
    ends = (
        (-wide - shape.rv_width - shape.ra_radius, wide + shape.la_radius * 0.4),
        (-wide - 12, wide + 8),
        (-2.2 * max(shape.la_radius, shape.ra_radius), shape.lv_length + 12),
    )
    axes = [np.arange(low, high, size, dtype=np.float32) for low, high in ends]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), size**3 / 1000


def _ml(labels: Labels, volume: float, *tissues: Tissue) -> float:
    return float(np.isin(labels.tissue, tissues).sum()) * volume


def _cells(heart: Heart) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shares and angles of the wall's cells, (SHARES, ANGLES) each, without the tip, where no radius is a thickness."""
    share = heart.share_centres[heart.share_centres < 0.92]
    return np.broadcast_arrays(share[:, None], heart.angle_centres[None, :])  # type: ignore[return-value]


def _thickness(heart: Heart, activation: float) -> NDArray[np.float64]:
    """(16,) mean thickness by segment, across the wall: the radial one, tilted with the wall."""
    share, angle = _cells(heart)
    inner, outer = heart.radii(share, angle, activation)
    length = heart.shape.lv_length - heart.base(activation)
    middle = (inner + outer) / 2
    slope = np.gradient(middle, axis=0) / (length / heart.SHARES)
    across = (outer - inner) / np.sqrt(1 + slope**2)
    segment = segment_at(share, angle)
    return np.array([across[segment == number].mean() for number in range(SEGMENTS)])


def _circumferential_strain(heart: Heart) -> float:
    share, angle = _cells(heart)
    inside = (share > BASAL) & (share < MID)

    def length(activation: float) -> float:
        inner, outer = heart.radii(share, angle, activation)
        return float(((inner + outer) / 2)[inside].mean())

    return 100 * (length(1.0) / length(0.0) - 1)


def _longitudinal_strain(heart: Heart) -> float:
    share, angle = _cells(heart)

    def length(activation: float) -> float:
        inner, _ = heart.radii(share, angle, activation)
        step = (heart.shape.lv_length - heart.base(activation)) / heart.SHARES
        return float(np.hypot(np.diff(inner, axis=0), step).sum(axis=0).mean())

    return 100 * (length(1.0) / length(0.0) - 1)


def _effusion(heart: Heart) -> float:
    """Deepest fluid along rays from the axis at mid-level, end-diastole."""
    shape = heart.shape
    if not shape.effusion:
        return 0.0
    step = 0.25
    reach = np.arange(0, shape.lv_radius + float(shape.wall.max()) + shape.effusion + 12, step)
    angle = heart.angle_centres[::4, None]
    ray = np.stack(
        [reach * np.cos(angle), reach * np.sin(angle), np.full((len(angle), len(reach)), 0.5 * shape.lv_length)], -1
    )
    return float((heart.at(ray, 0.0).tissue == Tissue.FLUID).sum(axis=1).max()) * step
