"""Pixels of a clip: a look at a few of its frames to judge it by, and all of its tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import Instance, decode
from chordae.preprocessing.dicom.pixels import glance
from chordae.preprocessing.dicom.regions import Box, Region
from chordae.preprocessing.echo.clips import Clip
from chordae.preprocessing.echo.cycle import Cycle
from chordae.preprocessing.echo.sector import EDGE, Picture, Sector, find_sector

LOOKS = 3
"""Frames that a clip is judged by; they are among those it would show."""
SECTOR_FRAMES = 12
"""Frames that the final sector is found from, LOOKS among them: the more, the more of its dim sides has moved."""
THUMBNAIL = 64
AS_IT_IS = 1.1
"""A sector that almost fills a tile keeps its own pixels: enlarging it so little would only blur it."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Tile:
    """What goes into the grid: (height, width) or (height, width, 3) each, black outside the sector."""

    frames: list[Picture]
    sector: Sector


def thumbnails(clip: Clip, cycle: Cycle) -> NDArray[np.uint8]:
    """(frames, 64, 64, 3) BGR: the sector, stretched to fill them, of a few frames.

    Raises:
        UnreadableRecording: pixels that cannot be decoded, or no sector in them.
    """
    instance = clip.instance
    frames = _eight_bit(instance, glance(instance, spread(cycle.frames, LOOKS), EDGE))
    factor = round((instance.number("Columns") or 0) / frames[0].shape[1])
    regions = [replace(region, box=_divided(region.box, factor)) for region in clip.regions]
    sector = _sector(frames, regions)
    small = _cut(frames, sector, sector.box, THUMBNAIL, THUMBNAIL)
    return np.stack([picture if picture.ndim == 3 else cv2.merge([picture] * 3) for picture in small])


def render(clip: Clip, cycle: Cycle, edge: int) -> Tile:
    """All frames of a cycle, cropped to the sector and resized to fit `edge` px.

    Raises:
        UnreadableRecording: pixels that cannot be decoded.
    """
    frames = _eight_bit(clip.instance, decode(clip.instance, cycle.frames))
    sector = _sector(spread(frames, SECTOR_FRAMES), clip.regions)
    left, top, right, bottom = box = _framed(sector.box, edge, frames[0].shape[:2])
    scale = edge / max(right - left, bottom - top)
    width, height = (max(1, round(length * scale)) for length in (right - left, bottom - top))
    return Tile(_cut(frames, sector, box, width, height), sector)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most so many of them, evenly from the first on."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _sector(frames: list[Picture], regions: Sequence[Region]) -> Sector:
    sector = find_sector(frames, regions)
    if sector is None:
        raise UnreadableRecording("The clip shows no ultrasound sector", "send clips with a picture", "no_sector")
    return sector


def _framed(box: Box, edge: int, size: tuple[int, ...]) -> Box:
    """The box, or one of `edge` px around it where that is hardly more and the picture has as much."""
    (left, top, right, bottom), (rows, columns) = box, size
    longer = max(right - left, bottom - top)
    if not longer <= edge <= longer * AS_IT_IS:
        return box
    if right - left == longer and columns >= edge:
        left = min(max(0, left - (edge - longer) // 2), columns - edge)
        return left, top, left + edge, bottom
    if bottom - top == longer and rows >= edge:
        top = min(max(0, top - (edge - longer) // 2), rows - edge)
        return left, top, right, top + edge
    return box


def _cut(frames: list[Picture], sector: Sector, box: Box, width: int, height: int) -> list[Picture]:
    """That box of the picture at that size, black outside the sector."""
    left, top, right, bottom = box
    mask = sector.mask(box, width, height)
    coloured = cv2.merge([mask] * 3)
    return [
        np.asarray(cv2.bitwise_and(cut, mask if cut.ndim == 2 else coloured), np.uint8)
        for cut in (_resized(frame[top:bottom, left:right], width, height) for frame in frames)
    ]


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """Halved as often as it can be, then interpolated: five times as fast as by areas, and free of aliases too."""
    if picture.shape[:2] == (height, width):
        return picture
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
        even = picture[: 2 * rows, : 2 * columns]
        picture = np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _divided(box: Box, factor: int) -> Box:
    left, top, right, bottom = box
    return left // factor, top // factor, right // factor, bottom // factor


def _eight_bit(instance: Instance, frames: list[NDArray[np.generic]]) -> list[Picture]:
    """As 8-bit pictures, grey or BGR, all of one shape; raises UnreadableRecording for any other."""
    shape = frames[0].shape
    if any(frame.shape != shape for frame in frames) or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
        raise UnreadableRecording("The image's frames are of different kinds", "export it again", "bad_pixels")
    return [
        np.asarray(frame if frame.dtype == np.uint8 else _upper_bits(instance, frame), np.uint8) for frame in frames
    ]


def _upper_bits(instance: Instance, frame: NDArray[np.generic]) -> Picture:
    """The upper 8 of the stored bits."""
    bits = int(instance.number("BitsStored") or 8 * frame.dtype.itemsize)
    whole = frame.astype(np.int64)
    if np.issubdtype(frame.dtype, np.signedinteger):
        whole += 1 << (bits - 1)
    return np.clip(whole >> max(0, bits - 8), 0, 255).astype(np.uint8)
