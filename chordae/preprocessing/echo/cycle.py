"""Which frames of a clip: one cardiac cycle where the tags allow it, else all of it evenly.

Clips of a study then show the same: one beat from R wave to R wave, whatever the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.dicom import Instance

Basis = Literal["r_waves", "heart_rate", "whole_clip"]

SLOWEST, FASTEST = 20.0, 250.0
"""Beats a minute; what lies outside is no heart rate (0 stands for unknown in many files)."""
SHORTEST_FRAME, LONGEST_FRAME = 1.0, 500.0
"""Milliseconds."""


@dataclass(frozen=True)
class Cycle:
    """Numbers of frames, from 0, rising, at most as many as were asked for; and what they were chosen by."""

    frames: tuple[int, ...]
    basis: Basis


@dataclass(frozen=True)
class Timing:
    """When the frames of a clip were taken, in ms from the first, and where its beats are."""

    times: NDArray[np.float64]
    r_waves: tuple[float, ...] = ()
    heart_rate: float | None = None

    @property
    def end(self) -> float:
        """When a next frame would have been taken."""
        return float(self.times[-1] + self.frame)

    @property
    def frame(self) -> float:
        """The mean time from frame to frame."""
        return float((self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)) or 1.0


def cycle_of(instance: Instance, limit: int) -> Cycle:
    """The frames of a clip to show, `limit` at most."""
    first, last = _trimmed(instance)
    times = frame_times(instance)
    if times is None:
        numbers = tuple(first + index for index in _evenly(np.arange(last - first, dtype=np.float64), limit))
        return Cycle(numbers, "whole_clip")
    start = times[first]
    timing = Timing(
        times[first:last] - start,
        tuple(wave - start for wave in instance.numbers("RWaveTimeVector")),
        instance.number("HeartRate"),
    )
    cycle = one_cycle(timing, limit)
    return Cycle(tuple(first + number for number in cycle.frames), cycle.basis)


def one_cycle(timing: Timing, limit: int) -> Cycle:
    """From one R wave to the next, or one beat's time from an R wave or from the beginning, or everything."""
    span = _beat(timing)
    if span is not None:
        start, stop, basis = span
        frames = _within(timing.times, start, stop, limit)
        if len(frames) > 1:
            return Cycle(frames, basis)
    return Cycle(_within(timing.times, 0.0, timing.end, limit), "whole_clip")


def frame_times(instance: Instance) -> NDArray[np.float64] | None:
    """Milliseconds of each frame from the first (PS3.3 C.7.6.5), where the tags say so and can be believed."""
    count = instance.frames
    steps = np.array(instance.numbers("FrameTimeVector"))
    if len(steps) in (count, count - 1) and count > 1:  # its first value is 0, and some leave it out
        steps = steps[-(count - 1) :]
        if (steps >= 0).all() and SHORTEST_FRAME <= steps.mean() <= LONGEST_FRAME:
            return np.concatenate([[0.0], np.cumsum(steps)])
    frame = instance.number("FrameTime") or 1000 / (instance.number("CineRate") or np.inf)
    if SHORTEST_FRAME <= frame <= LONGEST_FRAME:
        return np.arange(count, dtype=np.float64) * frame
    return None


def _trimmed(instance: Instance) -> tuple[int, int]:
    """First frame and the one behind the last, as Start and Stop Trim (from 1) ask for, where they can be believed."""
    count = instance.frames
    start, stop = int(instance.number("StartTrim") or 1), int(instance.number("StopTrim") or count)
    return (start - 1, stop) if 1 <= start < stop <= count else (0, count)


def _beat(timing: Timing) -> tuple[float, float, Basis] | None:
    """One beat's beginning and end, never beyond the clip's."""
    slack = timing.frame / 2  # a clip from R wave to R wave ends with the last whole frame
    waves = sorted(wave for wave in timing.r_waves if -slack <= wave <= timing.end + slack)
    shortest, longest = 60_000 / FASTEST, 60_000 / SLOWEST
    for wave, following in pairwise(waves):
        if shortest <= following - wave <= longest:
            return max(wave, 0.0), min(following, timing.end), "r_waves"
    rate = timing.heart_rate
    if rate is None or not FASTEST >= rate >= SLOWEST or 60_000 / rate > timing.end + slack:
        return None
    beat = 60_000 / rate
    start = next((max(wave, 0.0) for wave in waves if wave + beat <= timing.end + slack), 0.0)
    return start, min(start + beat, timing.end), "heart_rate"


def _within(times: NDArray[np.float64], start: float, stop: float, limit: int) -> tuple[int, ...]:
    """The frames on show at `limit` moments evenly from `start` up to `stop`."""
    moments = start + (stop - start) * np.arange(limit) / limit
    # a thousandth of a millisecond: frame times are sums of rounded numbers
    shown = np.searchsorted(times, moments + 1e-3, side="right") - 1
    return tuple(int(number) for number in np.unique(np.clip(shown, 0, len(times) - 1)))


def _evenly(times: NDArray[np.float64], limit: int) -> tuple[int, ...]:
    return _within(times, 0.0, float(len(times)), limit)
