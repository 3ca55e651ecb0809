"""Real recordings of nine formats, none made by this project: what is read, what is refused, and what must agree."""

from pathlib import Path

import neurokit2
import numpy as np
import pytest
import sierraecg

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import clean, prepare_ecg, read_ecg

pytestmark = pytest.mark.real_data

READ = {
    "dicom/*": "dicom",
    "hl7_aecg/*": "aecg",
    "mat_cpsc2018/*": "matlab",
    "philips_sierra/*": "philips",
    "scp/ECGToolkit_Example.scp": "scp",
    "wfdb_cinc2021/*": "wfdb",
    "wfdb_ptbxl/*": "wfdb",
}
REFUSED = {
    "labels/*": "The file is not an ECG that can be read here",
    "scp/healforce_62.SCP": "The file is not SCP-ECG as in EN 1064",
    "short_or_odd/*": "fewer than 12 leads: aVR, aVL, aVF, V1, V2, V3, V4, V5, V6 not found",
}
SAME = [
    ("dicom/ECGToolkit_Example.dcm", "hl7_aecg/Example_aECG_HL7.xml"),
    ("dicom/ECGToolkit_Example.dcm", "scp/ECGToolkit_Example.scp"),
    ("philips_sierra/ad4d3d80-d165_1-04_orig.xml", "hl7_aecg/Philips_ad4d3d80_converted_aECG.xml"),
    ("wfdb_cinc2021/E07509.hea", "wfdb_cinc2021/E07510.hea"),
]
STATED_RATE = {
    "hl7_aecg/CVRG_hl7aecg-Example2.xml": 52,
    "hl7_aecg/Philips_ad4d3d80_converted_aECG.xml": 41,
    "philips_sierra/129DYPRG_1-03.xml": 41,
    "philips_sierra/ad4d3d80-d165_1-04_orig.xml": 41,
}


@pytest.fixture
def ecgs(real_data: Path) -> Path:
    return real_data / "ecg"


def expected(table: dict[str, str], folder: Path) -> dict[Path, str]:
    return {path: what for pattern, what in table.items() for path in sorted(folder.glob(pattern))}


def test_every_real_file_is_either_read_or_refused_with_its_reason(ecgs: Path) -> None:
    read, refused = expected(READ, ecgs), expected(REFUSED, ecgs)
    assert {path for path in ecgs.rglob("*") if path.is_file()} == set(read) | set(refused)
    for path, source in read.items():
        prepared = prepare_ecg(path)
        assert (path, prepared.sidecar["source_format"]) == (path, source)
        assert prepared.signal.shape == (12, 5000)
        assert prepared.signal.dtype == np.float32
    for path, reason in refused.items():
        with pytest.raises(UnreadableRecording) as caught:
            read_ecg(path)
        assert reason in str(caught.value)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_recording_in_two_formats_agrees_within_20_microvolts(ecgs: Path, one: str, other: str) -> None:
    first, second = read_ecg(ecgs / one), read_ecg(ecgs / other)
    assert first.rate == second.rate
    assert np.abs(first.signal - second.signal).max() < 0.020_001
    assert np.abs(clean(first).signal - clean(second).signal).max() < 0.020_001


@pytest.mark.parametrize(("name", "rate"), STATED_RATE.items())
def test_r_peaks_found_by_neurokit_agree_with_the_rate_that_the_device_states(ecgs: Path, name: str, rate: int) -> None:
    recording = read_ecg(ecgs / name)
    assert recording.device.heart_rate_bpm == rate
    cleaned = neurokit2.ecg_clean(clean(recording).signal[1].astype(float), sampling_rate=500)
    peaks = neurokit2.ecg_peaks(cleaned, sampling_rate=500)[1]["ECG_R_Peaks"]
    assert 60 * 500 / np.median(np.diff(peaks)) == pytest.approx(rate, rel=0.03)


def test_limb_leads_obey_einthoven_and_goldberger(ecgs: Path) -> None:
    """Within 30 uV, as each lead of a file is rounded, and filtered by the device, on its own."""
    for path in expected(READ, ecgs):
        one, two, three, avr, avl, avf = read_ecg(path).signal[:6].astype(float)
        for difference in (two - one - three, avr + (one + two) / 2, avl - one + two / 2, avf - two + one / 2):
            assert np.median(np.abs(difference - np.median(difference))) < 0.03, path


@pytest.mark.parametrize("name", ["129DYPRG_1-03.xml", "ad4d3d80-d165_1-04_orig.xml"])
def test_philips_samples_are_those_of_the_sierra_ecg_tools(ecgs: Path, name: str) -> None:
    path = ecgs / "philips_sierra" / name
    counts = np.array([lead.samples for lead in sierraecg.read_file(str(path)).leads])
    np.testing.assert_allclose(read_ecg(path).signal, counts * 0.005, atol=1e-6)


@pytest.mark.parametrize("name", ["129DYPRG_1-03.xml", "ad4d3d80-d165_1-04_orig.xml"])
def test_the_calibration_pulse_at_the_end_of_a_philips_file_is_not_drawn(ecgs: Path, name: str) -> None:
    recording = read_ecg(ecgs / "philips_sierra" / name)
    assert recording.duration == 11
    window = clean(recording).window
    assert window is not None
    assert window.start + window.seconds <= 10.6


def test_statements_of_real_devices_come_without_the_confirming_physician(ecgs: Path) -> None:
    device = read_ecg(ecgs / "philips_sierra" / "ad4d3d80-d165_1-04_orig.xml").device
    assert device.statements == ("OTHERWISE NORMAL ECG", "SINUS BRADYCARDIA, V-rate<60")
    assert (device.pr_ms, device.qrs_ms, device.qt_ms, device.qrs_axis_deg) == (144, 102, 564, 85)
    device = read_ecg(ecgs / "philips_sierra" / "129DYPRG_1-03.xml").device
    assert device.statements[1] == "Sinus bradycardia, rate< 50"
    assert device.withheld == 0


def test_a_recording_of_54_seconds_gives_ten_of_them(ecgs: Path) -> None:
    cleaned = clean(read_ecg(ecgs / "mat_cpsc2018" / "A1988.mat"))
    assert cleaned.window is not None
    assert 0 <= cleaned.window.start <= 44.3
    assert cleaned.flags[0] == "assumed:mV,500Hz"
