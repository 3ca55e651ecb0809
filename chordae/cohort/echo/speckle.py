"""Speckle: the interference of echoes from what is smaller than the beam, in polar coordinates.

A complex Gaussian field with the pulse's extent in range and the beam's across it has a Rayleigh amplitude (Wagner et
al., IEEE Trans Sonics Ultrason 1983;30:156); in decibels, as it is shown, its spread is 5.6 dB everywhere. The field of
a moment is a mixture of two that turns once a cycle, so that neighbouring frames are alike and a beat closes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MOMENTS = 12
"""Different fields of one bank."""
MARGIN = 24
"""Samples more than a picture has, so that it may be shifted."""


def speckle_bank(ranges: int, beams: int, rng: np.random.Generator) -> Array:
    """(MOMENTS, ranges + 2 MARGIN, beams + 2 MARGIN), logarithmic, of standard deviation 1, in a ring."""
    shape = (ranges + 2 * MARGIN, beams + 2 * MARGIN)
    parts = []
    for _ in range(4):
        white = rng.standard_normal(shape, dtype=np.float32)
        parts.append(cv2.GaussianBlur(white, (0, 0), sigmaX=1.25, sigmaY=0.85))
    parts = [part / part.std() for part in parts]
    bank = np.empty((MOMENTS, *shape), np.float32)
    for moment in range(MOMENTS):
        cosine, sine = np.cos(2 * np.pi * moment / MOMENTS), np.sin(2 * np.pi * moment / MOMENTS)
        real, imaginary = (np.float32(cosine) * parts[i] + np.float32(sine) * parts[i + 2] for i in (0, 1))
        bank[moment] = 10 * np.log10(real**2 + imaginary**2 + 1e-3)
    return np.asarray((bank - bank.mean()) / bank.std(), np.float32)


def smooth_noise(shape: tuple[int, int], grain: tuple[float, float], rng: np.random.Generator) -> Array:
    """A field of mean 0 and standard deviation 1 whose blobs are `grain` samples in range and across the beams."""
    small = tuple(max(2, round(size / step) + 2) for size, step in zip(shape, grain, strict=True))
    coarse = rng.standard_normal(small, dtype=np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)
