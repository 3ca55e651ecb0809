"""Statements and measurements beside a waveform come out as pydicom's parser finds them."""

from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from dicom_files import saved
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from chordae.platform.errors import ChordaeError
from chordae.preprocessing.dicom import Annotation, bundled_ecg, read_annotations
from chordae.preprocessing.ecg import read_ecg


def by_pydicom(path: Path) -> list[Annotation]:
    found = []
    for item in pydicom.dcmread(path).WaveformAnnotationSequence:
        if "UnformattedTextValue" not in item and "NumericValue" not in item:
            continue  # a mark in the waveform
        concepts = item.get("ConceptNameCodeSequence") or [Dataset()]
        value = item.get("NumericValue")
        found.append(
            Annotation(
                text=str(item.get("UnformattedTextValue") or ""),
                code=str(concepts[0].get("CodeValue", "")),
                meaning=str(concepts[0].get("CodeMeaning", "")),
                value=None if value in (None, "") else float(value),
            )
        )
    return found


def test_the_bundled_ecgs_annotations_are_those_that_pydicom_reads() -> None:
    assert read_annotations(bundled_ecg().read_bytes()) == by_pydicom(bundled_ecg())


@pytest.mark.real_data
def test_real_annotations_are_those_that_pydicom_reads(real_data: Path) -> None:
    for path in sorted((real_data / "ecg" / "dicom").glob("*.dcm")):
        assert read_annotations(path.read_bytes()) == by_pydicom(path)


def test_the_recording_has_the_devices_measurements() -> None:
    report = read_ecg(bundled_ecg()).device
    assert (report.heart_rate_bpm, report.pr_ms, report.qrs_ms, report.qt_ms) == (61, 161, 75, 368)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [True, False])
def test_annotations_in_any_encoding(syntax: str, undefined: bool) -> None:
    concept, statement, measure = Dataset(), Dataset(), Dataset()
    concept.CodeValue, concept.CodeMeaning = "5.13.5-7", "PR Interval"
    statement.UnformattedTextValue = "Sinus rhythm"
    measure.ConceptNameCodeSequence = Sequence([concept])
    measure.NumericValue = 150
    dataset = Dataset()
    dataset.WaveformAnnotationSequence = Sequence([statement, measure])
    dataset["WaveformAnnotationSequence"].is_undefined_length = undefined
    expected = [Annotation("Sinus rhythm"), Annotation("", "5.13.5-7", "PR Interval", 150.0)]
    assert read_annotations(saved(dataset, syntax)) == expected


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_annotations_are_left_out(data: st.DataObject) -> None:
    raw = bytearray(bundled_ecg().read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(132, 12_000))] = data.draw(st.integers(0, 255))
    with suppress(ChordaeError):
        read_annotations(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
