"""The heart on the pixels of several planes: labels where the heart is, finer where they change.

Labels cost the time of a study, so only pixels that may show the heart are asked for, and only those at a border are
sampled four times: within the pixel and across the slice, which is how a real voxel mixes tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from chordae.cohort.cmr.contrast import Contrast
from chordae.cohort.cmr.planes import Plane
from chordae.cohort.heart import Heart, Labels, Pose, Tissue

Array = NDArray[np.float32]

COARSE = 3
"""Pixels between the samples that find where the heart is."""
_WITHIN = ((-0.25, -0.25, 1), (-0.25, 0.25, -1), (0.25, -0.25, -1), (0.25, 0.25, 1))
"""Rows, columns and the side of the slice of the four samples of a pixel at a border."""


@dataclass(frozen=True)
class Samples:
    """Labels at one moment: (n,) at the pixels' centres, (m, 4) within those at borders, whose indices `border` has."""

    centres: Labels
    border: NDArray[np.intp]
    within: Labels

    def signal(self, contrast: Contrast, around: Array) -> Array:
        """(n,) magnitude of the mean signal of each pixel; `around` (n,) is what surrounds the heart there."""
        found = np.where(self.centres.tissue == Tissue.OUTSIDE, around, contrast(self.centres))
        beside = np.where(self.within.tissue == Tissue.OUTSIDE, around[self.border, None], contrast(self.within))
        found[self.border] = beside.mean(axis=1)
        return found

    def of(self, part: slice) -> Samples:
        """Those of a run of pixels."""
        low, high = np.searchsorted(self.border, (part.start, part.stop))
        return Samples(
            _cut(self.centres, part), self.border[low:high] - part.start, _cut(self.within, slice(low, high))
        )


def _cut(labels: Labels, part: slice) -> Labels:
    return Labels(labels.tissue[part], labels.depth[part], labels.lesion[part])


class HeartPixels:
    """Those pixels of planes that show the heart at some time of the cycle: (n,) plane, row and column of each."""

    def __init__(self, planes: Sequence[Plane], heart: Heart, pose: Pose) -> None:
        self.planes, self._heart, self._pose = planes, heart, pose
        masks = [self._mask(plane) for plane in planes]
        self.size = masks[0].shape
        self._flat = np.flatnonzero(np.stack(masks))
        self.plane, self.row, self.column = np.unravel_index(self._flat, (len(planes), *self.size))
        self.slices = [slice(*np.searchsorted(self.plane, (i, i + 1))) for i in range(len(planes))]
        """Of the n, those of each plane."""
        self.within_plane = self._flat - self.plane * (self.size[0] * self.size[1])
        """(n,) index in the flattened plane."""
        self._in_heart = np.array(
            [
                (
                    pose.to_heart(plane.corner),
                    plane.column * plane.pixel_mm @ pose.axes,
                    plane.row * plane.pixel_mm @ pose.axes,
                    plane.normal @ pose.axes,
                )
                for plane in planes
            ],
            dtype=np.float32,
        )
        """(planes, 4, 3): corner, a step down, a step right, and the normal, in heart coordinates."""
        self._points = self._at(np.arange(len(self._flat)), 0.0, 0.0, 0.0)

    def sample(self, phase: float) -> Samples:
        """The labels at a moment of the cycle, 0 to 1."""
        centres = self._heart.at(self._points, phase)
        kinds = np.zeros((len(self.planes), *self.size), np.uint8)
        kinds.ravel()[self._flat] = centres.tissue + np.uint8(64) * (centres.lesion > 0.5)
        changes = np.zeros(kinds.shape, np.bool_)
        for axis in (1, 2):
            differs = np.diff(kinds, axis=axis) != 0
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            changes[tuple(ahead)] |= differs
            changes[tuple(behind)] |= differs
        border = np.flatnonzero(changes.ravel()[self._flat])
        points = np.stack([self._at(border, row, column, side) for row, column, side in _WITHIN], axis=1)
        return Samples(centres, border, self._heart.at(points, phase))

    def _mask(self, plane: Plane) -> NDArray[np.bool_]:
        """Pixels near any heart tissue, on a coarse grid, at end-diastole (ventricles) or end-systole (atria)."""
        count = -(-plane.matrix // COARSE)
        steps = np.arange(count) * COARSE + COARSE // 2
        rows, columns = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
        points = self._pose.to_heart(plane.points(rows, columns))
        seen = (self._heart.at(points, 0.0).tissue > 0) | (self._heart.at(points, self._heart.shape.systole).tissue > 0)
        near = binary_dilation(seen.reshape(count, count))
        return np.asarray(near.repeat(COARSE, axis=0).repeat(COARSE, axis=1)[: plane.matrix, : plane.matrix])

    def _at(self, which: NDArray[np.intp], row: float, column: float, side: float) -> Array:
        """(len(which), 3) heart coordinates of pixels, moved by fractions of a pixel and a quarter slice to a side."""
        plane = self.plane[which]
        geometry = self._in_heart
        off = np.float32(side * 0.25 * self.planes[0].thickness_mm)
        down = (self.row[which] + row).astype(np.float32)[:, None] * geometry[plane, 1]
        right = (self.column[which] + column).astype(np.float32)[:, None] * geometry[plane, 2]
        return np.asarray(geometry[plane, 0] + down + right + off * geometry[plane, 3])
