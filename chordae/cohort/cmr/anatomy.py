"""What lies around the heart: a chest of smooth shapes, the same at every moment of the cycle."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.cmr.planes import Plane


class Organ(IntEnum):
    """Of a point outside the heart."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    LUNG = 3
    MEDIASTINUM = 4
    BONE = 5
    LIVER = 6
    SPLEEN = 7
    VESSEL = 8
    STOMACH = 9


class Chest:
    """Organs by patient coordinates (left, posterior, superior, mm), a little different in everyone."""

    def __init__(self, centre: NDArray[np.float64], bsa: float, bmi: float, rng: np.random.Generator) -> None:
        self._size = float((bsa / 1.9) ** (1 / 3))
        self._fat = float(np.clip(6 + 1.6 * (bmi - 21), 4, 40))
        self._dome = float(centre[2] - 34 + rng.normal(0, 5))
        self._heart = centre
        self._jitter = rng.normal(0, 4, 6)

    def organs(self, plane: Plane) -> NDArray[np.uint8]:
        """(matrix, matrix) of `Organ`."""
        steps = np.arange(plane.matrix)
        rows, columns = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
        x, y, z = plane.points(rows, columns).T.astype(np.float32)
        found = self._at(x, y, z)
        return found.reshape(plane.matrix, plane.matrix)

    def _at(self, x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]) -> NDArray[np.uint8]:
        jitter, heart = self._jitter, self._heart
        wide, deep = 160 * self._size, 104 * self._size
        radius = (np.abs(x / wide) ** 2.6 + np.abs((y - 4) / deep) ** 2.6) ** np.float32(1 / 2.6)
        skin = 1 + self._fat / 130
        found = np.full(x.shape, Organ.AIR, np.uint8)
        found[radius < skin] = Organ.FAT
        found[radius < 1] = Organ.MUSCLE
        ribs = (np.abs(radius - 0.945) < 0.022) & (np.sin(z / 4.2 + 0.02 * y) > 0.2)
        found[ribs] = Organ.BONE
        found[radius < 0.88] = Organ.LUNG
        inside = radius < 0.88
        # vessels of the lung, in no order; and no organ ends in a straight line
        bend = 2.2 * np.sin(z / 13 + y / 17 + jitter[2])
        branches = np.sin(x / 6.1 + bend) * np.sin(y / 7.3 + bend + jitter[0]) * np.sin(z / 8.7 + jitter[1])
        found[inside & (branches > 0.86)] = Organ.VESSEL
        wave = 5 * np.sin(y / 23 + jitter[5]) * np.cos(z / 19 + jitter[4]) + 2.5 * np.sin(z / 9 + y / 11)
        x, y = x + wave, y + 0.6 * wave + 3 * np.sin(x / 21 + jitter[3])
        dx, dy = x - heart[0], y - heart[1]
        middle = np.abs(x - 6 - jitter[0] - 0.12 * (z - heart[2])) < 17 + 0.16 * np.maximum(y + 40, 0)
        found[inside & middle] = Organ.MEDIASTINUM
        found[inside & (dx**2 + dy**2 + (0.9 * (z - heart[2])) ** 2 < 50**2) & (dx < 16 + dy * 0.2)] = Organ.MEDIASTINUM
        right = self._dome - ((x + 62) / 16) ** 2 - ((y - jitter[1]) / 15) ** 2
        left = self._dome - 14 - ((x - 72) / 15) ** 2 - ((y - jitter[2]) / 15) ** 2
        below = inside & (z < np.maximum(np.maximum(right, left), self._dome - 22))
        found[below] = Organ.STOMACH
        found[below & (x + 0.35 * y < 28 + jitter[3])] = Organ.LIVER
        away = ((x - 92) / 30) ** 2 + ((y - 38) / 42) ** 2 + ((z - self._dome + 58) / 44) ** 2
        found[below & (away < 1)] = Organ.SPLEEN
        found[(x / 24) ** 2 + ((y - 66 * self._size) / 20) ** 2 < 1] = Organ.BONE
        found[(x / 9) ** 2 + ((y - 66 * self._size - 27) / 9) ** 2 < 1] = Organ.STOMACH
        found[(x - 24 - 0.3 * jitter[4]) ** 2 + (y - 44 * self._size) ** 2 < 11.5**2] = Organ.VESSEL
        found[below & ((x + 26) ** 2 + (y - 22) ** 2 < 12**2)] = Organ.VESSEL
        return found
