"""Clips side by side as one video: what the echo and CMR experts look at.

Only one clip is decoded at a time, and the frames of the grid are put together while they are encoded: all at once they
would take twice the memory.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
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
    """Takes clips one by one, row by row. Of each it keeps one tile a frame; whole frames exist one at a time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._clips: list[list[NDArray[np.uint8]]] = []

    def add(self, clip: Sequence[NDArray[Any]]) -> tuple[int, int]:
        """Put a clip, uint8 frames (rows, columns) or (rows, columns, 3), into the next tile; returns row and column.

        The picture keeps its proportions. A clip with fewer frames than the grid is played evenly; a still one repeats.
        """
        count = self._layout.frames
        sources = [index * len(clip) // count for index in range(count)]
        fitted = {source: _resized(clip[source], self._layout.tile) for source in dict.fromkeys(sources)}
        self._clips.append([fitted[source] for source in sources])
        return divmod(len(self._clips) - 1, self._layout.side)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """(side * tile, side * tile, 3) BGR each; all in the same memory, so copy what is to be kept."""
        layout = self._layout
        edge, tile = layout.side * layout.tile, layout.tile
        frame = np.zeros((edge, edge, 3), np.uint8)
        for index in range(layout.frames):
            for number, clip in enumerate(self._clips):
                top, left = (place * tile for place in divmod(number, layout.side))
                _centre(clip[index], frame[top : top + tile, left : left + tile])
            yield frame

    def mp4(self) -> bytes:
        """The video. The same frames give the same bytes."""
        return encode_mp4(self.frames(), self._layout)


def encode_mp4(frames: Iterable[NDArray[np.uint8]], layout: Layout) -> bytes:
    """MPEG-4 by OpenCV, which writes to paths only."""
    edge = layout.side * layout.tile
    with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
        path = Path(directory) / "grid.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), layout.fps, (edge, edge))  # type: ignore[attr-defined]
        if not writer.isOpened():
            raise ChordaeError("OpenCV cannot write MPEG-4 here", "install opencv-python-headless from its wheel")
        for frame in frames:
            writer.write(frame)
        writer.release()
        return path.read_bytes()


def fit(picture: NDArray[Any], tile: int) -> NDArray[np.uint8]:
    """A uint8 picture, grey or BGR, in the middle of a black square of `tile` px, proportions kept: (tile, tile, 3)."""
    square = np.zeros((tile, tile, 3), np.uint8)
    _centre(_resized(picture, tile), square)
    return square


def _resized(picture: NDArray[Any], tile: int) -> NDArray[np.uint8]:
    """Grey or BGR as it came, its longer side `tile` px."""
    height, width = picture.shape[:2]
    scale = tile / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(picture if size == (width, height) else cv2.resize(picture, size, interpolation=how), np.uint8)


def _centre(picture: NDArray[np.uint8], square: NDArray[np.uint8]) -> None:
    """Copy a picture, as BGR, into the middle of a black square."""
    height, width = picture.shape[:2]
    top, left = (len(square) - height) // 2, (len(square) - width) // 2
    place = square[top : top + height, left : left + width]
    if picture.ndim == 2:
        cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR, dst=place)
    else:
        place[:] = picture


@dataclass(frozen=True)
class PreparedVideo:
    """What goes on from a study: the grid, how it was made and what each tile shows; nothing that names a patient."""

    mp4: bytes
    version: str
    sidecar: dict[str, object]
