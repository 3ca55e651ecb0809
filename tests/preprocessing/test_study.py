"""Any study to media, under hashes for names: nothing of what the files say about the patient comes along."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from chordae.platform.errors import BadInput, UnreadableRecording
from chordae.preprocessing.dicom import bundled_ecg, bundled_echo
from chordae.preprocessing.identity import Site
from chordae.preprocessing.study import prepare_study, write_video

NORTH, SOUTH = Site("north", b"n" * 32), Site("south", b"s" * 32)
NAME, NUMBER, BIRTH = "Doe^Zaphod", "MRN-4711-X", "19420207"


def named(path: Path, source: Path) -> Path:
    """The same object, with a patient's name wherever one may stand."""
    dataset = pydicom.dcmread(source)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, NUMBER, BIRTH
    dataset.SeriesDescription = f"PLAX {NAME}"
    dataset.InstitutionName = dataset.OperatorsName = NAME
    dataset.StudyDate = BIRTH
    dataset.save_as(path)
    return path


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    return named(tmp_path / "echo.dcm", bundled_echo())


def test_an_echo_becomes_a_video_that_plays(echo: Path, tmp_path: Path) -> None:
    study = prepare_study(echo, NORTH)
    assert (study.modality, study.kind, study.companion) == ("echo", "video", None)
    (tmp_path / "grid.mp4").write_bytes(study.content)
    video = cv2.VideoCapture(str(tmp_path / "grid.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 24
    assert list(study.timings) == ["open", "prepare"]


def test_an_ecg_becomes_a_picture_with_one_for_people() -> None:
    study = prepare_study(bundled_ecg(), NORTH)
    assert (study.modality, study.kind) == ("ecg", "image")
    for png in (study.content, study.companion):
        assert cv2.imdecode(np.frombuffer(png or b"", np.uint8), cv2.IMREAD_COLOR) is not None


@pytest.mark.real_data
def test_a_cardiac_mr_becomes_a_video(real_data: Path) -> None:
    study = prepare_study(real_data / "cmr_dicom" / "pig_GE_cine_SAx", NORTH)
    assert (study.modality, study.kind) == ("cmr", "video")


def test_the_same_patient_is_known_again_at_one_site_and_unknown_at_another(echo: Path, tmp_path: Path) -> None:
    ecg = named(tmp_path / "ecg.dcm", bundled_ecg())
    here, there = prepare_study(echo, NORTH), prepare_study(echo, SOUTH)
    assert here.patient == prepare_study(ecg, NORTH).patient != ""
    assert here.patient != there.patient
    assert here.study != there.study
    assert here.study != prepare_study(ecg, NORTH).study


def test_nothing_that_names_the_patient_comes_along(echo: Path, tmp_path: Path) -> None:
    for path in (echo, named(tmp_path / "ecg.dcm", bundled_ecg())):
        study = prepare_study(path, NORTH)
        told = json.dumps(study.sidecar) + repr(study) + study.patient + study.study
        uid = str(pydicom.dcmread(path).StudyInstanceUID)
        for secret in (NAME, "Zaphod", NUMBER, "4711", BIRTH, uid):
            assert secret not in told, secret
            assert secret.encode() not in study.content
            assert secret.encode() not in (study.companion or b"")


def test_an_ecg_file_that_names_nobody_still_has_a_study_of_its_own(tmp_path: Path) -> None:
    from chordae.preprocessing.ecg import read_ecg

    signal = read_ecg(bundled_ecg()).signal[:, ::2]
    np.save(tmp_path / "one.npy", signal)
    np.save(tmp_path / "same.npy", signal)
    np.save(tmp_path / "other.npy", signal * 1.1)
    one, same, other = (prepare_study(tmp_path / f"{name}.npy", NORTH) for name in ("one", "same", "other"))
    assert one.patient == ""
    assert one.study == same.study != other.study


def test_an_error_says_where_on_the_way_it_happened(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UnreadableRecording) as refused:
        prepare_study(tmp_path / "a.zip", NORTH)
    assert (refused.value.reason, refused.value.stage) == ("truncated", "open")
    with pytest.raises(UnreadableRecording) as refused:
        prepare_study(Path(str(get_testdata_file("MR_small.dcm"))), NORTH)
    assert (refused.value.reason, refused.value.stage) == ("not_cardiac", "prepare")


def test_two_patients_in_one_archive_are_refused(echo: Path, tmp_path: Path) -> None:
    other = pydicom.dcmread(echo)
    other.PatientID = "somebody else"
    file = io.BytesIO()
    other.save_as(file)
    with tarfile.open(tmp_path / "study.tgz", "w:gz") as archive:
        archive.add(echo, "1.dcm")
        entry = tarfile.TarInfo("2.dcm")
        entry.size = len(file.getvalue())
        archive.addfile(entry, io.BytesIO(file.getvalue()))
    with pytest.raises(UnreadableRecording) as refused:
        prepare_study(tmp_path / "study.tgz", NORTH)
    assert refused.value.reason == "mixed_patients"


def test_a_video_is_written_whole_or_not_at_all(echo: Path, tmp_path: Path) -> None:
    sidecar = write_video(echo, tmp_path / "out.mp4", "echo")
    assert sidecar["tiles"]
    before = (tmp_path / "out.mp4").read_bytes()
    with pytest.raises(UnreadableRecording) as refused:
        write_video(bundled_ecg(), tmp_path / "out.mp4", "echo")
    assert refused.value.reason == "wrong_modality"
    assert "preprocess ecg" in str(refused.value)
    assert (tmp_path / "out.mp4").read_bytes() == before
    for study, output in ((tmp_path / "none", "x.mp4"), (echo, "."), (echo, "nowhere/x.mp4")):
        with pytest.raises(BadInput):
            write_video(study, tmp_path / output, "echo")
