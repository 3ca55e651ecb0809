"""What is written is a file of its kind, as other parsers see it, and holds the simulated signal."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import sierraecg

from chordae.cohort.ecg import LEADS, sample_latents, simulate_ecg
from chordae.cohort.ecg_files import MICROVOLTS, SUFFIXES, resampled, write_ecg
from chordae.cohort.ecg_xml import MUSE_MICROVOLTS, PHILIPS_MICROVOLTS, median_beat
from chordae.cohort.identity import Identity
from chordae.cohort.sites import EcgMachine
from chordae.preprocessing.ecg import EcgRecording, clean, read_ecg
from chordae.preprocessing.identity import Site
from chordae.preprocessing.study import prepare_study

WHO = Identity(
    "SIM42", "SIMULATED^ADA & CO", "19560102", "F", "university-0123456789abcdef", datetime(2026, 3, 4, 5, 6)
)
STEPS_MV = {"muse": MUSE_MICROVOLTS / 1e3, "philips": PHILIPS_MICROVOLTS / 1e3, "dicom": MICROVOLTS / 1e3, "npy": 1e-6}


def recording(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return simulate_ecg(sample_latents(rng), rng)


def machine(form: str, rate: int = 500) -> EcgMachine:
    return EcgMachine(format=form, rate_hz=rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "rate"), [(form, rate) for form in SUFFIXES for rate in (250, 500, 1000) if form != "npy" or rate == 500]
)
def test_the_room_reads_back_what_was_written(form: str, rate: int, tmp_path: Path) -> None:
    signal = recording(rate)
    path = write_ecg(signal, machine(form, rate), WHO, tmp_path)
    read = read_ecg(path)
    assert (path.name, read.source, read.rate) == (f"ecg{SUFFIXES[form]}", form, rate)
    assert read.signal.shape == (12, 10 * rate)
    # Leads that follow from two others carry the rounding of both.
    np.testing.assert_allclose(read.signal, resampled(signal, rate), atol=1.01 * STEPS_MV[form])
    cleaned = clean(read).signal
    expected = clean(EcgRecording(signal, 500.0, form)).signal
    # From 250 Hz the resampling filters take a little of what lies below 40 Hz.
    np.testing.assert_allclose(cleaned, expected, atol=STEPS_MV[form] + (0.004 if rate != 500 else 1e-4))


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_study_goes_through_the_whole_preparation(form: str, tmp_path: Path) -> None:
    study = prepare_study(write_ecg(recording(), machine(form), WHO, tmp_path), Site("here", b"k" * 32))
    assert (study.modality, study.kind) == ("ecg", "image")
    assert not any(flag.startswith(("clipped", "flat", "limb-leads")) for flag in study.sidecar["flags"])  # type: ignore[attr-defined]
    assert "SIM42" not in str(study.sidecar)


@pytest.mark.parametrize("form", SUFFIXES)
def test_the_same_inputs_give_the_same_bytes(form: str, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = (write_ecg(recording(), machine(form), WHO, place) for place in (tmp_path, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("rate", [250, 500])
def test_sierraecg_decodes_the_philips_file_to_the_same_counts(rate: int, tmp_path: Path) -> None:
    signal = recording(3)
    path = write_ecg(signal, machine("philips", rate), WHO, tmp_path)
    leads = sierraecg.read_file(str(path)).leads
    assert [lead.label for lead in leads] == list(LEADS)
    assert {lead.sampling_freq for lead in leads} == {rate}
    counts = np.array([lead.samples for lead in leads], dtype=np.int64)
    np.testing.assert_array_equal(counts, np.rint(resampled(signal, rate).astype(float) * 1000 / PHILIPS_MICROVOLTS))


def test_pydicom_reads_the_twelve_leads_and_whose_they_are(tmp_path: Path) -> None:
    signal = recording(4)
    found = pydicom.dcmread(write_ecg(signal, machine("dicom", 1000), WHO, tmp_path))
    group = found.WaveformSequence[0]
    assert [one.ChannelSourceSequence[0].CodeValue for one in group.ChannelDefinitionSequence][:3] == [
        "2:1",
        "2:2",
        "2:61",
    ]
    np.testing.assert_allclose(found.waveform_array(0).T / 1000, resampled(signal, 1000), atol=MICROVOLTS / 2000 + 1e-5)
    assert (found.PatientID, found.PatientSex, float(group.SamplingFrequency)) == ("SIM42", "F", 1000.0)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("rate", [500, 1000])
def test_dciodvfy_finds_no_error_in_the_dicom_file(rate: int, tmp_path: Path) -> None:
    path = write_ecg(recording(), machine("dicom", rate), WHO, tmp_path)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    text = said.stdout + said.stderr
    assert "TwelveLeadECG" in text
    assert [line for line in text.splitlines() if "Error" in line] == []


def test_the_median_beat_of_equal_beats_is_one_of_them() -> None:
    time = np.arange(5000) / 500
    wave = np.exp(-0.5 * (((time % 0.8) - 0.4) / 0.01) ** 2).astype(np.float32)
    beat = median_beat(np.stack([wave, 0.5 * wave]), 500)
    assert beat.shape == (2, 600)
    assert beat.max() == pytest.approx(1.0, abs=0.01)
    assert np.argmax(beat[0]) / 500 == pytest.approx(0.4, abs=0.02)
    assert 0.5 * beat[0] == pytest.approx(beat[1])
