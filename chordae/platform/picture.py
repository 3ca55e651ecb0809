"""The one resize between a rendered picture and what a model sees.

Training and serving both call `fit_picture`, so that a model is never shown a picture scaled in a way it was not
trained on.
"""

import cv2
import numpy as np
import numpy.typing as npt


def fit_picture(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Scale a rendered picture to the size a model was trained at.

    Args:
        picture: (height, width, 3) uint8, RGB.
        size: (width, height) in pixels, as `picture` in the model's manifest.

    Returns:
        (height, width, 3) uint8. A picture that has the size already is returned as it is. Area averaging keeps
        one-pixel traces visible when shrinking (OpenCV, `cv2.INTER_AREA`).
    """
    width, height = size
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
