"""The fan is found, and nothing outside it is ever shown: names and dates are burned in there."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from echo_files import COLUMNS, ROWS, clip, compressed, fan, fan_mask, real, region, written
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEGBaseline8Bit

from chordae.preprocessing.dicom import decode, read_instance
from chordae.preprocessing.dicom.regions import Region
from chordae.preprocessing.echo.clips import Clip, clips_of
from chordae.preprocessing.echo.cycle import cycle_of
from chordae.preprocessing.echo.sector import Sector, find_sector
from chordae.preprocessing.echo.tiles import Tile, render


def covered(sector: Sector, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    picture = np.zeros((rows, columns), np.uint8)
    for outline in sector.outlines:
        cv2.fillPoly(picture, [np.round(outline).astype(np.int32)], 1)
    return picture > 0


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def outside(area: np.ndarray, mask: np.ndarray, margin: int) -> int:
    """How many pixels are shown that lie further from the fan than so many."""
    return int((area & ~grown(mask, margin)).sum())


def found(frames: np.ndarray, *regions: Region) -> Sector:
    sector = find_sector(list(frames), regions)
    assert sector is not None
    return sector


def tile_of(pixels: np.ndarray) -> Tile:
    (one,), _ = clips_of([clip(pixels)])
    return render(one, cycle_of(one.instance, 24), 256)


def text_positions() -> list[tuple[int, int]]:
    """Lower left corners at which a short text stands clear of the fan by 3 pixels."""
    places = []
    for y in range(12, ROWS, 12):
        for x in range(2, COLUMNS - 60, 14):
            stamp = np.zeros((ROWS, COLUMNS), np.uint8)
            written(stamp, "DOE 1961", x, y)
            if not (grown(stamp > 0, 3) & fan_mask()).any():
                places.append((x, y))
    return places


def test_the_fan_is_found_by_its_motion() -> None:
    sector = found(fan()[::4])
    area = covered(sector)
    assert sector.found_by == "motion"
    assert outside(area, fan_mask(), 0) == 0
    assert (area & fan_mask()).sum() / fan_mask().sum() > 0.94


@pytest.mark.parametrize(("rows", "columns"), [(60, 80), (480, 640), (768, 1024), (600, 300)])
def test_the_fan_is_found_at_any_size(rows: int, columns: int) -> None:
    area, mask = covered(found(fan(0, 6, 6, rows, columns)), rows, columns), fan_mask(rows, columns)
    assert outside(area, mask, 1) == 0
    assert (area & mask).sum() / mask.sum() > (0.85 if rows < 100 else 0.9)


def test_text_anywhere_outside_the_fan_changes_not_one_pixel() -> None:
    places = text_positions()
    assert len(places) > 60
    box = found(fan()[::3]).box
    within = [(x, y) for x, y in places if box[0] <= x and x + 60 <= box[2] and box[1] <= y - 8 and y <= box[3]]
    assert len(within) > 5  # beside the wedge, but in its bounding box
    clean = found(fan()[::3])
    for x, y in places:
        pixels = fan()[::3].copy()
        written(pixels, "DOE 1961", x, y)
        sector = found(pixels)
        assert int((covered(sector) & (pixels.max(0) != fan()[::3].max(0))).sum()) == 0, (x, y)
        for outline, same in zip(sector.outlines, clean.outlines, strict=True):
            np.testing.assert_array_equal(outline, same)


@pytest.mark.parametrize("brightness", [0.0, 0.8])
def test_a_frame_that_fades_does_not_make_text_move(brightness: float) -> None:
    pixels = fan()[::3].copy()
    for line in range(8):
        written(pixels, "SMITH JOHN 1956", 2, 10 + 9 * line, 0.4)
    shown = pixels.copy()
    pixels[2] = (pixels[2] * brightness).astype(np.uint8)
    text = (shown.max(0) != fan()[::3].max(0)) & ~fan_mask()
    assert int((covered(found(pixels)) & text).sum()) == 0


def test_a_picture_full_of_text_gives_the_tile_of_one_without() -> None:
    pixels = fan().copy()
    for x, y in text_positions():
        written(pixels, "DOE 1961", x, y)
    for found_frame, clean in zip(tile_of(pixels).frames, tile_of(fan()).frames, strict=True):
        np.testing.assert_array_equal(found_frame, clean)


@settings(max_examples=40, deadline=None)
@given(
    text=st.text("ABCDEFGHIJ0123456789./-", min_size=1, max_size=14),
    x=st.integers(0, COLUMNS),
    y=st.integers(0, ROWS),
    scale=st.floats(0.25, 0.9),
)
def test_no_text_outside_the_fan_is_ever_covered_by_it(text: str, x: int, y: int, scale: float) -> None:
    pixels = fan()[::5].copy()
    written(pixels, text, x, y, scale)
    pixels[:, fan_mask()] = fan()[::5][:, fan_mask()]
    sector = found(pixels)
    assert outside(covered(sector), fan_mask(), 1) == 0


def clock(pixels: np.ndarray) -> None:
    for number, frame in enumerate(pixels):
        written(frame, f"12:{number * 7 % 60:02d}:{number * 13 % 60:02d}", 4, 20)


def electrocardiogram(pixels: np.ndarray) -> None:
    for number, frame in enumerate(pixels):
        points = [(x, 228 - (18 if (x + 11 * number) % 90 < 4 else 0)) for x in range(0, COLUMNS, 2)]
        cv2.polylines(frame, [np.array(points, np.int32)], False, 220, 1)


def scrolling_wave(pixels: np.ndarray) -> None:
    x = np.arange(0, COLUMNS, 2)
    for number, frame in enumerate(pixels):
        points = np.column_stack([x, 225 + 12 * np.sin((x + 9 * number) / 8)])
        cv2.polylines(frame, [points.astype(np.int32)], False, 220, 1)


def moving_cursor(pixels: np.ndarray) -> None:
    for number, frame in enumerate(pixels):
        cv2.line(frame, (10 * number, 215), (10 * number, 238), 255, 1)


def colour_bar(pixels: np.ndarray) -> None:
    pixels[:, 30:150, 300:312] = np.linspace(255, 0, 120).astype(np.uint8)[:, None]


@pytest.mark.parametrize("draw", [clock, electrocardiogram, scrolling_wave, moving_cursor, colour_bar])
def test_clocks_traces_and_bars_go(draw: Callable[[np.ndarray], None]) -> None:
    pixels = fan().copy()
    draw(pixels)
    assert outside(covered(found(pixels[::4])), fan_mask(), 0) == 0


def test_text_next_to_the_fan_goes_from_jpeg_too() -> None:
    pixels = fan().copy()
    for x, y in text_positions():
        written(pixels, "DOE 1961", x, y)
    frames = decode(read_instance(compressed(pixels, JPEGBaseline8Bit)), range(0, 30, 3))
    area = covered(found(np.stack(frames)))
    assert outside(area, fan_mask(), 3) == 0
    written_there = (pixels.max(0) > 128) & ~fan_mask()
    assert (area & written_there).sum() <= 0.002 * written_there.sum()
    assert (area & fan_mask()).sum() / fan_mask().sum() > 0.93


def test_a_frozen_fan_is_found_by_its_brightness_and_texts_still_go() -> None:
    still = np.repeat(np.maximum(fan()[:1], np.where(fan_mask(), 30, 0).astype(np.uint8)), 4, axis=0)
    for x, y in text_positions()[::3]:
        pixels = still.copy()
        written(pixels, "DOE 1961", x, y)
        sector = found(pixels)
        assert sector.found_by == "brightness"
        assert int((covered(sector) & (pixels[0] != still[0])).sum()) == 0, (x, y)
    assert (covered(found(still)) & fan_mask()).sum() / fan_mask().sum() > 0.8


def test_a_still_fan_with_a_small_moving_thing_is_shown_whole() -> None:
    pixels = np.repeat(np.where(fan_mask(), 90, 0).astype(np.uint8)[None], 8, axis=0)
    for number, frame in enumerate(pixels):
        cv2.circle(frame, (150 + 3 * number, 120), 14, 200, -1)
    assert (covered(found(pixels)) & fan_mask()).sum() / fan_mask().sum() > 0.8


def test_black_cavities_and_a_black_side_belong_to_the_fan() -> None:
    pixels = fan().copy()
    for frame in pixels:
        cv2.circle(frame, (150, 120), 40, 0, -1)
        cv2.circle(frame, (215, 150), 25, 0, -1)
    area = covered(found(pixels[::4]))
    assert outside(area, fan_mask(), 0) == 0
    assert (area & fan_mask()).sum() / fan_mask().sum() > 0.94


@pytest.mark.parametrize(("width", "apart"), [(COLUMNS, True), (264, False)])
def test_two_planes_side_by_side_are_both_kept_and_what_stands_between_them_goes(width: int, apart: bool) -> None:
    pixels = np.concatenate([fan(0, 8, 8, ROWS, width), fan(1, 8, 8, ROWS, width)], axis=2)
    written(pixels, "DOE 1961", width - 30, 30)
    sector, mask = found(pixels), np.concatenate([fan_mask(ROWS, width)] * 2, axis=1)
    assert len(sector.outlines) == (2 if apart else 1)
    area = covered(sector, ROWS, 2 * width)
    assert outside(area, mask, 1 if apart else 6) == 0
    assert (area & mask).sum() / mask.sum() > 0.88


def test_regions_inside_the_picture_narrow_the_search() -> None:
    pixels = np.concatenate([fan(0, 8, 8), fan(1, 8, 8)], axis=2)
    left = Region(1, 1, (0, 0, COLUMNS, ROWS))
    sector = found(pixels, left)
    assert len(sector.outlines) == 1
    assert sector.box[2] <= COLUMNS


def test_regions_of_a_larger_picture_are_not_believed() -> None:
    outside = Region(1, 1, (84, 31, 596, 415))
    np.testing.assert_array_equal(found(fan()[::4], outside).outlines[0], found(fan()[::4]).outlines[0])


def test_what_the_header_calls_an_ecg_is_not_taken_for_the_fan() -> None:
    pixels = fan()[::4].copy()
    pixels[:, 205:] = np.random.default_rng(0).integers(0, 255, (len(pixels), 35, COLUMNS))
    trace = Region(4, 10, (0, 205, COLUMNS, ROWS))
    assert found(pixels, Region(1, 1, (0, 0, COLUMNS, ROWS)), trace).box[3] <= 206


def test_the_real_loop_shows_its_whole_fan_and_none_of_its_labels() -> None:
    frames = decode(real(), range(0, 30, 3))
    area = covered(found(np.stack(frames)))
    region_in_header = np.zeros((ROWS, COLUMNS), bool)
    region_in_header[15:208, 42:299] = True  # at the size of the picture
    assert outside(area, region_in_header, 0) == 0
    assert not area[14:26, 185:196].any()  # the orientation mark, next to the apex
    assert not area[:60, :90].any()
    assert not area[196:, 270:].any()  # the depth in cm
    assert area[140, 60:280].all()


@pytest.mark.parametrize("level", [0, 5])
def test_an_empty_picture_has_no_sector(level: int) -> None:
    assert find_sector([np.full((ROWS, COLUMNS), level, np.uint8)] * 3) is None


def test_a_sector_cut_by_a_screen_of_text_only_is_none() -> None:
    pixels = np.zeros((4, ROWS, COLUMNS), np.uint8)
    for y in range(20, ROWS, 24):
        written(pixels, "Patient DOE JOHN 1961", 5, y)
    assert find_sector(list(pixels)) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_any_pixels_give_a_sector_inside_the_picture_or_none(
    seed: int, rows: int, columns: int, frames: int, colour: bool
) -> None:
    shape = (frames, rows, columns, 3) if colour else (frames, rows, columns)
    pixels = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    sector = find_sector(list(pixels))
    if sector is not None:
        left, top, right, bottom = sector.box
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows


def test_clips_know_their_regions() -> None:
    regions = [region((10, 20, 300, 200)), region((0, 210, 319, 239), 4, 10)]
    clips, _ = clips_of([clip(fan(), SequenceOfUltrasoundRegions=regions)])
    assert clips == [Clip(1, clips[0].instance, (Region(1, 1, (10, 20, 301, 201)), Region(4, 10, (0, 210, 320, 240))))]
