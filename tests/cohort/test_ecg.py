"""Simulated ECGs obey lead algebra and say what their latents say, as an independent reader measures it."""

import neurokit2
import numpy as np
import pytest

from chordae.cohort.ecg import CONDUCTIONS, LEADS, RHYTHMS, ST_SEGMENTS, EcgLatents, sample_latents, simulate_ecg


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


def test_every_finding_is_drawn() -> None:
    rng = np.random.default_rng(1)
    drawn = [sample_latents(rng) for _ in range(400)]
    assert {one.rhythm for one in drawn} == set(RHYTHMS)
    assert {one.conduction for one in drawn} == set(CONDUCTIONS)
    assert {one.st for one in drawn} == set(ST_SEGMENTS)
