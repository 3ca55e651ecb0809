"""Frames as the pixels of a DICOM object: baseline JPEG, RLE, or as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.dicom_files import encapsulated

Picture = NDArray[np.uint8]
EXPLICIT, JPEG_BASELINE, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
JPEG_QUALITY = 82
_LONGEST_RUN = 128


@dataclass(frozen=True)
class Pixels:
    """Of one object."""

    data: bytes
    syntax: str
    photometric: Literal["MONOCHROME2", "RGB", "YBR_FULL_422"]
    ratio: float | None
    """Of lossy compression; none where nothing is lost."""


def compress(pictures: Picture, how: Literal["jpeg", "none", "rle"]) -> Pixels:
    """(frames, rows, columns) grey or (frames, rows, columns, 3) BGR."""
    coloured = pictures.ndim == 4
    if how == "jpeg":
        return _jpeg(pictures)
    stored = pictures[..., ::-1] if coloured else pictures
    photometric: Literal["MONOCHROME2", "RGB"] = "RGB" if coloured else "MONOCHROME2"
    if how == "none":
        data = np.ascontiguousarray(stored).tobytes()
        return Pixels(data + b"\0" * (len(data) % 2), EXPLICIT, photometric, None)
    planes = np.moveaxis(stored, -1, 1) if coloured else stored[:, None]
    return Pixels(encapsulated(rle_frames(np.ascontiguousarray(planes))), RLE, photometric, None)


def _jpeg(pictures: Picture) -> Pixels:
    """As most machines export, grey ones too: three components, colour at half the width (PS3.5 8.2.1)."""
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    ]
    frames = []
    for picture in pictures:
        _, coded = cv2.imencode(".jpg", picture if picture.ndim == 3 else cv2.merge([picture] * 3), settings)
        frames.append(coded.tobytes())
    size = pictures.nbytes * (1 if pictures.ndim == 4 else 3)
    return Pixels(encapsulated(frames), JPEG_BASELINE, "YBR_FULL_422", round(size / sum(map(len, frames)), 2))


def rle_frames(planes: Picture) -> list[bytes]:
    """(frames, planes, rows, columns) as RLE frames (PS3.5 annex G).

    Every row is the run of zeros that all frames begin it with, bytes as they are, and the run of zeros that all frames
    end it with: speckle has no other runs, and so all frames share one layout and are coded at once.
    """
    frames, count, rows, columns = planes.shape
    lit: NDArray[np.bool_] = np.asarray(planes.any(axis=(0, 1)))
    control, source = list[int](), list[int]()  # code bytes; for a literal byte -1 and where it comes from
    for row in range(rows):
        used = np.flatnonzero(lit[row])
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (columns, columns)
        _zeros(control, source, first)
        for begin in range(first, last, _LONGEST_RUN):
            length = min(_LONGEST_RUN, last - begin)
            control.append(length - 1)
            source.append(0)
            control.extend([-1] * length)
            source.extend(range(row * columns + begin, row * columns + begin + length))
        _zeros(control, source, columns - last)
    if len(control) % 2:  # a segment's length is even; a control byte of 128 says nothing
        control.append(128)
        source.append(0)
    layout, origin = np.array(control), np.array(source)
    literal: NDArray[np.bool_] = np.array([code < 0 for code in control])
    coded = np.empty((frames, count, len(layout)), np.uint8)
    coded[:, :, ~literal] = layout[~literal].astype(np.uint8)
    coded[:, :, literal] = planes.reshape(frames, count, -1)[:, :, origin[literal]]
    header = np.zeros(16, "<u4")
    header[0] = count
    header[1 : count + 1] = 64 + np.arange(count) * len(layout)
    return [header.tobytes() + frame.tobytes() for frame in coded]


def _zeros(control: list[int], source: list[int], length: int) -> None:
    """A run of zeros: 257 less how many, and the zero; a single one is a literal."""
    while length:
        step = min(_LONGEST_RUN, length)
        control.extend((257 - step if step > 1 else 0, 0))
        source.extend((0, 0))
        length -= step
