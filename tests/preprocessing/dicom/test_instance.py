"""A scanned header says what pydicom's parser says of the allow-listed keywords, and nothing else comes out."""

from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from dicom_files import SHIPPED, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing.dicom import is_dicom, read_instance
from chordae.preprocessing.dicom.instance import ALLOWED, IDENTIFIERS


def comparable(value: object) -> object:
    """What is a number compares as one, as pydicom keeps a number that is none as text."""
    try:
        return round(float(str(value)), 6)
    except ValueError:
        return str(value).strip("\0 ")


def by_pydicom(dataset: Dataset, keyword: str) -> list[object]:
    if keyword not in dataset or dataset[keyword].is_empty:
        return []
    element = dataset[keyword]
    several = list(element.value) if element.VM > 1 else [element.value]
    return [comparable(value) for value in several]


def test_every_file_that_pydicom_ships_reads_as_pydicom_reads_it_or_is_refused_by_name() -> None:
    read = 0
    for path in SHIPPED:
        try:
            reference = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:  # noqa: BLE001 - files made to be damaged
            continue
        try:
            instance = read_instance(path.read_bytes())
        except UnreadableRecording as error:
            assert error.reason in {"encoding", "truncated", "not_dicom"}, (path.name, str(error))
            continue
        for keyword in ALLOWED:
            found = [comparable(value) for value in instance.values.get(keyword, ()) if value != ""]
            assert found == [v for v in by_pydicom(reference, keyword) if v != ""], (path.name, keyword)
        read += 1
    assert read > 40


def test_identifiers_are_kept_apart_and_never_shown() -> None:
    instance = read_instance(Path(str(get_testdata_file("MR_small.dcm"))).read_bytes())
    assert instance.identifiers["PatientID"]
    assert not set(instance.values) & set(IDENTIFIERS)
    assert str(instance.identifiers["PatientID"][0]) not in repr(instance)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_of_any_length_are_stepped_over_and_parsed_when_asked_for(syntax: str, undefined: bool) -> None:
    region = Dataset()
    region.RegionLocationMinX0 = 7
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    nested = Dataset()
    nested.ReferencedSOPClassUID = "1.2"
    nested.ReferencedImageSequence = Sequence([Dataset()])
    dataset.ReferencedImageSequence = Sequence([nested, nested])
    dataset.SequenceOfUltrasoundRegions = Sequence([region, region])
    dataset.Rows = 12
    for keyword in ("ReferencedImageSequence", "SequenceOfUltrasoundRegions"):
        dataset[keyword].is_undefined_length = undefined
    instance = read_instance(saved(dataset, syntax))
    assert instance.number("Rows") == 12
    assert [item.RegionLocationMinX0 for item in instance.sequence("SequenceOfUltrasoundRegions")] == [7, 7]
    assert instance.sequence("PerFrameFunctionalGroupsSequence") == []


def test_a_frame_of_an_enhanced_object_has_the_shared_values_under_its_own() -> None:
    def groups(**kinds: dict[str, object]) -> Dataset:
        item = Dataset()
        for sequence, values in kinds.items():
            inner = Dataset()
            for keyword, value in values.items():
                setattr(inner, keyword, value)
            setattr(item, sequence, Sequence([inner]))
        return item

    dataset = Dataset()
    dataset.NumberOfFrames = 2
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [groups(PixelMeasuresSequence={"PixelSpacing": [1.5, 1.25]}, MREchoSequence={"EffectiveEchoTime": 2.0})]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [groups(PlanePositionSequence={"ImagePositionPatient": [0, 0, z]}) for z in (3, 9)]
    )
    frames = read_instance(saved(dataset)).frame_values
    assert [frame["ImagePositionPatient"] for frame in frames] == [(0, 0, 3), (0, 0, 9)]
    assert all(frame["PixelSpacing"] == (1.5, 1.25) and frame["EffectiveEchoTime"] == (2,) for frame in frames)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_encodings_that_are_not_read_are_named(syntax: str) -> None:
    with pytest.raises(UnreadableRecording) as refused:
        read_instance(saved(Dataset(), syntax))
    assert refused.value.reason == "encoding"


def test_a_dataset_without_preamble_is_read_too() -> None:
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.Modality = "MR"
    dataset.SeriesDescription = "cine " * 30
    whole = saved(dataset)
    bare = whole[whole.index(b"\x08\x00\x08\x00CS") :]
    assert is_dicom(bare)
    assert read_instance(bare).text("Modality") == "MR"


def test_a_number_that_is_none_is_no_number() -> None:
    dataset = Dataset()
    dataset.TriggerTime = "12.5"
    broken = saved(dataset).replace(b"12.5", b"12,5")
    assert read_instance(broken).number("TriggerTime") is None
    assert read_instance(saved(dataset)).number("TriggerTime") == 12.5


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_raises_the_projects_own_error_or_nothing(data: st.DataObject) -> None:
    whole = bytearray(Path(str(get_testdata_file("MR_small.dcm"))).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, 2000))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with suppress(ChordaeError):
        instance = read_instance(damaged)
        assert instance.frames >= 1
        assert len(instance.frame_values) >= 1
        instance.sequence("SequenceOfUltrasoundRegions")


def test_an_object_that_ends_in_zeros_is_refused_at_once() -> None:
    head = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()[:1000]
    with pytest.raises(UnreadableRecording) as refused:
        read_instance(head + bytes(64 * 1024 * 1024))
    assert refused.value.reason == "truncated"
