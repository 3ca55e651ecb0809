"""Pictures of recordings, made exactly as the serving path makes them."""

import numpy as np
from numpy.typing import NDArray

from chordae.platform.picture import fit_picture
from chordae.preprocessing.ecg.render import render_marcus


def ecg_picture(signal: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(12, 5000) mV at 500 Hz, already clean -> what the model sees: (height, width, 3) uint8 RGB."""
    drawn = fit_picture(render_marcus(signal), size)
    return np.ascontiguousarray(drawn[:, :, ::-1])  # the renderer draws BGR, models read RGB
