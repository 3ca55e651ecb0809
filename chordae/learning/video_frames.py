"""What a video expert sees of an MP4: the same frames, at the same size, as the serving engine feeds its model.

Serving (`chordae.platform.engine`) has vLLM take evenly spread frames with OpenCV and transformers' Qwen2-VL video
processor resize them. Training must show the model the very same, so it makes them here, and a test compares the two.
Two frames, one after the other, make one patch in time.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from chordae.learning.nano import MEAN, MERGE, PATCH, STD, TEMPORAL
from chordae.platform.errors import BadInput

Patches = tuple[npt.NDArray[np.float32], tuple[int, int, int]]


def frames_as_served(mp4: Path, frames: int, size: tuple[int, int]) -> Patches:
    """The patches of an MP4 as the engine gives them to a model, and their grid.

    Args:
        mp4: a grid video.
        frames: how many the model looks at, as `num_frames` in its `video_preprocessor_config.json`.
        size: (width, height) in px that they are seen at, multiples of 28.

    Returns:
        (patches, 1176) float32 `pixel_values_videos` and (time, rows, columns) `video_grid_thw`.

    Raises:
        BadInput: no readable video there.
    """
    return video_patches(seen_frames(mp4, frames, size))


def seen_frames(mp4: Path, frames: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(frames, height, width, 3) uint8 RGB: what is worth caching, for decoding is what takes the time.

    Raises as `frames_as_served` does.
    """
    video = cv2.VideoCapture(str(mp4))
    wanted = frame_indices(max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT))), frames)
    seen = []
    for index in range(wanted[-1] + 1 if wanted else 0):
        if not video.grab():
            break
        if index in wanted:
            seen.append(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB))
    if not wanted or len(seen) < len(wanted):
        raise BadInput(f"{mp4.name} is no readable video", "prepare its study again")
    return _resized(np.stack(seen), size)


def frame_indices(total: int, frames: int) -> list[int]:
    """Evenly spread from the first to the last, rounded down, as vLLM's `opencv` video loader does."""
    return [int(index) for index in np.linspace(0, total - 1, min(frames, total), dtype=int)]


def seconds_per_grid(total: int, fps: float, frames: int) -> float:
    """`second_per_grid_ts`: the time, in seconds, from one patch in time to the next (Qwen2_5_VLProcessor)."""
    return TEMPORAL * total / (min(frames, total) * fps)


def video_patches(frames: npt.NDArray[np.uint8]) -> Patches:
    """What Qwen2-VL's video processor makes of frames that need no resize; an odd number repeats the last.

    Args:
        frames: (frames, height, width, 3) uint8 RGB, both sides multiples of 28.
    """
    if len(frames) % TEMPORAL:
        frames = np.concatenate([frames, frames[-1:]])
    times, rows, columns = len(frames) // TEMPORAL, frames.shape[1] // PATCH, frames.shape[2] // PATCH
    scaled = (frames.astype(np.float32) / 255.0 - MEAN) / STD
    blocks = scaled.reshape(times, TEMPORAL, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH, 3)
    # -> time, merged row, merged column, row in merge, column in merge, channel, frame, y, x
    ordered = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return np.ascontiguousarray(ordered.reshape(times * rows * columns, -1), np.float32), (times, rows, columns)


def _resized(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bicubic with antialiasing on uint8, as transformers' video processors resize (torchvision's `resize`)."""
    width, height = size
    if frames.shape[1:3] == (height, width):
        return frames
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())
