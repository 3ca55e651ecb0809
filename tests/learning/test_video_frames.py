"""Training sees of a video what transformers' own processor, which the serving engine uses, makes of it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from chordae.learning.nano import processors
from chordae.learning.video_frames import frame_indices, frames_as_served, seconds_per_grid, seen_frames, video_patches
from chordae.platform.errors import BadInput
from chordae.preprocessing.grid import Layout, encode_mp4


def made_up(path: Path, layout: Layout, seed: int = 0) -> Path:
    """A grid video whose every frame differs: drifting soft noise."""
    edge = layout.side * layout.tile
    noise = cv2.resize(np.random.default_rng(seed).integers(0, 255, (30, 30, 3), np.uint8), (edge, edge))
    path.write_bytes(encode_mp4((np.roll(noise, 9 * index, axis=1) for index in range(layout.frames)), layout))
    return path


LAYOUTS = {"cmr": (Layout(4, 240, 16, 16.0), 224), "echo": (Layout(5, 256, 24, 10.0), 280)}


@pytest.mark.parametrize(("layout", "side"), LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("tiles", [1, 9, 25])
def test_the_patches_are_those_of_the_checkpoints_own_processor(
    tmp_path: Path, layout: Layout, side: int, tiles: int
) -> None:
    import torch
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    layout = layout.shrunk(tiles)
    mp4 = made_up(tmp_path / "grid.mp4", layout)
    video, frames = cv2.VideoCapture(str(mp4)), []
    while (read := video.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    wanted = np.stack([frames[index] for index in frame_indices(len(frames), 4)])
    config = processors((side, side), 4)["video_preprocessor_config.json"]
    theirs = Qwen2VLVideoProcessor(**config)(videos=[torch.from_numpy(wanted).permute(0, 3, 1, 2)])
    ours, grid = frames_as_served(mp4, 4, (side, side))
    assert theirs["video_grid_thw"][0].tolist() == list(grid) == [2, side // 14, side // 14]
    np.testing.assert_allclose(ours, np.asarray(theirs["pixel_values_videos"]), atol=1e-5)


@pytest.mark.parametrize("side", [224, 280])
def test_the_processor_brings_every_square_grid_to_the_models_size(side: int) -> None:
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

    size = processors((side, side), 4)["video_preprocessor_config.json"]["size"]
    for edge in range(30, 1500):
        bounds = {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
        assert smart_resize(edge, edge, 28, **bounds) == (side, side), edge


@pytest.mark.parametrize(
    ("total", "frames", "indices"), [(16, 4, [0, 5, 10, 15]), (24, 4, [0, 7, 15, 23]), (3, 4, [0, 1, 2]), (1, 4, [0])]
)
def test_frames_are_spread_from_the_first_to_the_last(total: int, frames: int, indices: list[int]) -> None:
    assert frame_indices(total, frames) == indices


def test_an_odd_frame_repeats() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 28, 28, 3), np.uint8)
    patches, grid = video_patches(frames)
    again, _ = video_patches(np.concatenate([frames, frames[-1:]]))
    assert grid == (2, 2, 2)
    np.testing.assert_array_equal(patches, again)


def test_time_between_patches_is_twice_that_between_the_frames_seen() -> None:
    """transformers: temporal_patch_size / sampled_fps, where 4 of 16 frames at 16 fps are 4 fps."""
    assert seconds_per_grid(16, 16.0, 4) == pytest.approx(2 / 4)
    assert seconds_per_grid(24, 10.0, 4) == pytest.approx(1.2)


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x18ftypisom" + bytes(100)])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "grid.mp4").write_bytes(content)
    with pytest.raises(BadInput, match="no readable video"):
        seen_frames(tmp_path / "grid.mp4", 4, (224, 224))


def test_half_a_video_is_refused(tmp_path: Path) -> None:
    mp4 = made_up(tmp_path / "grid.mp4", Layout(1, 240, 16, 16.0))
    mp4.write_bytes(mp4.read_bytes()[: mp4.stat().st_size // 2])
    with pytest.raises(BadInput, match="no readable video"):
        seen_frames(mp4, 4, (224, 224))
