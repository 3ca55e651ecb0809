"""Cleaning keeps the heart, drops the rest, and refuses what cannot be read as an ECG."""

from dataclasses import replace
from pathlib import Path

import neurokit2
import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st
from scipy.signal import butter, sosfiltfilt

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import LEADS, EcgRecording, clean, read_ecg
from chordae.preprocessing.ecg.clean import (
    BAND,
    ORDER,
    RATE,
    SAMPLES,
    band_pass,
    obeys_einthoven,
    resample,
    zero_isoelectric,
)
from chordae.preprocessing.ecg.recording import Window


def sine(hertz: float, rate: float = RATE, seconds: float = 10, mv: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.tile(mv * np.sin(2 * np.pi * hertz * time), (12, 1)).astype(np.float32)


def middle(signal: np.ndarray) -> np.ndarray:
    return signal[..., SAMPLES // 5 : -SAMPLES // 5]


def refusal(recording: EcgRecording) -> str:
    with pytest.raises(UnreadableRecording) as caught:
        clean(recording)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def beats(signal: np.ndarray, rate: float) -> np.ndarray:
    """Seconds of the R peaks of lead II as NeuroKit2 finds them, its own cleaning included."""
    lead_ii = neurokit2.ecg_clean(signal[1].astype(float), sampling_rate=int(rate))
    return neurokit2.ecg_peaks(lead_ii, sampling_rate=int(rate))[1]["ECG_R_Peaks"] / rate


# -- what the filters do


@pytest.mark.parametrize("hertz", [2, 5, 10, 20])
def test_the_band_of_the_heart_passes(hertz: float) -> None:
    kept = middle(band_pass(sine(hertz)))
    assert np.abs(kept - middle(sine(hertz))).max() < 0.08  # amplitude and phase


@pytest.mark.parametrize(("hertz", "at_most"), [(0.05, 0.02), (50, 0.3), (60, 0.15), (100, 0.02)])
def test_wander_and_hum_do_not(hertz: float, at_most: float) -> None:
    assert np.abs(middle(band_pass(sine(hertz)))).max() < at_most


def test_the_filter_in_single_precision_is_the_one_in_double(bundled_ecg: Path) -> None:
    signal = resample(read_ecg(bundled_ecg).signal, 1000)
    sections = butter(ORDER, BAND, "bandpass", fs=RATE, output="sos")
    double = sosfiltfilt(sections, signal.astype(float), padtype="even", padlen=1000)
    assert np.abs(band_pass(signal) - double).max() < 2e-3


@pytest.mark.parametrize("rate", [100, 250, 257, 360, 500, 1000, 1024, 2000, 977.5])
def test_any_rate_becomes_500_hz(rate: float) -> None:
    result = resample(sine(8, rate), rate)
    assert abs(result.shape[1] - SAMPLES) <= 2
    np.testing.assert_allclose(middle(result[:, :4990]), middle(sine(8)[:, :4990]), atol=0.02)


def test_what_lies_above_250_hz_does_not_come_back_as_heart() -> None:
    assert np.abs(middle(band_pass(resample(sine(490, 1000), 1000)))).max() < 0.005


def test_the_isoelectric_line_is_at_zero(make_ecg) -> None:
    drifting = make_ecg().signal + np.linspace(-3, 5, SAMPLES, dtype=np.float32)
    cleaned = clean(EcgRecording(drifting, 500.0, "test")).signal
    assert np.abs(np.median(cleaned, axis=1)).max() < 1e-3
    assert np.abs(cleaned - clean(make_ecg()).signal).max() < 0.05


def test_cleaning_is_the_band_pass_and_then_the_isoelectric_line(make_ecg) -> None:
    recording = make_ecg()
    np.testing.assert_array_equal(clean(recording).signal, zero_isoelectric(band_pass(recording.signal)))


def test_an_offset_of_the_electrodes_changes_nothing(make_ecg) -> None:
    recording = make_ecg()
    offset = replace(recording, signal=recording.signal + 300)
    np.testing.assert_allclose(clean(offset).signal, clean(recording).signal, atol=2e-3)


def test_r_peaks_stay_where_they_were(bundled_ecg: Path) -> None:
    recording = read_ecg(bundled_ecg)
    before, after = beats(recording.signal, 1000), beats(clean(recording).signal, 500)
    np.testing.assert_allclose(after, before, atol=0.01)
    assert len(before) == 10


@pytest.mark.real_data
def test_r_peaks_of_real_records_stay_where_they_were(real_data: Path) -> None:
    for name in ("E07500", "HR06001", "JS20000", "JS20018"):
        recording = read_ecg(real_data / "ecg" / "wfdb_cinc2021" / f"{name}.hea")
        before, after = beats(recording.signal, 500), beats(clean(recording).signal, 500)
        np.testing.assert_allclose(after, before, atol=0.02)


def test_the_bundled_ecg_comes_out_as_ten_seconds_at_500_hz(bundled_ecg: Path) -> None:
    cleaned = clean(read_ecg(bundled_ecg))
    assert cleaned.signal.shape == (12, SAMPLES)
    assert (cleaned.rate, cleaned.flags) == (500.0, ("resampled",))
    assert obeys_einthoven(cleaned.signal)


@pytest.mark.real_data
def test_every_real_record_comes_out_as_ten_seconds_that_obey_einthoven(real_data: Path) -> None:
    for header in (real_data / "ecg").glob("wfdb_*/*.hea"):
        cleaned = clean(read_ecg(header))
        assert cleaned.signal.shape == (12, SAMPLES)
        assert "limb-leads-inconsistent" not in cleaned.flags


@pytest.mark.real_data
def test_a_record_at_100_hz_keeps_its_shape(real_data: Path) -> None:
    path = real_data / "ecg" / "wfdb_ptbxl" / "00001_lr"
    raw = wfdb.rdrecord(str(path)).p_signal.T
    cleaned = clean(read_ecg(path.with_suffix(".hea"))).signal[:, ::5]
    expected = sosfiltfilt(butter(ORDER, BAND, "bandpass", fs=100, output="sos"), raw, padtype="even", padlen=200)
    assert min(np.corrcoef(expected[lead], cleaned[lead])[0, 1] for lead in range(12)) > 0.98


@pytest.mark.parametrize("start", range(400, 800, 50))
def test_a_recording_that_starts_inside_a_beat_is_cleaned_like_a_longer_one(make_ecg, start: int) -> None:
    longer = make_ecg(seconds=20)
    cut = replace(longer, signal=longer.signal[:, start : start + SAMPLES])
    expected = band_pass(longer.signal)[:, start : start + SAMPLES]
    expected = expected - np.median(expected, axis=1, keepdims=True)
    assert np.abs(clean(cut).signal - expected).max() < 0.25


# -- which ten seconds


def test_a_longer_recording_gives_its_first_ten_seconds(make_ecg) -> None:
    longer = clean(make_ecg(seconds=27))
    assert longer.flags == ("cropped:0s",)
    inner = slice(0, SAMPLES - 500)
    np.testing.assert_allclose(longer.signal[:, inner], clean(make_ecg()).signal[:, inner], atol=0.05)


def test_a_spoilt_beginning_is_passed_over(make_ecg) -> None:
    recording = make_ecg(seconds=27)
    recording.signal[3, :700] = np.nan
    assert clean(recording).flags == ("cropped:1.5s",)


def test_swapped_limb_leads_are_flagged(make_ecg) -> None:
    recording = make_ecg()
    swapped = replace(recording, signal=recording.signal[[1, 0, *range(2, 12)]])
    assert clean(swapped).flags == ("limb-leads-inconsistent",)


# -- what is kept with a reservation


@pytest.mark.parametrize("seconds", [2.5, 4.0, 7.3, 9.5, 9.99])
def test_a_short_recording_is_padded_and_flagged(make_ecg, seconds: float) -> None:
    cleaned = clean(make_ecg(seconds=seconds))
    samples = round(seconds * RATE)
    assert cleaned.flags == (f"short:{seconds:g}s",)
    assert cleaned.window == Window(0.0, seconds)
    assert cleaned.signal.shape == (12, SAMPLES)
    assert (cleaned.signal[:, samples:] == 0).all()
    assert np.ptp(cleaned.signal[:, :samples], axis=1).min() > 0.1


def test_a_flat_chest_lead_is_flagged(make_ecg) -> None:
    recording = make_ecg()
    recording.signal[6] = 0.4
    recording.signal[11] = np.nan
    cleaned = clean(recording)
    assert cleaned.flags == ("flat:V1,V6",)
    assert np.isfinite(cleaned.signal).all()


@pytest.mark.parametrize("flat", [[2], [0], [1, 5], [0, 1, 3, 4], [2, 3, 4, 5]])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_flat_limb_leads_are_derived_from_the_others_and_flagged(make_ecg, flat: list[int], value: float) -> None:
    recording = make_ecg()
    expected = clean(recording).signal
    recording.signal[flat] = value
    cleaned = clean(recording)
    names = ",".join(LEADS[lead] for lead in flat)
    assert cleaned.flags == (f"flat:{names}", f"derived:{names}")
    assert np.abs(cleaned.signal - expected).max() < 0.02
    assert obeys_einthoven(cleaned.signal)


def test_a_clipped_lead_is_flagged(make_ecg) -> None:
    recording = make_ecg()
    recording.signal[10] = np.minimum(recording.signal[10] * 2, 1.5)
    assert clean(recording).flags == ("clipped:V5",)


def test_an_implausible_lead_is_flagged(make_ecg) -> None:
    recording = make_ecg()
    recording.signal[7] *= 20
    assert clean(recording).flags == ("implausible-amplitude:V2",)
    assert "implausible-amplitude:all" in clean(replace(make_ecg(), signal=make_ecg().signal / 10)).flags


def test_a_calibration_pulse_or_padding_at_either_end_is_no_part_of_the_recording(make_ecg) -> None:
    heart = make_ecg(seconds=10.5).signal + np.float32(0.01)
    pulse = np.zeros((12, 300), dtype=np.float32)
    pulse[:, 50:150] = 1.0
    rounded = pulse + np.random.default_rng(1).uniform(-0.02, 0.02, pulse.shape).astype(np.float32)
    padding = np.full((12, 200), np.nan, dtype=np.float32)
    heart[:6, -1] += 0.3
    for parts in ([heart, pulse], [pulse, heart], [heart, rounded], [heart, padding]):
        signal = np.hstack(parts)
        cleaned = clean(EcgRecording(signal, 500.0, "test"))
        assert cleaned.window is not None
        assert (cleaned.window.start >= 0.6) == (parts[0] is pulse)
        np.testing.assert_allclose(cleaned.signal, clean(EcgRecording(heart, 500.0, "test")).signal, atol=1e-5)


# -- what is refused


def test_under_two_and_a_half_seconds_is_refused(make_ecg) -> None:
    assert "lasts 2.4 s" in refusal(make_ecg(seconds=2.4))
    assert clean(make_ecg(seconds=2.5)).signal.shape == (12, SAMPLES)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_invalid_samples_are_refused(make_ecg, value: float) -> None:
    recording = make_ecg()
    recording.signal[7, 123] = value
    assert "invalid samples" in refusal(recording)


def test_too_many_flat_leads_are_refused_by_name(make_ecg) -> None:
    recording = make_ecg()
    recording.signal[[6, 7, 8, 11]] = 0.4
    assert refusal(recording).startswith("Leads V1, V2, V3, V6 are flat")
    recording = make_ecg()
    recording.signal[1:6] = 0
    assert refusal(recording).startswith("Leads II, III, aVR, aVL, aVF are flat")
    recording.signal[:] = 0
    assert refusal(recording).startswith("All leads are flat")


@pytest.mark.parametrize("factor", [1000, 200, 1e6])
def test_microvolts_and_counts_are_refused_as_such(bundled_ecg: Path, make_ecg, factor: float) -> None:
    for recording in (make_ecg(), read_ecg(bundled_ecg)):
        scaled = replace(recording, signal=(recording.signal * factor).astype(np.float32))
        assert "microvolts" in refusal(scaled)


def test_volts_are_refused_as_such(make_ecg) -> None:
    recording = make_ecg()
    assert "look like volts" in refusal(replace(recording, signal=recording.signal / 1000))


@pytest.mark.parametrize("rate", [0.0, -500.0, 50.0, float("nan"), float("inf"), 1e9])
def test_impossible_rates_are_refused(make_ecg, rate: float) -> None:
    assert "sampling rate" in refusal(replace(make_ecg(), rate=rate))


def test_other_than_twelve_rows_are_refused() -> None:
    with pytest.raises(UnreadableRecording, match="12 leads"):
        EcgRecording(np.zeros((8, 5000), dtype=np.float32), 500.0, "test")


@settings(max_examples=60, deadline=None)
@given(
    values=numpy_st.arrays(np.float32, (12, 7), elements=st.floats(width=32)),
    samples=st.integers(1, 12_000),
    rate=st.one_of(st.floats(), st.floats(90, 2000)),
)
def test_wild_signals_never_raise_anything_else(values: np.ndarray, samples: int, rate: float) -> None:
    signal = np.tile(values, samples // 7 + 1)[:, :samples]
    try:
        cleaned = clean(EcgRecording(signal, rate, "wild"))
    except UnreadableRecording as reason:
        assert reason.problem and reason.remedy
    else:
        assert cleaned.signal.shape == (12, SAMPLES)
        assert np.isfinite(cleaned.signal).all()
