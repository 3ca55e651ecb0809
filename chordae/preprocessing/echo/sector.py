"""Where in the picture the ultrasound is: the fan, without the texts, scales, bars and traces around it.

What names a patient is burned in outside the fan, so what is kept must lie inside it. Speckle moves, text does not: the
convex hull of what moves lies inside the fan, because fans are convex, however close to it a text stands. Only a
picture that hardly moves is judged by its brightness; then text is too thin to count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.dicom.regions import Box, Region
from chordae.preprocessing.echo.clips import is_plane

Picture = NDArray[np.uint8]
"""(rows, columns) or (rows, columns, 3)."""

EDGE = 160
"""Pixels of the longer side of the pictures that are looked at."""
MOVES = 3
"""Grey levels between the darkest and the brightest of some frames."""
STEADY = 8
"""What varies by less than such a part of its brightness stands still: JPEG lets text next to speckle tremble."""
FADES = 0.1
"""A frame is left out if it is darker or brighter by so much; less does not make text move, as STEADY is an eighth."""
BRIGHT = 16
WINDOW = 9
"""Pixels at EDGE. At least half of such a square must move or shine: a line of text, 3 to 5 high, fills a third."""
CONVEX = 0.8
"""Of a fan's hull is solid, at least: nine tenths where one side is dark, three quarters of two fans that touch."""
SMALLEST = 0.02
"""Of the picture's area; what is smaller is no fan."""
LIVELY = 0.5
"""Of the area that shines; where less of it moves, the fan is a frozen one."""


