"""Ten seconds of 12-lead ECG as a picture, in two layouts, drawn with OpenCV on cached backgrounds.

`marcus` is what the model sees: 4 rows of 3 leads, 224 px square each, the whole ten seconds in every tile. `clinical`
is for people: 25 mm/s and 10 mm/mV with square millimetres, 2.5 s a lead and a rhythm strip. Both are BGR, as OpenCV
writes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.ecg.clean import RATE, SAMPLES, SECONDS
from chordae.preprocessing.ecg.recording import LEADS, Signal

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE_PINK: Colour = (245, 243, 255)
FINE_PINK: Colour = (214, 208, 250)
BOLD_PINK: Colour = (172, 162, 240)
INK: Colour = (20, 10, 10)

PNG_FLAGS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
"""Half the time and a fifth of the bytes of OpenCV's defaults on these pictures: flat colours need no row filter."""

SHIFT = 6
"""Fractional bits of OpenCV's coordinates: points are placed to 1/64 px."""


@dataclass(frozen=True)
class MarcusLayout:
    """Pixels of the model's layout. Ten seconds take 200 of a tile's 224 columns, so that 0.2 s are 4 px."""

    tile: int = 224
    rows: int = 4
    columns: int = 3
    px_per_s: float = 20.0
    trace_left: int = 21
    zero_y: int = 120
    reach: int = 100
    """Pixels from zero to the largest deflection a trace may have; above it stands the lead's label."""
    gains: tuple[int, ...] = (100, 80, 64, 50, 40, 32, 24, 20, 16, 12, 10)
    """Pixels per millivolt to choose from; the largest that fits every lead is taken. Even: 0.5 mV is whole pixels."""


