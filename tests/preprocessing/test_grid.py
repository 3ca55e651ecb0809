"""A grid shows every clip in its tile, undistorted, and the video that OpenCV reads back is the grid."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.preprocessing.grid import Grid, Layout, fit

SMALL = Layout(side=2, tile=64, frames=6, fps=10)


def read_back(mp4: bytes, folder: Path) -> tuple[np.ndarray, float]:
    (folder / "grid.mp4").write_bytes(mp4)
    video = cv2.VideoCapture(str(folder / "grid.mp4"))
    frames = []
    while True:
        more, frame = video.read()
        if not more:
            return np.stack(frames), video.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


def test_the_video_shows_each_clip_in_its_tile(tmp_path: Path) -> None:
    grid = Grid(SMALL)
    places = [grid.add([np.full((30, 30), level, np.uint8)]) for level in (50, 100, 150, 200)]
    assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]
    frames, fps = read_back(grid.mp4(), tmp_path)
    assert frames.shape == (6, 128, 128, 3)
    assert fps == 10
    for (row, column), level in zip(places, (50, 100, 150, 200), strict=True):
        tile = frames[:, row * 64 + 8 : row * 64 + 56, column * 64 + 8 : column * 64 + 56]
        assert np.abs(tile.astype(int) - level).max() <= 6  # MPEG-4 has fewer greys than we


def test_a_clip_is_played_evenly_and_a_still_one_repeats() -> None:
    grid = Grid(SMALL)
    grid.add([np.full((4, 4), level, np.uint8) for level in (10, 20, 30)])
    grid.add([np.full((4, 4), 99, np.uint8)])
    shown = [(int(frame[0, 0, 0]), int(frame[0, 64, 0])) for frame in grid.frames()]
    assert shown == [(10, 99), (10, 99), (20, 99), (20, 99), (30, 99), (30, 99)]


def test_the_same_frames_give_the_same_bytes() -> None:
    def once() -> bytes:
        grid = Grid(SMALL)
        grid.add([np.random.default_rng(7).integers(0, 255, (90, 70, 3), dtype=np.uint8)])
        return grid.mp4()

    assert once() == once()


def test_a_colour_stays_that_colour(tmp_path: Path) -> None:
    grid = Grid(Layout(1, 64, 2, 10))
    grid.add([np.full((64, 64, 3), (200, 60, 20), np.uint8)])
    frames, _ = read_back(grid.mp4(), tmp_path)
    assert np.abs(frames[0, 32, 32].astype(int) - (200, 60, 20)).max() <= 4


@pytest.mark.parametrize(("clips", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (17, 5), (25, 5), (60, 5)])
def test_a_small_study_gets_a_small_grid(clips: int, side: int) -> None:
    assert Layout(5, 256, 24, 10).shrunk(clips).side == side


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 600), width=st.integers(1, 600))
def test_a_picture_keeps_its_proportions_in_the_middle_of_its_tile(height: int, width: int) -> None:
    square = fit(np.full((height, width), 255, np.uint8), 64)
    rows, columns = np.nonzero(square[..., 0])
    tall, wide = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert max(tall, wide) == 64
    scale = 64 / max(height, width)
    assert abs(tall - max(1, height * scale)) <= 1
    assert abs(wide - max(1, width * scale)) <= 1
    assert abs((rows.min() + rows.max()) / 2 - 31.5) <= 1
    assert abs((columns.min() + columns.max()) / 2 - 31.5) <= 1
