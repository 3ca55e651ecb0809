"""Clips side by side as one video: what the echo and CMR experts look at.

A grid is (frames, side * tile, side * tile, 3) uint8 BGR, filled tile by tile so that only one clip is decoded at a
time, and written as MPEG-4 by OpenCV.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import ChordaeError


@dataclass(frozen=True)
class Layout:
    """Tiles of `tile` px, `side` x `side` of them, `frames` frames at `fps`.

    MARCUS has 5, 256, 24 at 10 for echo and 4, 240, 16 for CMR.
    """

    side: int
    tile: int
    frames: int
    fps: float

    def shrunk(self, clips: int) -> Layout:
        """The smallest square grid that holds so many clips: a small study gets few tiles, not empty ones."""
        return Layout(min(self.side, max(1, math.ceil(math.sqrt(clips)))), self.tile, self.frames, self.fps)


class Grid:
    """Takes clips one by one, row by row."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        edge = layout.side * layout.tile
        self.frames: NDArray[np.uint8] = np.zeros((layout.frames, edge, edge, 3), np.uint8)
        self._taken = 0

    def add(self, clip: Sequence[NDArray[Any]]) -> tuple[int, int]:
        """Put a clip, uint8 frames (rows, columns) or (rows, columns, 3), into the next tile; returns row and column.

        The picture keeps its proportions. A clip with fewer frames than the grid is played evenly; a still one repeats.
        """
        layout = self._layout
        row, column = divmod(self._taken, layout.side)
        self._taken += 1
        top, left = row * layout.tile, column * layout.tile
        fitted: dict[int, NDArray[np.uint8]] = {}
        for index in range(layout.frames):
            source = index * len(clip) // layout.frames
            if source not in fitted:
                fitted[source] = fit(clip[source], layout.tile)
            self.frames[index, top : top + layout.tile, left : left + layout.tile] = fitted[source]
        return row, column

    def mp4(self) -> bytes:
        """The video. The same frames give the same bytes."""
        edge = self.frames.shape[1]
        # OpenCV writes to paths only
        with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
            path = Path(directory) / "grid.mp4"
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), self._layout.fps, (edge, edge))  # type: ignore[attr-defined]
            if not writer.isOpened():
                raise ChordaeError("OpenCV cannot write MPEG-4 here", "install opencv-python-headless from its wheel")
            for frame in self.frames:
                writer.write(frame)
            writer.release()
            return path.read_bytes()


def fit(picture: NDArray[Any], tile: int) -> NDArray[np.uint8]:
    """A uint8 picture, grey or BGR, in the middle of a black square of `tile` px, proportions kept: (tile, tile, 3)."""
    height, width = picture.shape[:2]
    scale = tile / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = picture if size == (width, height) else cv2.resize(picture, size, interpolation=how)
    if resized.ndim == 2:
        resized = cv2.cvtColor(resized, cv2.COLOR_GRAY2BGR)
    if size == (tile, tile):
        return np.asarray(resized, np.uint8)
    square = np.zeros((tile, tile, 3), np.uint8)
    top, left = (tile - size[1]) // 2, (tile - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = resized
    return square


@dataclass(frozen=True)
class PreparedVideo:
    """What goes on from a study: the grid, how it was made and what each tile shows; nothing that names a patient."""

    mp4: bytes
    version: str
    sidecar: dict[str, object]