@dataclass(frozen=True)
class Sector:
    """Outlines in the picture's pixels, (points, 2) each, one a plane; biplane pictures have two."""

    outlines: tuple[NDArray[np.float64], ...]
    found_by: Literal["motion", "brightness"]

    @cached_property
    def box(self) -> Box:
        """What surrounds the outlines."""
        points = np.concatenate(self.outlines)
        left, top = np.floor(points.min(0)).astype(int)
        right, bottom = np.ceil(points.max(0)).astype(int) + 1
        return int(left), int(top), int(right), int(bottom)

    def mask(self, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width), 255 inside, of that box of the picture enlarged or reduced to that size."""
        left, top, right, bottom = box
        scale = np.array([width / (right - left), height / (bottom - top)])
        mask = np.zeros((height, width), np.uint8)
        for outline in self.outlines:
            points = np.round((outline - (left, top) + 0.5) * scale - 0.5).astype(np.int32)
            cv2.fillPoly(mask, [points], 255)
        return mask


def find_sector(frames: Sequence[Picture], regions: Sequence[Region] = ()) -> Sector | None:
    """The fan that these frames of one clip show; nothing where there is none.

    Regions of the header narrow the search where they lie inside the picture: some files have those of a larger one.
    """
    factor = max(1, round(max(frames[0].shape[:2]) / EDGE))
    small = _steady(np.stack([_reduced(frame, factor) for frame in frames]))
    brightest = small.max(axis=0)
    range_ = brightest - small.min(axis=0)
    moving = (range_ >= MOVES) & (range_ >= brightest // STEADY)
    shining = brightest >= BRIGHT
    # by the majority of each 3 x 3: a line has none
    busy, dead = (cv2.medianBlur(spots.astype(np.uint8), 3) for spots in (moving, range_ == 0))
    outlines: list[NDArray[np.float64]] = []
    found_by: Literal["motion", "brightness"] = "motion"
    for window in _windows(frames[0].shape[:2], regions, factor, moving.shape):
        alive, bright = _solid(moving & window), _solid((shining | moving) & window)
        smallest = SMALLEST * moving.size
        if alive.sum() >= max(smallest, LIVELY * bright.sum()):
            # bridged where the fan is dark, but not where nothing at all moves, as between it and an ECG below
            bridged = cv2.morphologyEx(alive, cv2.MORPH_CLOSE, _square(5)) & ~dead
            whole = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, _square(5))
            # the solid part lost its corners; what moves next to it belongs to it, but for lines
            found = [_outline(part, cv2.dilate(part, _square(5)) & busy & window) for part in _planes(whole)]
        elif bright.sum() >= smallest:
            # some text next to the fan may have joined it: that much is taken off
            eroded = [cv2.erode(part, _square(5)) for part in _planes(bright)]
            found = [_outline(part, part) for part in eroded]
            found_by = "brightness"
        else:
            continue
        outlines += [(outline + 0.5) * factor - 0.5 for outline in found if len(outline) > 2]
    return Sector(tuple(outlines), found_by) if outlines else None


def _steady(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without frames that are black or faded as a whole: from them to the others text would seem to move."""
    fewer = frames[:, ::2, ::2]  # a quarter of the picture tells as well, in a quarter of the time
    usual = np.median(fewer, axis=0)
    bright = usual >= BRIGHT
    if not bright.any():
        return frames
    gains = np.median(fewer[:, bright] / usual[bright], axis=1)
    most = np.sort(gains)[len(gains) // 2]  # one of them, so that one is left
    return np.asarray(frames[np.abs(gains - most) <= FADES * most], np.uint8)


def sane_box(region: Region, rows: int, columns: int) -> bool:
    """Whether the region lies in the picture and is no mere spot."""
    left, top, right, bottom = region.box
    inside = 0 <= left < right <= columns and 0 <= top < bottom <= rows
    return inside and (right - left) * (bottom - top) >= SMALLEST * rows * columns


def _windows(
    size: tuple[int, ...], regions: Sequence[Region], factor: int, small: tuple[int, ...]
) -> list[NDArray[np.bool_]]:
    """Where to look: each plane's box without what the header says is an ECG, a spectrum or a bar; else everywhere."""
    rows, columns = size[:2]
    planes = [region for region in regions if is_plane(region) and sane_box(region, rows, columns)]
    others = [region for region in regions if not is_plane(region) and sane_box(region, rows, columns)]
    different = dict.fromkeys(region.box for region in planes)  # tissue and its colour share one box
    windows = [_window(box, factor, small) for box in different] or [np.ones(small, bool)]
    for region in others:
        taken = _window(region.box, factor, small)
        # one that covers most of the plane is a mistake
        windows = [window & ~taken if (window & taken).sum() < window.sum() / 2 else window for window in windows]
    return windows


def _window(box: Box, factor: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    window = np.zeros(shape, bool)
    window[-(-top // factor) : bottom // factor, -(-left // factor) : right // factor] = True
    return window


def _reduced(frame: Picture, factor: int) -> NDArray[np.uint8]:
    rows, columns = (max(1, edge // factor) for edge in frame.shape[:2])
    whole = frame[: rows * factor, : columns * factor]
    # green is most of what an eye sees as grey, and three times as fast to get
    grey = cv2.extractChannel(whole, 1) if whole.ndim == 3 else whole
    return np.asarray(cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _solid(spots: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """1 where at least half of the surroundings are set."""
    # beyond the edge there is nothing; OpenCV would mirror a line of text there and make two of it
    share: NDArray[Any] = cv2.boxFilter(spots.astype(np.float32), -1, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)
    return (share >= 0.5).astype(np.uint8)


def _planes(solid: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The largest connected part; and, left or right of it, others of half its size: the second plane of a biplane."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    parts = sorted(range(1, count), key=lambda part: (-stats[part, cv2.CC_STAT_AREA], part))
    kept = parts[:1]
    for part in parts[1:]:
        large = 2 * stats[part, cv2.CC_STAT_AREA] >= stats[parts[0], cv2.CC_STAT_AREA]
        if large and all(_beside(stats[part], stats[other]) for other in kept):
            kept.append(part)
    return [(labels == part).astype(np.uint8) for part in kept]


def _beside(one: NDArray[Any], other: NDArray[Any]) -> bool:
    (left, width), (other_left, other_width) = (
        (stats[cv2.CC_STAT_LEFT], stats[cv2.CC_STAT_WIDTH]) for stats in (one, other)
    )
    return bool(left >= other_left + other_width or other_left >= left + width)


def _outline(part: NDArray[np.uint8], spots: NDArray[Any]) -> NDArray[np.float64]:
    """The corners (points, 2) as x and y of a plane that shows these spots; none where it is too small to have any.

    It is their hull, less one pixel around, half of which may lie outside the fan. Where much less is solid than that,
    they are no fan, and what lies between may be text: then it is the outline of the solid part.
    """
    corners = _hull(spots)
    if len(corners) < 3:
        return np.zeros((0, 2))
    hull, solid = np.zeros(part.shape, np.uint8), np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(hull, corners, 1)
    cv2.fillPoly(solid, [_contour(part)], 1)
    shown = hull if solid.sum() >= CONVEX * hull.sum() else solid
    return _contour(cv2.erode(shown, _square(3))).astype(np.float64)


def _contour(spots: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(points, 2) around the largest connected part, its holes filled; none where nothing is set."""
    contours, _ = cv2.findContours(spots, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=np.zeros((0, 1, 2), np.int32))
    return np.asarray(largest[:, 0], np.int32)


def _square(edge: int) -> NDArray[np.uint8]:
    return np.ones((edge, edge), np.uint8)


def _hull(spots: NDArray[Any]) -> NDArray[np.int32]:
    """The corners of the convex hull; none where nothing is set."""
    rows = np.flatnonzero(spots.any(axis=1))
    if not len(rows):
        return np.zeros((0, 2), np.int32)
    # the first and the last of each row have the same hull as all of them, and are few
    set_rows = spots[rows] != 0
    first, last = set_rows.argmax(axis=1), spots.shape[1] - 1 - set_rows[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([first, rows]), np.column_stack([last, rows])]).astype(np.int32)
    return np.asarray(cv2.convexHull(ends)[:, 0], np.int32)
