"""From a raw recording to ten seconds at 500 Hz that can be drawn, or one clear reason why not.

The window is the first usable one: windows start at 0, 5, 10 … s, and the first without invalid samples, flat leads
or impossible voltages is taken. Filters see up to two seconds on either side of it, so that a longer recording has no
edge effects.
"""

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg.recording import LEADS, EcgRecording, Signal

RATE = 500
SECONDS = 10
SAMPLES = RATE * SECONDS
BAND = (0.5, 40.0)
"""Hz. 0.5 Hz without phase shift keeps the ST segment, 40 Hz takes mains hum and muscle out (AHA/ACC/HRS 2007)."""

ORDER = 2
"""Butterworth order of each side; forward and backward passes double it. A quarter of a 50 Hz hum remains."""

MARGIN_SECONDS = 2
STEP_SECONDS = 5
MAX_WINDOWS = 24
MIN_RATE, MAX_RATE = 100.0, 100_000.0

FLAT_MV = 0.02
"""Peak to peak. A fifth of a millimetre on paper: nothing to read, whatever made it."""
TOO_LARGE_MV = 5.0
"""For the standard deviation after filtering, median over leads: real ones stay below 1, microvolts lie above 50."""


def clean(recording: EcgRecording) -> EcgRecording:
    """Ten seconds at 500 Hz, band-passed, every lead's isoelectric line at 0 mV: (12, 5000) float32.

    Raises UnreadableRecording for under 10 s, invalid samples, flat leads, voltages that are not millivolts.
    """
    _check_rate_and_length(recording)
    starts = np.arange(0.0, max(recording.duration - SECONDS, 0) + 1e-6, STEP_SECONDS)[:MAX_WINDOWS]
    first_refusal: UnreadableRecording | None = None
    for start in starts:
        try:
            signal = _window(recording, float(start))
        except UnreadableRecording as refusal:
            first_refusal = first_refusal or refusal
            continue
        return EcgRecording(signal, float(RATE), recording.source, recording.flags + _remarks(recording, start, signal))
    raise first_refusal or _too_short(recording)


def band_pass(signal: Signal) -> Signal:
    """0.5-40 Hz without phase shift over (..., N) samples in mV at 500 Hz, at least one second of them.

    The drift from first to last second is taken off before, and the ends are mirrored: SciPy's usual point reflection
    makes a step where a recording starts inside a QRS complex, and was three times as far from what the same seconds
    give within a longer recording. Single precision takes half the time of double and is 0.1 uV away.
    """
    padding = min(MARGIN_SECONDS * RATE, signal.shape[-1] - 1)
    level = signal - _drift(signal)
    return np.asarray(sosfiltfilt(_sections(), level, axis=-1, padtype="even", padlen=padding), dtype=np.float32)


def zero_isoelectric(signal: Signal) -> Signal:
    """Each lead with its median, which is where the line between waves lies, moved to 0 mV; after `band_pass`.

    `clean` is both of them: whoever draws signals of another origin for the same model does both as well.
    """
    isoelectric = np.median(signal[..., ::4], axis=-1, keepdims=True)  # below 40 Hz a quarter of them says it all
    return np.ascontiguousarray(signal - isoelectric, dtype=np.float32)


def _drift(signal: Signal) -> Signal:
    """The straight line through the medians of the first and the last second."""
    first, last = (np.median(part, axis=-1, keepdims=True) for part in (signal[..., :RATE], signal[..., -RATE:]))
    way = (np.arange(signal.shape[-1], dtype=np.float32) - RATE / 2) / max(signal.shape[-1] - RATE, 1)
    return np.asarray(first + (last - first) * way, dtype=np.float32)


def resample(signal: Signal, rate: float) -> Signal:
    """From `rate` Hz to 500 Hz by polyphase filtering; the line from first to last sample is set aside meanwhile.

    From 1000 Hz up a shorter filter than SciPy's will do: what it lets through above 250 Hz lands above 40 Hz.
    """
    ratio = Fraction(RATE / rate).limit_denominator(1000)
    if ratio == 1:
        return signal
    window = _short_lowpass(ratio.denominator) if rate >= 2 * RATE else ("kaiser", 5.0)
    result = resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, window=window, padtype="line")
    return np.ascontiguousarray(result, dtype=np.float32)


