"""The cleanest ten seconds are taken: flat and clipped stretches, noise and wander are passed over."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.preprocessing.ecg import clean
from chordae.preprocessing.ecg.window import cleanest_start, clipped

RATE = 500
FIRST = slice(0, 8 * RATE)


def noise(samples: int, mv: float) -> np.ndarray:
    return np.random.default_rng(5).normal(0, mv, (12, samples)).astype(np.float32)


def spoil(signal: np.ndarray, part: slice, how: str) -> None:
    samples = part.stop - part.start
    if how == "noise":
        signal[:, part] += noise(samples, 0.1)
    elif how == "wander":
        signal[:, part] += np.sin(np.arange(samples) / RATE * 2 * np.pi * 0.4).astype(np.float32)
    elif how == "flat":
        signal[:, part] = 0.3
    elif how == "clipped":
        signal[:6, part] = 4.0
    elif how == "calibration":
        signal[:, part.start : part.start + 100] = 1.0
    elif how == "invalid":
        signal[4, part.start + 30] = np.nan


@pytest.mark.parametrize("how", ["noise", "wander", "flat", "clipped", "calibration", "invalid"])
@pytest.mark.parametrize("at", [0.0, 6.0, 22.0])
def test_a_spoilt_part_is_left_out(make_ecg, how: str, at: float) -> None:
    signal = make_ecg(seconds=30).signal
    first = round(at * RATE)
    spoil(signal, slice(first, first + 8 * RATE), how)
    start = cleanest_start(signal, RATE, 10)
    assert start is not None
    reach = 1 if how in ("calibration", "invalid") else 7.5
    assert start >= first + 0.2 * RATE or start + 10 * RATE <= first + (8 - reach) * RATE


def test_the_first_of_equally_clean_windows_is_taken(make_ecg) -> None:
    assert cleanest_start(make_ecg(seconds=60).signal + noise(30_000, 0.01), RATE, 10) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(5000, 40_000), st.sampled_from([100.0, 257.0, 500.0, 977.5]), st.integers(0, 2**16))
def test_a_window_lies_within_the_recording_and_is_always_the_same(samples: int, rate: float, seed: int) -> None:
    signal = np.random.default_rng(seed).normal(0, 0.3, (12, samples)).astype(np.float32)
    if samples < 10 * rate:
        return
    start = cleanest_start(signal, rate, 10)
    assert start is not None
    assert 0 <= start <= samples - 10 * rate
    assert start == cleanest_start(signal.copy(), rate, 10)


def test_no_window_without_invalid_samples_is_no_window(make_ecg) -> None:
    signal = make_ecg(seconds=30).signal
    signal[2, :: 9 * RATE] = np.inf
    assert cleanest_start(signal, RATE, 10) is None


def test_the_sidecars_seconds_are_those_of_the_picture(make_ecg) -> None:
    recording = make_ecg(seconds=40)
    recording.signal[:, : 16 * RATE] += noise(16 * RATE, 0.2)
    cleaned = clean(recording)
    assert cleaned.window is not None
    assert cleaned.window.start >= 16
    assert f"cropped:{cleaned.window.start:g}s" in cleaned.flags
    first = round(cleaned.window.start * RATE)
    alone = clean(replace(recording, signal=recording.signal[:, first : first + 10 * RATE])).signal
    inner = slice(2 * RATE, 8 * RATE)
    np.testing.assert_allclose(cleaned.signal[:, inner], alone[:, inner], atol=0.05)


def test_a_minute_at_1000_hz_is_searched_in_milliseconds(make_ecg) -> None:
    signal = make_ecg(seconds=60, rate=1000).signal
    spent = []
    for _ in range(3):
        start = time.process_time()
        cleanest_start(signal, 1000, 10)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1


def test_clipping_is_a_stand_at_the_limit_and_no_wave(make_ecg) -> None:
    signal = make_ecg().signal * 2
    assert not clipped(signal, RATE).any()
    quantised = np.round(signal / 0.005) * np.float32(0.005)
    assert not clipped(quantised, RATE).any()
    high = np.minimum(signal, np.where(np.arange(12)[:, np.newaxis] == 10, 1.2, 99)).astype(np.float32)
    assert np.flatnonzero(clipped(high, RATE)).tolist() == [10]
