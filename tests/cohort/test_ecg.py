"""Simulated ECGs obey lead algebra and say what their latents say, as an independent reader measures it."""

import neurokit2
import numpy as np
import pytest

from chordae.cohort.ecg import CONDUCTIONS, LEADS, RHYTHMS, ST_SEGMENTS, EcgLatents, sample_latents, simulate_ecg

PLAIN = EcgLatents(rhythm="bradycardia", conduction="normal", st="none", rate_bpm=54, pr_ms=160, qrs_ms=92)
SEEDS = range(6)


def lead(signal: np.ndarray, name: str) -> np.ndarray:
    return signal[LEADS.index(name)]


def simulate(seed: int = 0, **fixed: str) -> tuple[EcgLatents, np.ndarray]:
    rng = np.random.default_rng(seed)
    latents = sample_latents(rng, **fixed)  # type: ignore[arg-type]
    return latents, simulate_ecg(latents, rng, noise=False)


def averaged_beat(latents: EcgLatents, signal: np.ndarray) -> np.ndarray:
    """(12, 700) mV: the median beat, QRS onset near sample 300."""
    slope = np.abs(np.diff(signal, axis=1)).sum(axis=0)
    energy = np.convolve(slope, np.ones(40), mode="same")
    gap = int(0.6 * 500 * 60 / latents.rate_bpm)
    peaks = [i for i in range(500, 4300) if energy[i] == energy[max(i - gap, 0) : i + gap].max()]
    return np.median([signal[:, peak - 340 : peak + 360] for peak in peaks], axis=0)


def beat_of(seed: int, **changes: object) -> dict[str, np.ndarray]:
    """The median beat by lead, 0 mV between P and QRS, from 160 ms before the steepest point to 560 ms after it."""
    latents = PLAIN.model_copy(update=changes)
    beat = averaged_beat(latents, simulate_ecg(latents, np.random.default_rng(seed), noise=False))[:, 260:620]
    beat = beat - np.median(beat[:, 25:40], axis=1, keepdims=True)
    return dict(zip(LEADS, beat, strict=True))


