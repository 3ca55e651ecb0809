"""From a raw recording to ten seconds at 500 Hz that can be drawn, or one clear reason why not.

What is usable with a reservation is kept and flagged; what says nothing about a heart is refused. Filters see up to two
seconds on either side of the window, so that a longer recording has no edge effects.
"""

import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg.recording import (
    LEADS,
    LIMB_LEADS,
    EcgRecording,
    Signal,
    Window,
    derive_limb_leads,
    named,
)
from chordae.preprocessing.ecg.window import cleanest_start, clipped

RATE = 500
SECONDS = 10
SAMPLES = RATE * SECONDS
BAND = (0.5, 40.0)
"""Hz. 0.5 Hz without phase shift keeps the ST segment, 40 Hz takes mains hum and muscle out (AHA/ACC/HRS 2007)."""

ORDER = 2
"""Butterworth order of each side; forward and backward passes double it. A quarter of a 50 Hz hum remains."""

MARGIN_SECONDS = 2
MIN_SECONDS = 2.5
"""What paper shows of a lead; a shorter recording may miss every beat of a slow heart."""
PADDING_SECONDS = 0.25
"""Leads that agree for less may do so by chance, between beats of a recording without noise."""
PULSE_MV, PULSE_SPREAD_MV = 0.5, 0.045
"""A calibration pulse is of 1 mV; converters round it by up to 20 uV in each lead."""
MIN_RATE, MAX_RATE = 100.0, 100_000.0

FLAT_MV = 0.02
"""Peak to peak. A fifth of a millimetre on paper: nothing to read, whatever made it."""
MAX_FLAT_LEADS = 3
"""More chest leads without a signal than this, and the recording is no 12-lead ECG any more."""
TOO_LARGE_MV = 5.0
"""For the standard deviation after filtering, median over leads: real ones stay below 1, microvolts lie above 50."""
IMPLAUSIBLE_MV = (0.15, 10.0)
"""Peak to peak: below, where the largest lead stays below it; above, for any lead. Real ones reach 0.3 to 8 mV."""


def clean(recording: EcgRecording) -> EcgRecording:
    """Ten seconds at 500 Hz, band-passed, every lead's isoelectric line at 0 mV: (12, 5000) float32.

    Flags say what was amiss: "short:7.5s" (zeros follow), "flat:V1", "derived:III", "clipped:V2",
    "implausible-amplitude:V3", "limb-leads-inconsistent"; "resampled" and "cropped:5s" are nothing amiss.
    Raises UnreadableRecording for under 2.5 s, invalid samples throughout, too many flat leads, voltages that are not
    millivolts.
    """
    _check_rate(recording)
    first, last = _with_signal(recording.signal, recording.rate)
    trimmed = replace(recording, signal=_without_dead_leads(recording.signal[:, first:last]))
    rate = recording.rate
    samples = trimmed.signal.shape[1]
    if samples < MIN_SECONDS * rate:
        raise UnreadableRecording(
            f"The recording lasts {trimmed.duration:.1f} s, which is under {MIN_SECONDS} s",
            f"send {SECONDS} s of simultaneous leads",
            "too_short",
        )
    start = _start(trimmed)
    signal = _window(trimmed, start)
    raw = trimmed.signal[:, start : start + math.ceil(SECONDS * rate)]
    signal, flags = _mended(signal)
    at_limit = np.flatnonzero(clipped(raw, rate)).tolist()
    if at_limit:
        flags += (named("clipped", at_limit),)
    window = Window(round((first + start) / rate, 3), round(min(float(SECONDS), samples / rate), 3))
    flags = recording.flags + _remarks(recording, window, signal) + flags
    if signal.shape[1] < SAMPLES:
        signal = np.pad(signal, ((0, 0), (0, SAMPLES - signal.shape[1])))
    return replace(recording, signal=signal, rate=float(RATE), flags=flags, window=window)


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


def _with_signal(signal: Signal, rate: float) -> tuple[int, int]:
    """Where the heart begins and ends: calibration pulses and padding, at either end, are the same in all leads."""
    samples = signal.shape[1]
    before, after = _idle(signal, rate), _idle(signal[:, ::-1], rate)
    # Where nothing would be left, all stays, so that the check for flat leads says what is wrong.
    return (before, samples - after) if before + after < samples else (0, samples)


def _idle(signal: Signal, rate: float) -> int:
    """How many samples at the start are padding, equal in all leads, or a pulse, nearly equal and of half a millivolt.

    No heart makes either: III = II - I (Einthoven), so twelve leads agree only where they are zero.
    """
    if not _alike(signal[:, :1], PULSE_SPREAD_MV).all():
        return 0
    for spread, height in ((0.0, 0.0), (PULSE_SPREAD_MV, PULSE_MV)):
        heart = np.flatnonzero(~_alike(signal, spread))
        length = int(heart[0]) if len(heart) else 0
        if length >= PADDING_SECONDS * rate and not np.ptp(signal[0, :length]) < height:
            return length
    return 0


