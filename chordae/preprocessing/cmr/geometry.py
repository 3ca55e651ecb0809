"""Where a slice lies in the patient: its normal, the order of parallel slices, short axis or long axis.

Patient coordinates are DICOM's (PS3.3 C.7.6.2.1.1): x to the left, y to the back, z to the head, in mm. The left
ventricle's long axis, from base to apex, points to the left, the front and the feet, in most people within some 30
degrees of `APEX`; the axis of a study's own short-axis slices is used wherever there are some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = tuple[float, float, float]

APEX: Vector = (0.62, -0.55, -0.56)
"""Base to apex of a typical heart; unit length."""

SAME_LEVEL_MM = 1.0
SAME_SLICE_MM = 0.2
"""Interpolated 3D stacks have slices half a millimetre apart: nearer than this they are one slice at several times."""
PARALLEL_DEGREES = 6.0
PATIENT_PLANE_DEGREES = 12.0
SHORT_AXIS_DEGREES = 60.0
"""How far a whole stack may stand off `APEX`: a pig's heart, which points to the feet, stands off 51."""


def dot(one: Vector, two: Vector) -> float:
    return one[0] * two[0] + one[1] * two[1] + one[2] * two[2]


def cross(one: Vector, two: Vector) -> Vector:
    (a, b, c), (x, y, z) = one, two
    return (b * z - c * y, c * x - a * z, a * y - b * x)


def unit(vector: Vector) -> Vector | None:
    """The vector at length 1; nothing for one without a direction."""
    length = math.hypot(*vector)
    return None if length < 1e-6 else (vector[0] / length, vector[1] / length, vector[2] / length)


def degrees_between(one: Vector, two: Vector) -> float:
    """The angle between two lines along unit vectors, 0 to 90: a normal and its opposite are one line."""
    return math.degrees(math.acos(min(1.0, abs(dot(one, two)))))


def normal(orientation: Sequence[float]) -> Vector | None:
    """The normal of an image, towards the apex. `orientation` is ImageOrientationPatient, row then column cosines.

    Nothing for what is no orientation: not six numbers, not of unit length, or not at right angles.
    """
    if len(orientation) != 6:
        return None
    row: Vector = (orientation[0], orientation[1], orientation[2])
    column: Vector = (orientation[3], orientation[4], orientation[5])
    if not all(0.9 < math.hypot(*side) < 1.1 for side in (row, column)) or abs(dot(row, column)) > 0.1:
        return None
    found = unit(cross(row, column))
    return None if found is None else towards_apex(found)


def towards_apex(vector: Vector) -> Vector:
    """The vector or its opposite, whichever points from base to apex; so slices are numbered from base to apex."""
    return vector if dot(vector, APEX) >= 0 else (-vector[0], -vector[1], -vector[2])


def levels(depths: Sequence[float], apart: float = SAME_LEVEL_MM) -> list[list[int]]:
    """Indices of images by level, those in order of depth (mm along the normal) and `apart` from the next."""
    order = sorted(range(len(depths)), key=depths.__getitem__)
    found = [order[:1]] if order else []
    for index in order[1:]:
        if depths[index] - depths[found[-1][0]] > apart:
            found.append([])
        found[-1].append(index)
    return found


def patient_plane(across: Vector) -> str:
    """`axial`, `sagittal` or `coronal` for a normal close to one of the patient's axes, else nothing."""
    for name, axis in (("sagittal", (1.0, 0.0, 0.0)), ("coronal", (0.0, 1.0, 0.0)), ("axial", (0.0, 0.0, 1.0))):
        if degrees_between(across, axis) <= PATIENT_PLANE_DEGREES:
            return name
    return ""


def view(across: Vector, count: int, axis: Vector | None) -> str:
    """What `count` parallel slices with that normal show: `short axis`, a long axis, a patient plane, or nothing.

    `axis` is the normal of the study's short-axis slices, if there are some. Without it three or more oblique slices
    across the heart's usual axis are short-axis ones, and a single slice is told only where it is clear.
    """
    plane = patient_plane(across)
    if axis is None:
        off = degrees_between(across, APEX)
        if plane:
            return plane
        if off <= (SHORT_AXIS_DEGREES if count >= 3 else 20.0):
            return "short axis"
        return "long axis" if off >= 70.0 and count < 3 else ""
    off = degrees_between(across, axis)
    if off <= 25.0:
        return "short axis"
    if off >= 65.0 and count < 3:
        return plane if plane and off < 80.0 else long_axis(across, axis)
    return plane


def long_axis(across: Vector, axis: Vector) -> str:
    """Which long-axis view contains the axis and has that normal; `long axis` between the bands.

    Seen from the apex with the head up, the planes turn about the axis: through the acute margin of the right ventricle
    and the lateral wall (4-chamber, some 25 degrees above the horizontal), through the anterior and inferior walls
    (2-chamber, upright), through the outflow tract and the inferolateral wall (3-chamber); 60 degrees apart, as in the
    17-segment model (AHA 2002). People's hearts are turned by some 20 degrees either way, so this is a
    likely name, not a certain one; a name in the header goes before it.
    """
    up = unit(tuple(head - axis[2] * along for head, along in zip((0.0, 0.0, 1.0), axis, strict=True)))  # type: ignore[arg-type]
    within = unit(cross(axis, across))
    if up is None or within is None:
        return "long axis"
    lateral = cross(up, axis)
    angle = (math.degrees(math.atan2(dot(within, up), dot(within, lateral))) + 8.0) % 180.0 - 8.0
    for name, low, high in (("4-chamber", -8.0, 52.0), ("2-chamber", 62.0, 112.0), ("3-chamber", 122.0, 165.0)):
        if low <= angle <= high:
            return name
    return "long axis"
