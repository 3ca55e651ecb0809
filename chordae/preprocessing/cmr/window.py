"""Grey values to eight bits, in the size of a tile.

Magnitude images have no unit: black and white are percentiles of the tile's own frames, so that one bright pixel
darkens nothing. Maps have one, and a fixed range, so that the same grey is the same T1 in every patient. Velocities
have a sign: grey is at rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.cmr.dialects import Sequence as Label
from chordae.preprocessing.cmr.series import Values, number

Frames = list[NDArray[Any]]

MAP_RANGES = {
    Label.T1_MAP: (0.0, 2000.0, "ms"),
    Label.T2_MAP: (0.0, 120.0, "ms"),
    Label.T2_STAR: (0.0, 60.0, "ms"),
    Label.ECV_MAP: (0.0, 100.0, "%"),
}
"""Native myocardium is near 1000 ms T1 and 45 ms T2 at 1.5 T (Messroghli et al., JCMR 2017;19:75)."""

DARKEST, BRIGHTEST = 1.0, 99.5
TENTHS_ABOVE_MS = 300.0
"""A T2 map whose typical pixel is above this is in tenths of a millisecond, as Siemens MyoMaps writes it."""
_LARGEST = {np.dtype(kind).str: np.iinfo(kind).max for kind in (np.uint8, np.uint16, np.int16)}
SAMPLE = 8
"""Percentiles come from every eighth pixel in both directions, of every second frame."""


def shrunk(frame: NDArray[Any], tile: int, spare: NDArray[Any] | None = None) -> NDArray[Any]:
    """A grey frame with its longer side at `tile` px, proportions and numbers kept.

    `spare`, an earlier result that nobody needs any more, is written over where it fits: fresh memory takes longer to
    get than to fill.
    """
    height, width = frame.shape
    scale = tile / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if frame.dtype not in (np.uint8, np.uint16, np.int16):
        frame = frame.astype(np.float32)  # OpenCV knows no others
    if size == (width, height):
        return frame
    # averaging areas pays only where more than two pixels become one
    how = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    fits = spare is not None and spare.flags.writeable and spare.dtype == frame.dtype
    return np.asarray(cv2.resize(frame, size, spare if fits else None, interpolation=how))


def eight_bits(frames: Frames, label: Label, component: str, values: Values) -> tuple[Frames, dict[str, object]]:
    """The frames as uint8, and what black and white stand for. `values` are the header's, for its rescaling."""
    slope = number(values, "RescaleSlope") or 1.0
    intercept = number(values, "RescaleIntercept") or 0.0
    sample = np.concatenate([frame[::SAMPLE, ::SAMPLE].ravel() for frame in frames[::2]])
    if label in MAP_RANGES:
        low, high, unit = MAP_RANGES[label]
        tissue = sample.astype(np.float32) * slope + intercept
        tissue = tissue[tissue > 0]
        tenths = label is Label.T2_MAP and tissue.size > 0 and float(np.median(tissue)) > TENTHS_ABOVE_MS
        if tenths:
            slope, intercept = slope / 10.0, intercept / 10.0
        statement: dict[str, object] = {"black": low, "white": high, "unit": unit, "stored_in_tenths": tenths}
        return _scaled(frames, (low - intercept) / slope, (high - intercept) / slope), statement
    if label is Label.PHASE_CONTRAST and component == "phase":
        rest = _rest(sample, slope, intercept, values)
        most = max(*_percentiles(np.abs(sample.astype(np.float32) - rest), BRIGHTEST), 1.0)
        low, high = rest - most, rest + most
        return _scaled(frames, low, high), {"grey": "at rest", "unit": "velocity, unscaled"}
    low, high = _percentiles(sample, DARKEST, BRIGHTEST)
    high = max(high, low + 1.0)
    return _scaled(frames, low, high), {"black": round(low, 3), "white": round(high, 3), "unit": "stored"}


def _percentiles(sample: NDArray[Any], *percents: float) -> list[float]:
    """Values of the sample below which so many percent lie; numpy's own takes ten times as long for its exactness."""
    ranks = [round((len(sample) - 1) * percent / 100.0) for percent in percents]
    ordered = np.partition(sample, ranks)
    return [float(ordered[rank]) for rank in ranks]


def _rest(sample: NDArray[Any], slope: float, intercept: float, values: Values) -> float:
    """The stored value of no motion: 0 after rescaling if that lies within, else the middle of the stored range."""
    zero = -intercept / slope
    if sample.min() < zero < sample.max():
        return zero
    return float(1 << (int(number(values, "BitsStored") or 12) - 1))


def _scaled(frames: Sequence[NDArray[Any]], low: float, high: float) -> Frames:
    """Stored values between low and high to 0 to 255, beyond them to the ends."""
    gain = 255.0 / (high - low)
    return [np.asarray(cv2.convertScaleAbs(_above(frame, low, gain), alpha=gain, beta=-low * gain)) for frame in frames]


def _above(frame: NDArray[Any], low: float, gain: float) -> NDArray[Any]:
    """The frame with nothing darker than black, since OpenCV scales to absolute values."""
    if gain < 0.0:  # a negative slope turns black and white round
        return np.asarray(np.minimum(frame, np.float32(low)), np.float32)
    if frame.min() >= low:
        return frame
    return np.asarray(cv2.max(frame, min(math.ceil(low), _LARGEST.get(frame.dtype.str, math.inf))))