def _alike(signal: Signal, spread: float) -> NDArray[np.bool_]:
    """For each sample whether all leads lie within `spread` mV of each other, or none is valid."""
    with np.errstate(invalid="ignore"):  # infinities of both signs
        apart = signal.max(axis=0) - signal.min(axis=0)
    return np.asarray((apart <= spread) | ~np.isfinite(signal).any(axis=0))


def _without_dead_leads(signal: Signal) -> Signal:
    """Leads without a single valid sample become flat ones, and are treated as such."""
    if np.isfinite(signal[:, :1]).all():
        return signal
    valid = np.isfinite(signal).any(axis=1, keepdims=True)
    return np.where(valid, signal, np.float32(0)) if valid.any() else signal


def _start(recording: EcgRecording) -> int:
    """The first sample of the window."""
    signal, rate = recording.signal, recording.rate
    start: int | None = 0
    if signal.shape[1] > SECONDS * rate:
        start = cleanest_start(signal, rate, SECONDS)
    elif not np.isfinite(signal).all():
        start = None
    if start is None:
        raise UnreadableRecording(
            "The recording has invalid samples (NaN or infinite)",
            "export it again with all ten seconds recorded",
            "invalid_samples",
        )
    return start


def _window(recording: EcgRecording, start: int) -> Signal:
    """The filtered window, as many of its samples as were recorded."""
    rate, signal = recording.rate, recording.signal
    first = max(0, start - round(MARGIN_SECONDS * rate))
    last = start + math.ceil((SECONDS + MARGIN_SECONDS) * rate)
    raw = signal[:, first:last]
    if not np.isfinite(raw).all():  # in the margins only
        before, after = (np.flatnonzero(~np.isfinite(part).all(axis=0)) for part in
                         (raw[:, : start - first], raw[:, start - first :]))  # fmt: skip
        last = start + int(after[0]) if len(after) else last
        first = first + int(before[-1]) + 1 if len(before) else first
        raw = signal[:, first:last]
    if max(raw.max(), -raw.min()) > 1e9:
        raise _too_large()
    at_500 = resample(raw, rate)
    skip = round((start - first) / rate * RATE)
    result = band_pass(at_500)[:, skip : skip + SAMPLES]
    missing = SAMPLES - result.shape[1]
    if missing > 0 and (signal.shape[1] - start) + 0.5 >= SECONDS * rate:
        # at most a sample, where the rate is not a divisor of 500 Hz
        result = np.pad(result, ((0, 0), (0, missing)), mode="edge")
    if np.median(result.std(axis=-1)) > TOO_LARGE_MV:
        raise _too_large()
    return zero_isoelectric(result)


def _check_rate(recording: EcgRecording) -> None:
    rate = recording.rate
    if not (math.isfinite(rate) and MIN_RATE <= rate <= MAX_RATE):
        raise UnreadableRecording(
            "The sampling rate is not that of an ECG",
            f"send a recording with {MIN_RATE:.0f} samples a second or more",
            "bad_rate",
        )


def _mended(signal: Signal) -> tuple[Signal, tuple[str, ...]]:
    """Flat limb leads derived from two others; and flags for what is flat or implausible.

    Raises UnreadableRecording for voltages that are not millivolts, and where too little is left.
    """
    swing = np.ptp(signal, axis=-1)
    if 1e-5 < swing.max() < FLAT_MV:
        raise UnreadableRecording(
            "The voltages are far too small for millivolts; they look like volts",
            "convert the samples to millivolts",
            "unknown_scale",
        )
    flags: tuple[str, ...] = ()
    flat = np.flatnonzero(swing < FLAT_MV).tolist()
    if flat:
        limb = [lead for lead in flat if lead in LIMB_LEADS]
        if len(LIMB_LEADS) - len(limb) < 2 or len(flat) - len(limb) > MAX_FLAT_LEADS:
            raise _flat(flat)
        flags += (named("flat", flat),)
        derive_limb_leads(signal, limb)
        derived = [lead for lead in limb if np.ptp(signal[lead]) >= FLAT_MV]
        if derived:
            flags += (named("derived", derived),)
    low, high = IMPLAUSIBLE_MV
    if swing.max() < low:
        flags += ("implausible-amplitude:all",)
    elif swing.max() > high:
        flags += (named("implausible-amplitude", np.flatnonzero(swing > high).tolist()),)
    return signal, flags


def _flat(leads: list[int]) -> UnreadableRecording:
    names = ", ".join(LEADS[lead] for lead in leads)
    which = "All leads are" if len(leads) == len(LEADS) else f"Leads {names} are"
    return UnreadableRecording(
        f"{which} flat or missing", "check the electrodes and send a recording with all 12 leads", "missing_leads"
    )


def _too_large() -> UnreadableRecording:
    return UnreadableRecording(
        "The voltages are far too large for millivolts; they look like microvolts or raw converter counts",
        "convert the samples to millivolts",
        "unknown_scale",
    )


def _remarks(recording: EcgRecording, window: Window, signal: Signal) -> tuple[str, ...]:
    remarks = []
    if recording.rate != RATE:
        remarks.append("resampled")
    if signal.shape[1] < SAMPLES:
        remarks.append(f"short:{window.seconds:g}s")
    elif recording.duration >= SECONDS + 1 / RATE:
        remarks.append(f"cropped:{window.start:g}s")
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
