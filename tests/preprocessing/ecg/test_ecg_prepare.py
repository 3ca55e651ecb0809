"""From a file to what goes on: two pictures and remarks that name no patient."""

import json
from pathlib import Path

import cv2
import ecg_files
import numpy as np
import pydicom
import pytest

from chordae.platform.errors import ChordaeError
from chordae.preprocessing.ecg import (
    PREPROCESSING_VERSION,
    clean,
    prepare_ecg,
    prepare_ecg_bytes,
    read_ecg,
    render_clinical,
    render_marcus,
)
from chordae.preprocessing.ecg.clean import resample
from chordae.preprocessing.ecg.render import CLINICAL

ALLOWED = {
    "preprocessing_version",
    "source_format",
    "original_rate_hz",
    "original_duration_s",
    "original_samples",
    "rate_hz",
    "samples",
    "window",
    "flags",
    "device",
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
    assert sidecar["window"] == {"start_s": 0.0, "recorded_s": 10.0}
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


def test_flags_and_the_devices_words_reach_the_sidecar_and_nothing_else_of_the_file(make_ecg) -> None:
    counts = np.round(make_ecg(seconds=7).signal[[0, 1, *range(6, 12)]] * 200).astype(int)
    counts[2] = 0
    said = ["Sinus rhythm", "Confirmed by Secretname"]
    prepared = prepare_ecg_bytes("Secretname.xml", ecg_files.muse(counts, microvolts=5.0, statements=said))
    sidecar = prepared.sidecar
    assert set(sidecar) == ALLOWED
    assert sidecar["flags"] == ["derived:III,aVR,aVL,aVF", "short:7s", "flat:V1"]
    assert sidecar["window"] == {"start_s": 0.0, "recorded_s": 7.0}
    device = sidecar["device"]
    assert isinstance(device, dict)
    assert (device["statements"], device["withheld"], device["heart_rate_bpm"]) == (["Sinus rhythm"], 1, 72.0)
    out = json.dumps(sidecar).encode() + prepared.marcus_png + prepared.clinical_png
    assert b"ecret" not in out and b"SECRET" not in out


def test_the_clinical_picture_says_what_is_amiss_and_nothing_where_nothing_is(make_ecg) -> None:
    recording = make_ecg()
    fine = prepare_ecg_bytes("a.npy", ecg_files.npy(recording.signal))
    np.testing.assert_array_equal(decoded(fine.clinical_png), render_clinical(fine.signal))
    recording.signal[6] = 0
    amiss = prepare_ecg_bytes("a.npy", ecg_files.npy(recording.signal))
    foot = slice(-60, None)
    assert (decoded(amiss.clinical_png)[foot] != render_clinical(amiss.signal)[foot]).any()
    np.testing.assert_array_equal(decoded(amiss.marcus_png), render_marcus(amiss.signal))


def test_behind_a_short_recording_no_line_is_drawn(make_ecg) -> None:
    prepared = prepare_ecg_bytes("a.npy", ecg_files.npy(make_ecg(seconds=5).signal))
    ink = (decoded(prepared.marcus_png)[:224, :224] < 100).all(axis=2)
    assert ink[:, 21:119].any(axis=0).mean() > 0.99
    assert not ink[20:, 125:].any()
    clinical = (decoded(prepared.clinical_png) < 100).all(axis=2)
    rhythm = slice(CLINICAL.zero_y(3) - 60, CLINICAL.zero_y(3) + 60)
    left = CLINICAL.left_mm * CLINICAL.px_per_mm
    assert not clinical[rhythm, left + 1005 :].any()
    assert clinical[: CLINICAL.zero_y(2), left + 1500 : left + 2000].any(axis=0).mean() > 0.99  # all of V4 to V6


@pytest.mark.real_data
def test_two_files_of_the_same_signal_give_the_same_picture(real_data: Path) -> None:
    folder = real_data / "ecg" / "wfdb_cinc2021"
    twins = [prepare_ecg(folder / f"{name}.hea") for name in ("E07509", "E07510")]
    assert twins[0].marcus_png == twins[1].marcus_png
    assert prepare_ecg(folder / "E07508.hea").marcus_png != twins[0].marcus_png


@pytest.mark.real_data
def test_every_real_12_lead_ecg_is_drawn(real_data: Path) -> None:
    paths = [*(real_data / "ecg").glob("wfdb_*/*.hea")]
    for folder in ("dicom", "hl7_aecg", "philips_sierra", "mat_cpsc2018"):
        paths += (real_data / "ecg" / folder).iterdir()
    for path in paths:
        assert decoded(prepare_ecg(path).marcus_png).shape == (896, 672, 3)