@dataclass(frozen=True)
class ClinicalLayout:
    """Pixels of the paper layout. 8 px are a millimetre both ways."""

    px_per_mm: int = 8
    columns: tuple[tuple[int, int, int], ...] = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11))
    row_mm: int = 30
    left_mm: int = 15
    right_mm: int = 5
    top_mm: int = 10
    bottom_mm: int = 10

    @property
    def px_per_s(self) -> int:
        return 25 * self.px_per_mm

    @property
    def px_per_mv(self) -> int:
        return 10 * self.px_per_mm

    @property
    def width(self) -> int:
        return (self.left_mm + 25 * SECONDS + self.right_mm) * self.px_per_mm

    @property
    def height(self) -> int:
        return (self.top_mm + 4 * self.row_mm + self.bottom_mm) * self.px_per_mm

    def zero_y(self, row: int) -> int:
        """The line of 0 mV of a row; row 3 is the rhythm strip."""
        return (self.top_mm + row * self.row_mm + self.row_mm // 2) * self.px_per_mm


MARCUS = MarcusLayout()
CLINICAL = ClinicalLayout()
CLINICAL_NOTE = "25 mm/s   10 mm/mV   0.5-40 Hz"

QUALITY = {
    "short": "columns overlap in time, recorded only",
    "flat": "no signal in",
    "missing": "not recorded:",
    "lead-off": "electrode off:",
    "clipped": "clipped:",
    "implausible-amplitude": "implausible amplitude:",
    "limb-leads-inconsistent": "limb leads contradict each other",
    "assumed": "not in the file, assumed:",
}
"""Words for the flags that a reader of the picture must know of."""
MOST_CHARACTERS = 100


def marcus_gain(signal: Signal) -> int:
    """Pixels per mV that suit all leads of this recording: one scale, so that leads can be compared."""
    largest = float(np.abs(signal).max(initial=0.0))
    return next((gain for gain in MARCUS.gains if largest * gain <= MARCUS.reach), MARCUS.gains[-1])


def render_marcus(signal: Signal, recorded: float = SECONDS) -> Picture:
    """(12, 5000) mV at 500 Hz -> (896, 672, 3) uint8 BGR. Beyond 10 mV a trace is cut off at the tile's edge.

    Behind the `recorded` seconds nothing is drawn: a line there would say asystole.
    """
    gain = marcus_gain(signal)
    picture = _marcus_background(gain).copy()
    step = 10
    seconds, millivolts = _envelope(signal[:, : _samples(recorded) // step * step], samples_per_step=step)
    x = MARCUS.trace_left + seconds * MARCUS.px_per_s
    y = np.clip(MARCUS.zero_y - millivolts * gain, MARCUS.zero_y - MARCUS.reach, MARCUS.zero_y + MARCUS.reach)
    row, column = np.divmod(np.arange(len(LEADS), dtype=np.float32)[:, np.newaxis], MARCUS.columns)
    x, y = x + column * MARCUS.tile, y + row * MARCUS.tile
    for stroke in (-0.5, 0.5):  # two thin strokes: as bold as one of 2 px, in a quarter of its time
        _polylines(picture, x, y + stroke, thickness=1)
    return picture


def render_clinical(signal: Signal, recorded: float = SECONDS, remark: str = "") -> Picture:
    """(12, 5000) mV at 500 Hz -> (1120, 2160, 3) uint8 BGR; columns follow each other in time, as on paper.

    Where fewer than ten seconds were `recorded`, columns start early enough to be full, and the rhythm strip ends
    where the recording does. A `remark` about its quality stands at the foot.
    """
    layout = CLINICAL
    picture = _clinical_background().copy()
    left = layout.left_mm * layout.px_per_mm
    quarter = SAMPLES // len(layout.columns)
    samples = _samples(recorded)
    x = left + np.arange(SAMPLES) * (layout.px_per_s / RATE)
    for number, column in enumerate(layout.columns):
        start = max(min(number * quarter, samples - quarter), 0)
        across = x[number * quarter : (number + 1) * quarter]
        for row, lead in enumerate(column):
            millivolts = signal[lead, start : start + quarter]
            _polylines(picture, across, layout.zero_y(row) - millivolts * layout.px_per_mv, thickness=2)
    rhythm = signal[LEADS.index("II"), :samples]
    _polylines(picture, x[:samples], layout.zero_y(3) - rhythm * layout.px_per_mv, thickness=2)
    if remark:
        _label(
            picture, remark[:MOST_CHARACTERS], left + 60 * layout.px_per_mm, layout.height - 3 * layout.px_per_mm, 0.8
        )
    return picture


def quality_remark(flags: Iterable[str]) -> str:
    """What a reader of the picture must know of a recording's flags, in words; empty where nothing is amiss."""
    parts = (flag.partition(":") for flag in flags)
    words = [f"{QUALITY[kind]} {what}".strip() for kind, _, what in parts if kind in QUALITY]
    return f"QUALITY: {'; '.join(words)}" if words else ""


def _samples(seconds: float) -> int:
    return min(round(seconds * RATE), SAMPLES)


def encode_png(picture: Picture) -> bytes:
    """The PNG bytes of a picture."""
    return bytes(cv2.imencode(".png", picture, PNG_FLAGS)[1])


def _envelope(signal: Signal, samples_per_step: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Lowest and highest sample of every step, in the order they came, so no peak is lost: (12, M) s and mV."""
    steps = signal.reshape(len(LEADS), -1, samples_per_step)
    order = np.sort(np.stack([steps.argmin(axis=2), steps.argmax(axis=2)], axis=2), axis=2)
    millivolts = np.take_along_axis(steps, order, axis=2).reshape(len(LEADS), -1)
    start = np.arange(steps.shape[1])[:, np.newaxis] * samples_per_step
    return (order + start).reshape(len(LEADS), -1) / RATE, millivolts


def _polylines(picture: Picture, x: NDArray[np.floating], y: NDArray[np.floating], thickness: int) -> None:
    """Traces of pixel coordinates, (M,) or (traces, M)."""
    across, down = (np.rint(np.atleast_2d(pixels) * (1 << SHIFT)).astype(np.int32) for pixels in (x, y))
    points = np.stack([across, down], axis=-1)
    cv2.polylines(picture, list(points), False, INK, thickness, cv2.LINE_AA, SHIFT)


@lru_cache(maxsize=len(MARCUS.gains))
def _marcus_background(gain: int) -> Picture:
    """Grid of 0.2 s by 0.5 mV, labels and a calibration pulse of 1 mV in every tile, at `gain` px per mV."""
    layout = MARCUS
    tile = np.full((layout.tile, layout.tile, 3), WHITE_PINK, dtype=np.uint8)
    grid_x = round(layout.px_per_s * 0.2)
    tile[:, layout.trace_left % grid_x :: grid_x] = FINE_PINK
    tile[layout.zero_y % (gain // 2) :: gain // 2] = BOLD_PINK
    tile[0] = tile[:, 0] = BOLD_PINK
    zero, top = layout.zero_y, layout.zero_y - gain
    _steps(tile, [(3, zero), (6, zero), (6, top), (14, top), (14, zero), (17, zero)], thickness=2)
    picture = np.tile(tile, (layout.rows, layout.columns, 1))
    for lead, name in enumerate(LEADS):
        row, column = divmod(lead, layout.columns)
        _label(picture, name, column * layout.tile + layout.trace_left, row * layout.tile + 16, scale=0.55)
    picture.flags.writeable = False
    return picture


@lru_cache(maxsize=1)
def _clinical_background() -> Picture:
    """Millimetre paper, fine every 1 mm and bold every 5 mm, with pulses, labels, lead separators and the note."""
    layout = CLINICAL
    mm = layout.px_per_mm
    picture = np.full((layout.height, layout.width, 3), WHITE_PINK, dtype=np.uint8)
    picture[::mm] = FINE_PINK
    picture[:, ::mm] = FINE_PINK
    for line in (0, 1):
        picture[line :: 5 * mm] = BOLD_PINK
        picture[:, line :: 5 * mm] = BOLD_PINK
    left = layout.left_mm * mm
    for row in range(4):
        zero = layout.zero_y(row)
        top = zero - layout.px_per_mv
        x = [left - 9 * mm, left - 7 * mm, left - 2 * mm, left]
        _steps(picture, [(x[0], zero), (x[1], zero), (x[1], top), (x[2], top), (x[2], zero), (x[3], zero)], thickness=2)
    for number, column in enumerate(layout.columns):
        start = left + number * SECONDS * layout.px_per_s // len(layout.columns)
        for row, lead in enumerate(column):
            zero = layout.zero_y(row)
            if number:
                for side in (-1, 1):  # ticks beside the trace, where one through it would pass for a spike
                    _steps(picture, [(start, zero + side * 5 * mm), (start, zero + side * 7 * mm)], thickness=2)
            _label(picture, LEADS[lead], start + mm, zero - 11 * mm, scale=1.0)
    _label(picture, "II", left + mm, layout.zero_y(3) - 11 * mm, scale=1.0)
    _label(picture, CLINICAL_NOTE, left, layout.height - 3 * mm, scale=0.8)
    picture.flags.writeable = False
    return picture


def _steps(picture: Picture, corners: Iterable[tuple[int, int]], thickness: int) -> None:
    cv2.polylines(picture, [np.array(list(corners), dtype=np.int32)], False, INK, thickness, cv2.LINE_8)


def _label(picture: Picture, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1 if scale < 0.7 else 2, cv2.LINE_AA)
