"""What the cohort's machines write is DICOM that others read, and the same each time."""

import gzip
import io
import tarfile
import time
from datetime import datetime
from pathlib import Path

import pydicom
import pytest

from chordae.cohort.dicom_files import Template, encapsulated, encode, header, instance_uid, uid, write_tgz
from chordae.cohort.identity import Identity

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
VARYING = ("InstanceNumber", "ImagePositionPatient", "TriggerTime", "SeriesDescription")


@pytest.fixture
def identity() -> Identity:
    return Identity("SIM7", "SIMULATED^ÉVA", "19600401", "F", "somewhere-0123456789abcdef", datetime(2026, 3, 31, 8, 5))


def test_identifiers_follow_from_their_parts_and_are_valid() -> None:
    assert uid("a", 1) == uid("a", 1)
    assert len({uid("a", 1), uid("a", 2), uid("a1"), uid("a", "1", "")}) == 4
    assert all(pydicom.uid.UID(uid("study", number)).is_valid for number in range(200))


def test_echo_and_cmr_of_one_patient_are_two_studies_of_one_person(identity: Identity) -> None:
    mr = header(identity, MR_IMAGE, "MR", 1, "SIEMENS", "Aera", "Cardiac MRI")
    us = header(identity, "1.2.840.10008.5.1.4.1.1.3.1", "US", 1, "SIEMENS", "SC2000", "Echo")
    assert (mr.PatientID, mr.PatientName) == (us.PatientID, us.PatientName)
    assert mr.PatientAge == "065Y"  # her birthday is tomorrow
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert mr[keyword].value != us[keyword].value


def test_a_template_writes_what_pydicom_writes(identity: Identity) -> None:
    dataset = header(identity, MR_IMAGE, "MR", 3, "SIEMENS", "Aera", "Cardiac MRI")
    dataset.Rows = dataset.Columns = 3
    dataset.BitsAllocated, dataset.PixelSpacing = 8, ["1.5", "1.5"]
    pixels = bytes(range(9))
    values = {
        "InstanceNumber": 12,
        "ImagePositionPatient": ("-1.5", "2", "33.25"),
        "TriggerTime": "41.7",
        "SeriesDescription": "ciné petit axe",
    }
    for keyword in VARYING:
        dataset.add_new(pydicom.tag.Tag(keyword), pydicom.datadict.dictionary_VR(keyword), "0")
    fast = Template(dataset, VARYING).encode(instance_uid(identity, "MR", 3, 12), values, pixels)
    dataset.SOPInstanceUID = instance_uid(identity, "MR", 3, 12)
    for keyword, value in values.items():
        setattr(dataset, keyword, list(value) if isinstance(value, tuple) else value)
    dataset.PixelData = pixels + b"\0"
    dataset["PixelData"].VR = "OW"
    found, wanted = pydicom.dcmread(io.BytesIO(fast)), pydicom.dcmread(io.BytesIO(encode(dataset)))
    assert found == wanted
    assert str(found.PatientName) == identity.name
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    assert found.file_meta.TransferSyntaxUID == wanted.file_meta.TransferSyntaxUID


def test_compressed_frames_come_back(identity: Identity) -> None:
    frames = [b"\xff\xd8one\xff\xd9", b"\xff\xd8another\xff\xd9"]
    dataset = header(identity, MR_IMAGE, "US", 1, "SIEMENS", "SC2000", "Echo")
    dataset.NumberOfFrames, dataset.BitsAllocated = 2, 8
    dataset.PixelData = encapsulated(frames)
    read = pydicom.dcmread(io.BytesIO(encode(dataset, pydicom.uid.JPEGBaseline8Bit)))
    found = list(pydicom.encaps.generate_frames(read.PixelData, number_of_frames=2))
    assert [frame.rstrip(b"\0") for frame in found] == frames


def test_an_archive_holds_the_files_and_no_trace_of_when_or_who(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [("DICOM/a", b"1" * 1000), ("DICOM/b", b"")]
    write_tgz(tmp_path / "one.tgz", files)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_tgz(tmp_path / "two.tgz", iter(files))
    content = (tmp_path / "one.tgz").read_bytes()
    assert content == (tmp_path / "two.tgz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        members = archive.getmembers()
        assert [(m.name, m.mtime, m.uid, m.uname) for m in members] == [(name, 0, 0, "") for name, _ in files]
        assert archive.extractfile(members[0]).read() == files[0][1]  # type: ignore[union-attr]
