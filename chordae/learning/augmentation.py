"""Light changes of what is seen, so that a model does not learn a training set's exact pixels.

Never a flip, a large turn or a stretch: sides, walls and millimetres mean something. All frames change alike, but for
the noise.
"""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
NOISE_TILE = 1 << 15
"""Noise values drawn for one study; repeated over it, since drawing a million takes longer than the model's step."""


def vary(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Another exposure of (frames, height, width, 3): gain, gamma, a shift of up to 2 px, noise."""
    gain, gamma, lift = rng.uniform(0.9, 1.1), np.exp(rng.uniform(-0.15, 0.15)), rng.uniform(-6, 6)
    curve = 255 * gain * (np.arange(256) / 255) ** gamma + lift
    varied = np.clip(curve, 0, 255).astype(np.int16)[shifted(pixels, *rng.integers(-2, 3, size=2))]
    noise = np.round(rng.standard_normal(NOISE_TILE, dtype=np.float32) * rng.uniform(0, 5)).astype(np.int16)
    flat = varied.reshape(-1)
    flat += np.resize(noise, flat.shape)
    np.clip(flat, 0, 255, out=flat)
    return np.asarray(varied, np.uint8)


def shifted(pixels: Pixels, down: int, right: int) -> Pixels:
    """The whole picture moved by some pixels; its edge is repeated into the gap."""
    height, width = pixels.shape[1:3]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return pixels[:, rows][:, :, columns]