def _window(recording: EcgRecording, start: float) -> Signal:
    rate = recording.rate
    before = min(start, MARGIN_SECONDS)
    first = round((start - before) * rate)
    last = math.ceil((start + SECONDS + MARGIN_SECONDS) * rate)
    raw = recording.signal[:, first:last]
    if not np.isfinite(raw).all():
        raise UnreadableRecording(
            "The recording has invalid samples (NaN or infinite)", "export it again with all ten seconds recorded"
        )
    if max(raw.max(), -raw.min()) > 1e9:
        raise _too_large()
    at_500 = resample(raw, rate)
    skip = round(before * RATE)
    signal = band_pass(at_500)[:, skip : skip + SAMPLES]
    if signal.shape[1] < SAMPLES:  # at most one sample, where the rate is not a divisor of 500 Hz
        signal = np.pad(signal, ((0, 0), (0, SAMPLES - signal.shape[1])), mode="edge")
    _check_voltages(signal)
    return zero_isoelectric(signal)


def _check_rate_and_length(recording: EcgRecording) -> None:
    rate = recording.rate
    if not (math.isfinite(rate) and MIN_RATE <= rate <= MAX_RATE):
        raise UnreadableRecording(
            "The sampling rate is not that of an ECG", f"send a recording with {MIN_RATE:.0f} samples a second or more"
        )
    if recording.signal.shape[1] + 0.5 < SECONDS * rate:
        raise _too_short(recording)


def _check_voltages(signal: Signal) -> None:
    swing = np.ptp(signal, axis=-1)
    if np.median(signal.std(axis=-1)) > TOO_LARGE_MV:
        raise _too_large()
    if 1e-5 < swing.max() < FLAT_MV:
        raise UnreadableRecording(
            "The voltages are far too small for millivolts; they look like volts", "convert the samples to millivolts"
        )
    flat = [lead for lead, height in zip(LEADS, swing, strict=True) if height < FLAT_MV]
    if flat:
        which = "All leads are" if len(flat) == len(LEADS) else f"Lead {flat[0]} is" if len(flat) == 1 else None
        raise UnreadableRecording(
            f"{which or 'Leads ' + ', '.join(flat) + ' are'} flat or missing",
            "check the electrodes and send a recording with all 12 leads",
        )


def _too_short(recording: EcgRecording) -> UnreadableRecording:
    return UnreadableRecording(
        f"The recording lasts {recording.duration:.1f} s, which is under {SECONDS} s",
        f"send at least {SECONDS} s of simultaneous leads",
    )


def _too_large() -> UnreadableRecording:
    return UnreadableRecording(
        "The voltages are far too large for millivolts; they look like microvolts or raw converter counts",
        "convert the samples to millivolts",
    )


def _remarks(recording: EcgRecording, start: float, signal: Signal) -> tuple[str, ...]:
    remarks = []
    if recording.rate != RATE:
        remarks.append("resampled")
    if recording.duration >= SECONDS + 1 / RATE:
        remarks.append(f"cropped:{start:.0f}s")
    if not obeys_einthoven(signal):
        remarks.append("limb-leads-inconsistent")
    return tuple(remarks)


def obeys_einthoven(signal: Signal) -> bool:
    """Whether II = I + III holds within 20 % (Einthoven's law): if not, leads are swapped or were not simultaneous."""
    lead_i, lead_ii, lead_iii = signal[:3]
    return bool(np.std(lead_i + lead_iii - lead_ii) <= 0.2 * np.std(signal[:3]))


@lru_cache(maxsize=8)
def _short_lowpass(factor: int) -> NDArray[np.float32]:
    """Half of SciPy's taps: within 0.2 % up to 40 Hz, 60 dB down from 460 Hz, which would alias below 40 Hz."""
    return np.asarray(firwin(8 * factor + 1, 1 / factor, window=("kaiser", 5.0)), dtype=np.float32)


@lru_cache(maxsize=1)
def _sections() -> NDArray[np.float32]:
    return np.asarray(butter(ORDER, BAND, btype="bandpass", fs=RATE, output="sos"), dtype=np.float32)
