"""Pictures of simulated patients, made exactly as the serving path makes them of real recordings."""

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.ecg import EcgLatents, simulate_ecg
from chordae.platform.picture import fit_picture
from chordae.preprocessing.ecg.clean import band_pass, zero_isoelectric
from chordae.preprocessing.ecg.render import MarcusLayout, render_marcus

RENDERED = (MarcusLayout.columns * MarcusLayout.tile, MarcusLayout.rows * MarcusLayout.tile)
"""Width and height of a picture as it is drawn: what a model sees whose manifest names no size."""


def ecg_picture(signal: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(12, 5000) mV at 500 Hz, already clean -> what the model sees: (height, width, 3) uint8 RGB."""
    drawn = fit_picture(render_marcus(signal), size)
    return np.ascontiguousarray(drawn[:, :, ::-1])  # the renderer draws BGR, models read RGB


def simulated_picture(latents: EcgLatents, rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One recording of `latents`, filtered and drawn: (height, width, 3) uint8 RGB."""
    return ecg_picture(zero_isoelectric(band_pass(simulate_ecg(latents, rng))), size)
