"""From a file to what goes on: two pictures and remarks that name no patient."""

import json
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from chordae.platform.errors import ChordaeError
from chordae.preprocessing.ecg import (
    PREPROCESSING_VERSION,
    clean,
    prepare_ecg,
    read_ecg,
    render_clinical,
    render_marcus,
)
from chordae.preprocessing.ecg.clean import resample

ALLOWED = {
    "preprocessing_version",
    "source_format",
    "original_rate_hz",
    "original_duration_s",
    "original_samples",
    "rate_hz",
    "samples",
    "flags",
    "marcus",
    "clinical",
}


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_the_pictures_are_those_of_the_cleaned_recording(bundled_ecg: Path) -> None:
    signal = clean(read_ecg(bundled_ecg)).signal
    prepared = prepare_ecg(bundled_ecg)
    np.testing.assert_array_equal(decoded(prepared.marcus_png), render_marcus(signal))
    np.testing.assert_array_equal(decoded(prepared.clinical_png), render_clinical(signal))


def test_the_same_file_gives_the_same_bytes(bundled_ecg: Path) -> None:
    first, second = prepare_ecg(bundled_ecg), prepare_ecg(bundled_ecg)
    assert first.marcus_png == second.marcus_png
    assert first.sidecar == second.sidecar


def test_the_sidecar_is_an_allow_list(bundled_ecg: Path) -> None:
    sidecar = prepare_ecg(bundled_ecg).sidecar
    assert set(sidecar) == ALLOWED
    assert json.loads(json.dumps(sidecar)) == sidecar
    assert sidecar["preprocessing_version"] == PREPROCESSING_VERSION
    assert sidecar["original_rate_hz"] == 1000
    assert sidecar["original_samples"] == 10_000
    assert sidecar["flags"] == ["resampled"]
    assert sidecar["marcus"] == {"px_per_s": 20.0, "px_per_mv": 50}


def test_nothing_of_the_patient_gets_out(bundled_ecg: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "Secret^Name", "SECRET-ID", "19991231"
    dataset.save_as(tmp_path / "Secret_Name.dcm")
    prepared = prepare_ecg(tmp_path / "Secret_Name.dcm")
    out = json.dumps(prepared.sidecar).encode() + prepared.marcus_png + prepared.clinical_png
    for secret in (b"Secret", b"SECRET-ID", b"19991231"):
        assert secret not in out
    damaged = (tmp_path / "Secret_Name.dcm").read_bytes()[:100_000]
    (tmp_path / "Secret_Name.dcm").write_bytes(damaged)
    with pytest.raises(ChordaeError) as caught:
        prepare_ecg(tmp_path / "Secret_Name.dcm")
    assert "Secret" not in str(caught.value)


def test_the_path_of_an_array_and_of_its_dicom_agree(bundled_ecg: Path, tmp_path: Path) -> None:
    recording = read_ecg(bundled_ecg)
    np.save(tmp_path / "same.npy", resample(recording.signal, recording.rate))
    ours, theirs = prepare_ecg(tmp_path / "same.npy").signal, prepare_ecg(bundled_ecg).signal
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.real_data
def test_two_files_of_the_same_signal_give_the_same_picture(real_data: Path) -> None:
    folder = real_data / "ecg" / "wfdb_cinc2021"
    twins = [prepare_ecg(folder / f"{name}.hea") for name in ("E07509", "E07510")]
    assert twins[0].marcus_png == twins[1].marcus_png
    assert prepare_ecg(folder / "E07508.hea").marcus_png != twins[0].marcus_png


@pytest.mark.real_data
def test_every_real_12_lead_ecg_is_drawn(real_data: Path) -> None:
    paths = [*(real_data / "ecg").glob("wfdb_*/*.hea"), *(real_data / "ecg" / "dicom").glob("*.dcm")]
    for path in paths:
        assert decoded(prepare_ecg(path).marcus_png).shape == (896, 672, 3)
