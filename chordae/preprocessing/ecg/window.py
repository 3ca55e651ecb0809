"""Which ten seconds of a longer recording: the cleanest, by a measure that costs a few milliseconds.

The recording is cut into half seconds at about 250 Hz. Of each lead and half second three things are taken, none of
which a beat changes much, as the QRS complex takes less than a fifth of the time:

- wander: how far the median lies from that of the half second before, in mV;
- noise: the median of the absolute second difference, in mV;
- dead: whether the lead is constant or stands at its own limit (1 mV, that is, as much as a millivolt of wander).

A window's badness is the sum of the three, averaged over its half seconds and the leads. Half seconds with invalid
samples are out of the question. Badness is compared in steps of 10 uV, a tenth of a millimetre on paper, and of equal
windows the first is taken, so that the same recording always gives the same window.
"""

import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.ecg.recording import Signal

BLOCK_SECONDS = 0.5
SEARCH_SECONDS = 300
"""Of a longer recording only so much is looked at."""

STEP_MV = 0.01
DEAD_MV = 0.002
DEAD_COST_MV = 1.0
LIMIT_SECONDS = 0.02
LIMIT_MV = 1.0
"""A lead that stands at its highest or lowest value for so long, so far from its middle, has met a converter's limit.

The top of a wave of a millivolt is that flat for 11 ms at 5 uV a bit."""

_RATE = 250.0


def cleanest_start(signal: Signal, rate: float, seconds: float) -> int | None:
    """The first sample of the cleanest `seconds` of (12, N) mV; None where every window has invalid samples."""
    signal = signal[:, : round(SEARCH_SECONDS * rate)]
    block = round(BLOCK_SECONDS * rate)
    blocks = signal.shape[1] // block
    starts = (signal.shape[1] - int(seconds * rate)) // block + 1
    badness, invalid = _badness(signal[:, : blocks * block].reshape(len(signal), blocks, block), rate)
    width = -int(-seconds * rate // block)
    ends = np.minimum(np.arange(starts) + width, blocks)
    total, out = (np.concatenate([[0.0], np.cumsum(values)]) for values in (badness, invalid))
    usable = np.flatnonzero(out[ends] == out[:starts])
    if not len(usable):
        return None
    mean = (total[ends] - total[:starts]) / (ends - np.arange(starts))
    return int(usable[np.argmin(np.floor(mean[usable] / STEP_MV))]) * block


def _badness(blocks: NDArray[np.float32], rate: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(leads, blocks, samples) mV to the mean badness of each block over the leads, and whether it is invalid."""
    invalid: NDArray[np.bool_] = np.asarray(~np.isfinite(blocks).all(axis=(0, 2)))
    if invalid.any():
        blocks = np.where(invalid[:, np.newaxis], np.float32(0), blocks)
    coarse = blocks[:, :, :: max(1, round(rate / _RATE))]
    level = np.median(coarse, axis=2)
    wander = np.abs(np.diff(level, axis=1, prepend=level[:, :1]))
    noise = np.median(np.abs(np.diff(coarse, n=2, axis=2)), axis=2)
    dead = np.ptp(coarse, axis=2) < DEAD_MV
    for limit in (coarse.max(axis=(1, 2), keepdims=True), coarse.min(axis=(1, 2), keepdims=True)):
        far = np.abs(limit[:, :, 0] - np.median(level, axis=1, keepdims=True)) >= LIMIT_MV
        dead |= far & ((coarse == limit).sum(axis=2) >= LIMIT_SECONDS * _RATE)
    return (wander + noise + DEAD_COST_MV * dead).mean(axis=0, dtype=np.float64), invalid


def clipped(signal: Signal, rate: float) -> NDArray[np.bool_]:
    """Which leads of (12, N) mV stand at their own highest or lowest value for 20 ms in a row."""
    long = max(2, round(LIMIT_SECONDS * rate))
    result = np.zeros(len(signal), dtype=bool)
    for limit in (signal.max(axis=1), signal.min(axis=1)):
        at_limit = signal == limit[:, np.newaxis]
        for lead in np.flatnonzero(np.count_nonzero(at_limit, axis=1) >= long):
            sums = np.cumsum(np.concatenate([[0], at_limit[lead]]))
            stands = bool((sums[long:] - sums[:-long] == long).any())
            result[lead] |= stands and bool(abs(limit[lead] - np.median(signal[lead])) >= LIMIT_MV)
    return result
