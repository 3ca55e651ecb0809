"""What the scanner adds: the coil's shading, noise of magnitude images, breathing."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.cmr.planes import Plane

Array = NDArray[np.float32]

_BANK = 1 << 22


@cache
def _bank() -> Array:
    """Standard normal numbers, drawn once a process: to draw them for every image takes longer than all the rest."""
    return np.random.default_rng(20260101).standard_normal(_BANK, dtype=np.float32)


def normals(count: int, rng: np.random.Generator) -> Array:
    """(count,) standard normal numbers from a random place of a fixed bank. Read-only."""
    start = int(rng.integers(_BANK - count))
    return _bank()[start : start + count]


def shading(plane: Plane, depth: float, centre: NDArray[np.float64]) -> Array:
    """(matrix, matrix) sensitivity of a coil on the chest: 1 at `centre`, falling off by `depth` every 100 mm."""
    steps = np.array([0.0, plane.matrix - 1.0])
    rows, columns = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    away = (plane.points(rows, columns) - centre) @ (0.25, 0.92, 0.3)
    corners = away.reshape(2, 2)
    share = np.linspace(0, 1, plane.matrix)
    across = corners[:, :1] + (corners[:, 1:] - corners[:, :1]) * share
    full = across[:1] + (across[1:] - across[:1]) * share[:, None]
    return np.asarray(np.exp(-depth * full / 100), dtype=np.float32)


def texture(matrix: int, rng: np.random.Generator, depth: float = 0.05) -> Array:
    """(matrix, matrix) slow random modulation around 1."""
    coarse = rng.normal(1.0, depth, (matrix // 6, matrix // 6)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (matrix, matrix), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def add_noise(frames: Array, sigma: float, rng: np.random.Generator) -> None:
    """Rician noise, in place: the magnitude of a signal with normal noise in both channels.

    Gudbjartsson and Patz, Magn Reson Med 1995;34:910.
    """
    flat = frames.reshape(-1)
    real, other = normals(flat.size, rng), normals(flat.size, rng)
    flat += real * np.float32(sigma)
    np.square(flat, out=flat)
    flat += np.square(other * np.float32(sigma))
    np.sqrt(flat, out=flat)


def breathe(frames: Array, rng: np.random.Generator) -> None:
    """Breathing during the acquisition, in place: ghosts and blur along the columns of (phases, rows, columns)."""
    depth = float(rng.uniform(0.05, 0.16))
    spacing = frames.shape[1] // int(rng.integers(3, 6))
    sign = float(rng.choice([-1.0, 1.0]))
    moved = np.roll(frames, int(rng.integers(2, 4)), axis=1)
    ghost = np.roll(frames, spacing, axis=1) + sign * np.roll(frames, -spacing, axis=1)
    frames *= np.float32(1 - 0.35)
    frames += np.float32(0.35) * moved
    frames += np.float32(depth) * ghost
    np.abs(frames, out=frames)
