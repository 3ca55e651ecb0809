"""Where the slices of a CMR study lie: planned on the heart, as a technologist does, in DICOM's patient coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.heart import HeartShape, Pose
from chordae.cohort.sites import CmrScanner

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """One slice: mm, DICOM's patient coordinates."""

    view: str
    row: Vector
    """Unit vector along a row, to the picture's right (ImageOrientationPatient's first three)."""
    column: Vector
    """Unit vector down a column."""
    corner: Vector
    """Centre of the first pixel (ImagePositionPatient)."""
    normal: Vector
    """From base to apex where the plane is a short-axis one."""
    matrix: int
    pixel_mm: float
    thickness_mm: float

    @property
    def depth(self) -> float:
        """Along the normal (SliceLocation), mm."""
        return float(self.corner @ self.normal)

    def points(self, rows: NDArray[np.floating], columns: NDArray[np.floating], off: float = 0.0) -> Vector:
        """(n, 3) patient coordinates of pixels, fractions allowed; `off` mm out of the plane along its normal."""
        across = columns[:, None] * self.pixel_mm * self.row + rows[:, None] * self.pixel_mm * self.column
        return np.asarray(self.corner + across + off * self.normal)


def short_axis(pose: Pose, shape: HeartShape, scanner: CmrScanner) -> list[Plane]:
    """The stack from just above the base to below the apex, right ventricle on the picture's left, anterior wall up."""
    step = scanner.slice_mm + scanner.gap_mm
    end = shape.lv_length + 0.6 * float(shape.wall[12:].mean())
    middle = np.array([-0.4 * shape.rv_width, 0.0])
    depths = np.arange(-0.5 * step, end, step)
    return [_plane("short axis", pose, scanner, (1, 0, 0), (0, -1, 0), (*middle, depth)) for depth in depths]


def long_axis(pose: Pose, shape: HeartShape, scanner: CmrScanner) -> list[Plane]:
    """2-, 3- and 4-chamber: through the apex and the middle of the mitral valve and the left atrium behind it.

    The 3-chamber one cuts the aortic root and the inferolateral wall (Schulz-Menger et al., JCMR 2020;22:19).
    """
    depth, tilt = 0.28 * shape.lv_length, 0.06  # tilt: to the middle of the atrium, which lies behind the axis
    outflow = np.deg2rad(124)
    found = []
    for view, within, middle in (
        ("2-chamber", (0.0, 1.0, 0.0), (1.0, 0.0, depth)),
        ("3-chamber", (np.cos(outflow), np.sin(outflow), 0.0), (0.0, 0.0, depth)),
        ("4-chamber", (1.0, 0.0, 0.0), (-0.4 * shape.rv_width, -0.5 * tilt * depth, depth)),
    ):
        axis = (0.0, tilt, 1.0) if view == "4-chamber" else (0.0, 0.0, 1.0)
        normal = pose.axes @ np.cross(within, axis)
        normal /= np.linalg.norm(normal)
        found.append(_upright(view, normal, pose.to_patient(np.array(middle)), scanner))
    return found


def _upright(view: str, normal: Vector, middle: Vector, scanner: CmrScanner) -> Plane:
    """An oblique plane turned as scanners turn it: the patient's left or back to the right, front or head up."""
    transverse = view == "4-chamber"
    row = np.array([1.0, 0.0, 0.0] if transverse else [0.0, 1.0, 0.0])
    down = np.array([0.0, 1.0, 0.0] if transverse else [0.0, 0.0, -1.0])
    row = row - (row @ normal) * normal
    row /= np.linalg.norm(row)
    column = np.cross(normal, row)
    column *= np.sign(column @ down)
    return _from_axes(view, row, column, middle, scanner.matrix, scanner.pixel_mm, scanner.slice_mm)


def localisers(pose: Pose, scanner: CmrScanner) -> list[Plane]:
    """Axial, coronal and sagittal through the middle of the heart, coarse and with the whole chest in view."""
    matrix, pixel = scanner.matrix, 380.0 / scanner.matrix
    found = []
    for view, row, column in (
        ("axial", (1, 0, 0), (0, 1, 0)),
        ("coronal", (1, 0, 0), (0, 0, -1)),
        ("sagittal", (0, 1, 0), (0, 0, -1)),
    ):
        middle = np.where(np.abs(np.array(row) + column) > 0, np.array([0.0, 0.0, 0.0]), pose.centre)
        found.append(_from_axes(view, np.array(row, float), np.array(column, float), middle, matrix, pixel, 8.0))
    return found


def _plane(
    view: str,
    pose: Pose,
    scanner: CmrScanner,
    row: tuple[float, float, float],
    column: tuple[float, float, float],
    middle: tuple[float, float, float],
) -> Plane:
    """From heart coordinates: the directions of rows and columns and the point in the middle of the picture."""
    across, down = pose.axes @ np.array(row, float), pose.axes @ np.array(column, float)
    down /= np.linalg.norm(down)
    place = pose.to_patient(np.array(middle, float))
    thickness = scanner.slice_mm
    return _from_axes(view, across, down, place, scanner.matrix, scanner.pixel_mm, thickness)


def _from_axes(
    view: str, row: Vector, column: Vector, middle: Vector, matrix: int, pixel: float, thickness: float
) -> Plane:
    half = (matrix - 1) / 2 * pixel
    normal = np.cross(row, column)
    if normal @ (0.62, -0.55, -0.56) < 0:  # slice locations rise from base to apex
        normal = -normal
    corner = np.asarray(middle - half * (row + column), np.float64)
    return Plane(view, row, column, corner, np.asarray(normal, np.float64), matrix, pixel, thickness)
