"""Whatever a site sends is recognised for what it is, from its content, or refused by name."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import bundled_ecg, bundled_echo
from chordae.preprocessing.ecg import read_ecg
from chordae.preprocessing.opening import open_study, prepare_recording

ECG, ECHO = bundled_ecg().read_bytes(), bundled_echo().read_bytes()
MRI = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()
CT = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif path.suffix == ".tgz":
        with tarfile.open(path, "w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, read_ecg(bundled_ecg()).signal[:, ::2])
    return file.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRecording) as refused:
        open_study(path)
    return refused.value.reason


@pytest.mark.parametrize("name", ["study.tgz", "study.zip", "study"])
def test_the_same_study_in_any_packing(tmp_path: Path, name: str) -> None:
    echo = open_study(packed(tmp_path / name, {"a/1.dcm": ECHO, "a/2.dcm": ECHO, "notes.txt": b"for the reader"}))
    assert (echo.modality, len(echo.instances), echo.set_aside) == ("echo", 2, {"not_dicom": 1})


def test_a_single_object(tmp_path: Path) -> None:
    assert open_study(bundled_echo()).modality == "echo"
    assert open_study(bundled_ecg()).modality == "ecg"
    assert open_study(Path(str(get_testdata_file("MR_small.dcm")))).modality == "cmr"


@pytest.mark.parametrize("name", ["study.tgz", "study.zip", "study"])
def test_an_ecg_is_read_out_of_its_packing(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {"in/ecg.npy": npy(), "readme": b"hello"})
    opened = open_study(path)
    assert opened.modality == "ecg"
    assert prepare_recording(path, opened.recording).sidecar["source_format"] == "npy"


def test_a_wfdb_record_stays_together(tmp_path: Path) -> None:
    path = packed(tmp_path / "study.zip", {"r/rec.dat": b"signal", "r/rec.hea": b"header", "r/other.dat": b"else"})
    header, *others = [member.name for member in open_study(path).recording]
    assert header == "r/rec.hea"
    assert "r/rec.dat" in others  # which of them is the signal, the header says


def test_a_file_with_a_foreign_name_is_still_taken_for_an_ecg_if_it_comes_alone(tmp_path: Path) -> None:
    (tmp_path / "recording").write_bytes(npy())
    opened = open_study(tmp_path / "recording")
    assert opened.modality == "ecg"


def test_a_damaged_object_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    opened = open_study(packed(tmp_path / "study.zip", {"1": ECHO, "2": ECHO[:707]}))
    assert (len(opened.instances), opened.set_aside) == (1, {"truncated": 1})


def test_a_study_of_damaged_objects_only_is_refused(tmp_path: Path) -> None:
    assert refusal(packed(tmp_path / "study.zip", {"1": ECHO[:707], "2": ECHO[:800]})) == "truncated"


def test_two_kinds_of_study_in_one_are_refused(tmp_path: Path) -> None:
    assert refusal(packed(tmp_path / "study.zip", {"1": ECHO, "2": MRI})) == "mixed_studies"
    assert refusal(packed(tmp_path / "two.zip", {"1.dcm": ECG, "2.npy": npy()})) == "mixed_studies"


def test_another_modality_is_refused(tmp_path: Path) -> None:
    assert refusal(packed(tmp_path / "study.zip", {"1": CT, "2": CT})) == "wrong_modality"
    assert refusal(packed(tmp_path / "study.tgz", {"readme": b"hello"})) == "nothing_readable"


def test_reports_beside_an_echo_are_left_to_it(tmp_path: Path) -> None:
    report = pydicom.dcmread(io.BytesIO(MRI))
    report.Modality = "SR"
    del report.PixelData
    file = io.BytesIO()
    report.save_as(file)
    opened = open_study(packed(tmp_path / "study.zip", {"1": ECHO, "2": file.getvalue()}))
    assert (opened.modality, len(opened.instances)) == ("echo", 2)
