"""What a recorder adds to the heart's signal: drifting baseline, mains hum, muscle tremor, electrode gains."""

import numpy as np
from numpy.typing import NDArray


def recording_noise(
    rng: np.random.Generator, shape: tuple[int, int], rate_hz: int, mains_hz: int | None = None
) -> NDArray[np.float64]:
    """Noise of (leads, samples) in mV for independent leads, so that derived leads stay consistent.

    Without `mains_hz` the mains have 50 or 60 Hz.
    """
    leads, samples = shape
    time = np.arange(samples) / rate_hz
    noise = np.zeros(shape)
    for _ in range(3):  # breathing and movement, 0.05-0.6 Hz
        frequency, phase = rng.uniform(0.05, 0.6), rng.uniform(0, 2 * np.pi)
        size = rng.uniform(0, 0.12) * rng.normal(1, 0.5, (leads, 1))
        noise += size * np.sin(2 * np.pi * frequency * time + phase)
    either = rng.choice([50.0, 60.0])
    mains = either if mains_hz is None else float(mains_hz)
    noise += rng.uniform(0, 0.03) * rng.uniform(0, 1, (leads, 1)) * np.sin(2 * np.pi * mains * time)
    white = rng.normal(0, 1, shape)
    tremor = white - 0.5 * (np.roll(white, 1, axis=1) + np.roll(white, 2, axis=1))
    level = rng.choice([0.004, 0.01, 0.02, 0.045], p=[0.35, 0.35, 0.2, 0.1])
    noise += level * rng.uniform(0.4, 1.2, (leads, 1)) * tremor
    if rng.random() < 0.15:  # one electrode moves once
        lead, at = int(rng.integers(leads)), rng.uniform(0, samples / rate_hz)
        noise[lead] += rng.normal(0, 0.35) * np.exp(-0.5 * ((time - at) / rng.uniform(0.1, 0.4)) ** 2)
    return noise
