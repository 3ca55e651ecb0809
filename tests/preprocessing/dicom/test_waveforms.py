"""DICOM waveforms come out as pydicom itself would give them, only faster and without what names a patient."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import read_waveforms


def saved(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_the_rhythm_equals_pydicoms_own_values_in_every_channel(bundled_ecg: Path) -> None:
    expected = pydicom.dcmread(bundled_ecg).waveform_array(0)
    (rhythm,) = read_waveforms(bundled_ecg.read_bytes())
    np.testing.assert_allclose(rhythm.samples, expected.T, rtol=1e-6)
    assert rhythm.rate == 1000
    assert {channel.unit for channel in rhythm.channels} == {"uV"}


@pytest.mark.real_data
def test_real_rhythms_equal_pydicoms_own_values(real_data: Path) -> None:
    for path in sorted((real_data / "ecg" / "dicom").glob("*.dcm")):
        (rhythm,) = read_waveforms(path.read_bytes())
        np.testing.assert_allclose(rhythm.samples, pydicom.dcmread(path).waveform_array(0).T, rtol=1e-6)


def test_other_encodings_of_the_same_file_read_the_same(bundled_ecg: Path) -> None:
    (expected,) = read_waveforms(bundled_ecg.read_bytes())
    implicit = pydicom.dcmread(bundled_ecg)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    defined_lengths = pydicom.dcmread(bundled_ecg)
    defined_lengths["WaveformSequence"].is_undefined_length = False
    for item in defined_lengths.WaveformSequence:
        item.is_undefined_length_sequence_item = False
    defined_lengths["WaveformAnnotationSequence"].is_undefined_length = False
    for dataset in (implicit, defined_lengths):
        (group,) = read_waveforms(saved(dataset))
        np.testing.assert_array_equal(group.samples, expected.samples)
        assert group.channels == expected.channels


def test_a_median_beat_is_read_only_where_nothing_else_is_there(bundled_ecg: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    assert len(dataset.WaveformSequence) == 2
    del dataset.WaveformSequence[0]
    (median_beat,) = read_waveforms(saved(dataset))
    assert median_beat.samples.shape == (12, 1200)


def test_sensitivity_correction_and_baseline_follow_the_standard(bundled_ecg: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    lead = dataset.WaveformSequence[0].ChannelDefinitionSequence[4]
    lead.ChannelSensitivity, lead.ChannelSensitivityCorrectionFactor, lead.ChannelBaseline = 2.5, 1.02, 40
    (rhythm,) = read_waveforms(saved(dataset))
    np.testing.assert_allclose(rhythm.samples[4], dataset.waveform_array(0)[:, 4], rtol=1e-6)


def test_padding_becomes_nan_but_a_declared_padding_of_zero_does_not(bundled_ecg: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    group = dataset.WaveformSequence[0]
    raw = np.frombuffer(group.WaveformData, dtype="<i2").copy()
    raw[:12], raw[12:24] = -32768, 0
    group.WaveformData = raw.tobytes()
    group.add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())
    (rhythm,) = read_waveforms(saved(dataset))
    assert np.isnan(rhythm.samples[:, 0]).all()
    assert np.isfinite(rhythm.samples[:, 1:]).all()
    group.WaveformPaddingValue = np.int16(0).tobytes()
    (rhythm,) = read_waveforms(saved(dataset))
    assert (rhythm.samples[:, 1] == 0).all()


def test_an_image_is_refused_as_one() -> None:
    image = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    with pytest.raises(UnreadableRecording, match="holds no waveform"):
        read_waveforms(image.read_bytes())


def test_a_deflated_file_is_refused_before_it_is_unpacked(bundled_ecg: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(UnreadableRecording, match="deflated"):
        read_waveforms(saved(dataset))


def test_pydicom_never_prints_values_of_a_file(bundled_ecg: Path, recwarn: pytest.WarningsRecorder) -> None:
    damaged = bundled_ecg.read_bytes().replace(b"SCPECG", b"\xff\xfe\x00\x01\x02\x03")
    read_waveforms(damaged)
    assert not recwarn.list
