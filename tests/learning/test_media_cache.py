"""What is cached is what serving shows the model; it is read once; variation is light and repeatable."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from made_up import make_dataset

from chordae.cohort.dataset import SAMPLES, Sample, read_rows
from chordae.learning import media_cache
from chordae.learning.augmentation import shifted, vary
from chordae.learning.media_cache import MediaCache, View, see
from chordae.learning.video_frames import frames_as_served
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality


def opened(dataset: Path, view: View) -> MediaCache:
    return MediaCache(dataset, [row.media for row in read_rows(dataset / SAMPLES, Sample)], view)


@pytest.mark.parametrize(("modality", "frames"), [("ecg", 1), ("cmr", 4)])
def test_the_cache_holds_what_serving_shows(modality: Modality, frames: int, tmp_path: Path) -> None:
    dataset, view = make_dataset(tmp_path / "data", modality, 3), View(modality, (56, 56), frames)
    cache = opened(dataset, view)
    for number, row in enumerate(read_rows(dataset / SAMPLES, Sample)):
        alone = see(dataset / row.media, view)
        np.testing.assert_array_equal(cache[number].pixels, alone.pixels)
        assert cache[number].seconds == alone.seconds
        if modality == "cmr":
            patches, grid = cache[number].patches()
            expected, expected_grid = frames_as_served(dataset / row.media, frames, (56, 56))
            np.testing.assert_array_equal(patches, expected)
            assert grid == expected_grid == (2, 4, 4)


def test_media_are_read_once_and_another_size_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(tmp_path / "data", "ecg", 3)
    first = opened(dataset, View("ecg", (56, 56)))
    assert opened(dataset, View("ecg", (84, 56))).file != first.file
    monkeypatch.setattr(media_cache, "see", lambda *_: pytest.fail("read again"))
    again = opened(dataset, View("ecg", (56, 56)))
    assert again.file == first.file
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again))[1].pixels, first[1].pixels)
    assert not [path for path in first.file.parent.iterdir() if path.suffix == ".part"]


def test_missing_and_damaged_media_are_refused_and_leave_no_cache(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", "cmr", 3)
    first, second, _ = [dataset / row.media for row in read_rows(dataset / SAMPLES, Sample)]
    content = second.read_bytes()
    second.write_bytes(content[:200])
    with pytest.raises(BadInput, match=second.name):
        opened(dataset, View("cmr", (56, 56), 4))
    assert not list((dataset / "cache").iterdir())
    first.unlink()
    with pytest.raises(BadInput, match=first.name):
        opened(dataset, View("cmr", (56, 56), 4))


def test_variation_is_light_the_same_for_all_frames_but_noise_and_follows_from_the_generator() -> None:
    still = np.random.default_rng(0).integers(40, 200, (1, 56, 56, 3), dtype=np.uint8)
    video = np.repeat(still, 4, axis=0)
    one, other = (vary(video, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (vary(video, np.random.default_rng(4)) != one).any()
    means = one.reshape(4, -1).astype(float).mean(axis=1)
    assert np.ptp(means) < 1, "one exposure"
    correlation = max(
        np.corrcoef(shifted(video, down, right).ravel(), one.ravel())[0, 1]
        for down in range(-2, 3)
        for right in range(-2, 3)
    )
    assert correlation > 0.98


def test_a_shift_moves_the_whole_picture() -> None:
    pixels = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    moved = shifted(pixels, 1, -2)[0, :, :, 0]
    np.testing.assert_array_equal(moved[1:, :3], pixels[0, :-1, 2:, 0])