def qrs_of(beat: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """80 ms to either side of the steepest point."""
    return {name: samples[40:121] for name, samples in beat.items()}


def axis_of(qrs: dict[str, np.ndarray]) -> float:
    """Degrees, from net areas in I and aVF."""
    return float(np.degrees(np.arctan2(qrs["aVF"].sum() * 2 / 3**0.5, qrs["I"].sum())))


def initial_q(samples: np.ndarray) -> tuple[float, float]:
    """Milliseconds and depth as a share of R of a Q wave with which a QRS complex begins; zeros where there is none."""
    start = int(np.flatnonzero(np.abs(samples) > 0.04)[0])
    if samples[start] > 0:
        return 0.0, 0.0
    up = np.flatnonzero(samples[start:] > 0.03)
    end = start + (int(up[0]) if len(up) else len(samples) - start)
    rest = samples[end:].max(initial=0.01)
    return 2.0 * float((samples[start:end] < -0.015).sum()), float(-samples[start:end].min() / max(rest, 0.01))


@pytest.mark.parametrize("seed", range(5))
def test_limb_leads_follow_einthoven_and_goldberger(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = simulate_ecg(sample_latents(rng), rng)
    one, two = lead(signal, "I"), lead(signal, "II")
    assert signal.shape == (12, 5000)
    assert signal.dtype == np.float32
    np.testing.assert_allclose(lead(signal, "III"), two - one, atol=1e-5)
    np.testing.assert_allclose(lead(signal, "aVR"), -(one + two) / 2, atol=1e-5)
    np.testing.assert_allclose(lead(signal, "aVL"), one - two / 2, atol=1e-5)
    np.testing.assert_allclose(lead(signal, "aVF"), two - one / 2, atol=1e-5)


def test_the_same_seed_is_the_same_recording() -> None:
    first, second = (simulate_ecg(sample_latents(rng), rng) for rng in (np.random.default_rng(4) for _ in range(2)))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_an_independent_detector_counts_the_rate(rhythm: str) -> None:
    for seed in range(4):
        latents, signal = simulate(seed, rhythm=rhythm, conduction="normal", st="none")
        # Fast irregular beats fall into the default detector's refractory period; Pan-Tompkins keeps them.
        method = "pantompkins1985" if rhythm == "atrial fibrillation" else "neurokit"
        cleaned = neurokit2.ecg_clean(lead(signal, "II") + lead(signal, "V5"), sampling_rate=500, method=method)
        peaks = neurokit2.ecg_peaks(cleaned, sampling_rate=500, method=method)[1]["ECG_R_Peaks"]
        measured = 60 / np.mean(np.diff(peaks) / 500)
        allowed = 0.06 if rhythm == "atrial fibrillation" else 0.04
        assert measured == pytest.approx(latents.rate_bpm, rel=allowed, abs=2), latents


def test_only_atrial_fibrillation_is_irregular() -> None:
    def spread(rhythm: str, seed: int) -> float:
        _, signal = simulate(seed, rhythm=rhythm, conduction="normal", st="none")
        cleaned = neurokit2.ecg_clean(lead(signal, "II") + lead(signal, "V5"), sampling_rate=500)
        intervals = np.diff(neurokit2.ecg_peaks(cleaned, sampling_rate=500)[1]["ECG_R_Peaks"])
        return float(np.std(intervals) / np.mean(intervals))

    assert max(spread("sinus", seed) for seed in range(4)) < 0.09
    assert min(spread("atrial fibrillation", seed) for seed in range(4)) > 0.09


@pytest.mark.parametrize("seed", range(4))
def test_bundle_branch_blocks_have_their_shapes_in_v1_and_v6(seed: int) -> None:
    latents, signal = simulate(seed, rhythm="sinus", conduction="LBBB")
    qrs = averaged_beat(latents, signal)[:, 290:390]
    assert qrs[LEADS.index("V1")].mean() < -0.2, "LBBB: V1 points down throughout"
    assert qrs[LEADS.index("V6")].mean() > 0.2, "LBBB: V6 is one broad R"
    assert latents.qrs_ms >= 120
    latents, signal = simulate(seed, rhythm="sinus", conduction="RBBB", st="none")
    qrs = averaged_beat(latents, signal)[:, 290:420]
    v1, v6 = qrs[LEADS.index("V1")], qrs[LEADS.index("V6")]
    assert v1.max() > 0.25, "RBBB: R' in V1"
    assert v6.argmin() > v6.argmax(), "RBBB: an S after the R in V6"
    assert latents.qrs_ms >= 120


def test_block_and_pr_interval_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        latents = sample_latents(rng)
        assert (latents.pr_ms is None) == (latents.rhythm == "atrial fibrillation")
        assert (latents.conduction == "first-degree block") == (latents.pr_ms is not None and latents.pr_ms > 200)
        assert (latents.qrs_ms >= 120) == (latents.conduction in ("LBBB", "RBBB"))
        assert latents.conduction != "LBBB" or latents.st == "none"


def test_a_longer_pr_interval_moves_the_p_wave_and_nothing_else() -> None:
    latents = EcgLatents(rhythm="bradycardia", conduction="normal", st="none", rate_bpm=45, pr_ms=140, qrs_ms=90)
    early, late, far = (
        simulate_ecg(latents.model_copy(update={"pr_ms": pr}), np.random.default_rng(8), noise=False)[1]
        for pr in (340, 140, 540)
    )
    # What is left after subtracting the same beats with P elsewhere are the two P waves, 200 ms apart each time.
    first, second = (early - far)[500:4500], (late - early)[500:4500]
    lags = np.arange(60, 141)
    match = [float(np.dot(first[: -int(lag)], second[int(lag) :])) for lag in lags]
    assert lags[int(np.argmax(match))] == pytest.approx(100, abs=3)  # 200 ms at 500 Hz


@pytest.mark.parametrize(
    ("st", "up", "down"),
    [("anterior", ("V2", "V3", "V4"), "III"), ("inferior", ("II", "III", "aVF"), "aVL")],
)
def test_st_elevation_lies_in_its_territory_with_reciprocal_depression(st: str, up: tuple[str, ...], down: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        latents = sample_latents(rng, rhythm="bradycardia", conduction="normal", st=st)  # type: ignore[arg-type]
        without = latents.model_copy(update={"st": "none"})
        pair = [simulate_ecg(one, np.random.default_rng(100 + seed), noise=False) for one in (latents, without)]
        change = averaged_beat(latents, pair[0])[:, 300 + 75]  # some 80 ms after the J point
        assert min(change[LEADS.index(name)] for name in up) > 0.05
        assert change[LEADS.index(down)] < min(change[LEADS.index(name)] for name in up)


@pytest.mark.parametrize(("axis", "low", "high"), [("normal", -30, 90), ("left", -78, -37), ("right", 100, 155)])
@pytest.mark.parametrize("conduction", ["normal", "RBBB"])
def test_the_axis_from_net_areas_lies_in_its_class(axis: str, low: float, high: float, conduction: str) -> None:
    wide = 138 if conduction == "RBBB" else 92
    for seed in SEEDS:
        beat = beat_of(seed, axis=axis, conduction=conduction, qrs_ms=wide)
        measured = axis_of({name: samples[30:130] for name, samples in beat.items()} if wide > 120 else qrs_of(beat))
        assert low < measured < high, (seed, measured)


def test_left_hypertrophy_is_what_sokolow_and_lyon_measure() -> None:
    def index(qrs: dict[str, np.ndarray]) -> float:
        return float(-qrs["V1"].min() + max(qrs["V5"].max(), qrs["V6"].max()))

    present = [index(qrs_of(beat_of(seed, hypertrophy="left"))) for seed in SEEDS]
    absent = [index(qrs_of(beat_of(seed))) for seed in SEEDS]
    assert min(present) > 3.5
    assert max(present) < 6.2
    assert max(absent) < 3.4
    assert max(absent) > 2.0, "voltages of the healthy come near to the limit"


def test_right_hypertrophy_turns_v1_up_and_v5_and_v6_down() -> None:
    for seed in SEEDS:
        qrs = qrs_of(beat_of(seed, hypertrophy="right", axis="right"))
        assert qrs["V1"].max() > -qrs["V1"].min()
        assert max(-qrs["V5"].min(), -qrs["V6"].min()) > 0.4
        healthy = qrs_of(beat_of(seed))
        assert healthy["V1"].max() < -healthy["V1"].min()


@pytest.mark.parametrize(("morphology", "leads"), [("anterior Q", ("V2", "V3")), ("inferior Q", ("II", "III", "aVF"))])
def test_q_waves_are_wide_and_deep_in_their_leads_and_missing_elsewhere(
    morphology: str, leads: tuple[str, ...]
) -> None:
    for seed in SEEDS:
        qrs = qrs_of(beat_of(seed, morphology=morphology))
        for name in leads:
            milliseconds, share = initial_q(qrs[name])
            assert milliseconds >= 34, (seed, name)
            assert share >= 0.25, (seed, name)
        elsewhere = ("V2", "V3", "V4") if morphology == "inferior Q" else ("I", "V6")
        assert not all(initial_q(qrs[name])[0] >= 40 for name in elsewhere)
        healthy = qrs_of(beat_of(seed))
        assert not all(initial_q(healthy[name])[0] >= 36 and initial_q(healthy[name])[1] >= 0.25 for name in leads)


def test_lateral_t_waves_are_inverted_only_where_the_latents_say_so() -> None:
    for seed in SEEDS:
        t_wave = {name: samples[180:290] for name, samples in beat_of(seed, morphology="T inversion").items()}
        for name in ("I", "aVL", "V5", "V6"):
            assert t_wave[name].min() < -0.04, (seed, name)
            assert -t_wave[name].min() > t_wave[name].max(), (seed, name)
        healthy = {name: samples[180:290] for name, samples in beat_of(seed).items()}
        assert min(healthy[name].min() for name in ("I", "V5", "V6")) > -0.15


def test_low_voltage_is_low_in_all_leads_and_others_are_not() -> None:
    limb, chest = LEADS[:6], LEADS[6:]
    for seed in SEEDS:
        low, other = qrs_of(beat_of(seed, morphology="low voltage")), qrs_of(beat_of(seed))
        assert max(np.ptp(low[name]) for name in limb) < 0.5
        assert max(np.ptp(low[name]) for name in chest) < 1.0
        assert max(np.ptp(other[name]) for name in limb) > 0.55


def test_diffuse_st_elevation_is_everywhere_but_in_avr_and_rises_towards_t() -> None:
    for seed in SEEDS:
        with_st, without = beat_of(seed, st="diffuse"), beat_of(seed)
        # 90 ms after the steepest point: some 40 ms behind the J point
        change = {name: with_st[name][125] - without[name][125] for name in LEADS}
        for name in ("I", "II", "aVL", "aVF", "V2", "V3", "V4", "V5", "V6"):
            assert 0.03 < change[name] < 0.35, (seed, name)
        assert change["aVR"] < -0.08
        assert with_st["II"][150] > with_st["II"][125], "concave"


@pytest.mark.parametrize("qtc", [370, 480])
def test_a_longer_qtc_moves_the_end_of_t_by_fridericia(qtc: int) -> None:
    """The tangent through the steepest descent of T in V5 (Lepeschkin and Surawicz, Circulation 1952;6:378)."""
    expected = qtc * (60 / PLAIN.rate_bpm) ** (1 / 3)
    measured = []
    for seed in SEEDS:
        samples = beat_of(seed, qtc_ms=qtc)["V5"]
        late = samples[100:]
        peak = int(np.argmax(np.abs(late)))
        slope = np.gradient(np.abs(late))
        steepest = peak + int(np.argmin(slope[peak : peak + 60]))
        end = steepest - abs(late[steepest]) / slope[steepest]
        onset = 80 - int(np.argmax(np.abs(samples[20:81])[::-1] < 0.03))
        measured.append(2 * (100 + end - onset))
    assert np.median(measured) == pytest.approx(expected, abs=25)
    assert measured == pytest.approx([expected] * len(measured), abs=60)


def test_neurokit_finds_the_intervals_of_the_latents() -> None:
    """Medians over recordings: NeuroKit2's wavelet onsets lie 5 to 20 ms before ours, its offsets as far behind."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        latents = PLAIN.model_copy(
            update={"rate_bpm": int(rng.integers(50, 95)), "pr_ms": int(rng.integers(130, 185)), "rhythm": "sinus"}
        )
        signal = simulate_ecg(latents, rng, noise=False)
        cleaned = neurokit2.ecg_clean(lead(signal, "V5"), sampling_rate=500)
        peaks = neurokit2.ecg_peaks(cleaned, sampling_rate=500)[1]["ECG_R_Peaks"]
        # Its first peak may be the filter's start.
        assert 60 / np.mean(np.diff(peaks[1:]) / 500) == pytest.approx(latents.rate_bpm, abs=2)
        found = neurokit2.ecg_delineate(cleaned, peaks, sampling_rate=500, method="dwt")[1]
        onset, offset, p_onset, t_end = (
            np.array(found[name], float) * 2
            for name in ("ECG_R_Onsets", "ECG_R_Offsets", "ECG_P_Onsets", "ECG_T_Offsets")
        )
        qt = latents.qtc_ms * (60 / latents.rate_bpm) ** (1 / 3)
        measured = [np.nanmedian(onset - p_onset), np.nanmedian(offset - onset), np.nanmedian(t_end - onset)]
        errors.append(np.array(measured) - [latents.pr_ms or 0, latents.qrs_ms, qt])
    pr, qrs, qt = np.median(errors, axis=0)
    assert abs(pr) < 25
    assert abs(qrs) < 40
    assert abs(qt) < 35


def test_mains_and_noise_are_those_of_the_machine() -> None:
    def hum(frequency: int, noise: float) -> float:
        total = 0.0
        for seed in range(12):
            clean, noisy = (
                simulate_ecg(PLAIN, np.random.default_rng(seed), noise=level, mains_hz=50) for level in (0.0, noise)
            )
            spectrum = np.abs(np.fft.rfft(noisy[1] - clean[1]))
            total += float(spectrum[frequency * 10] - np.median(spectrum[frequency * 10 - 20 : frequency * 10 + 20]))
        return total

    assert hum(50, 1.0) > 10 * abs(hum(60, 1.0))
    assert hum(50, 2.0) == pytest.approx(2 * hum(50, 1.0), rel=0.2)


def test_every_finding_is_drawn() -> None:
    rng = np.random.default_rng(1)
    drawn = [sample_latents(rng) for _ in range(400)]
    assert {one.rhythm for one in drawn} == set(RHYTHMS)
    assert {one.conduction for one in drawn} == set(CONDUCTIONS)
    assert {one.st for one in drawn} == set(ST_SEGMENTS)
