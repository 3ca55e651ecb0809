"""Whatever the format, twelve leads come out in mV and in the standard order, or one clear reason why not."""

import io
import socket
from pathlib import Path

import numpy as np
import pydicom
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import LEADS, EcgRecording, read_ecg

a_few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_wfdb(folder: Path, recording: EcgRecording, names: list[str], units: str = "mV", scale: float = 1.0) -> Path:
    """Written by wfdb itself."""
    wfdb.wrsamp(
        "record",
        fs=recording.rate,
        units=[units] * len(names),
        sig_name=names,
        p_signal=recording.signal[: len(names)].T.astype(np.float64) * scale,
        fmt=["16"] * len(names),
        write_dir=str(folder),
    )
    return folder / "record.hea"


def saved(dataset: pydicom.Dataset, folder: Path) -> Path:
    path = folder / "changed.dcm"
    dataset.save_as(path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRecording) as caught:
        read_ecg(path)
    assert "\n" not in str(caught.value)
    assert path.name not in str(caught.value)
    return str(caught.value)


# -- .npy


def test_an_array_of_12_rows_is_read_as_millivolts_at_500_hz(tmp_path: Path, make_ecg) -> None:
    np.save(tmp_path / "patient_a.npy", make_ecg().signal.astype(np.float64))
    recording = read_ecg(tmp_path / "patient_a.npy")
    np.testing.assert_array_equal(recording.signal, make_ecg().signal)
    assert (recording.rate, recording.source) == (500.0, "npy")


def test_content_counts_before_the_name(tmp_path: Path, bundled_ecg: Path) -> None:
    (tmp_path / "patient_a.npy").write_bytes(bundled_ecg.read_bytes())
    assert read_ecg(tmp_path / "patient_a.npy").source == "dicom"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((5000, 12)), "transpose"),
        (np.zeros((3, 5000)), "all 12 leads"),
        (np.zeros(5000), "all 12 leads"),
        (np.zeros((12, 5000), dtype=complex), "real numbers"),
        (np.full((12, 5000), "x"), "real numbers"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    np.save(tmp_path / "patient_a.npy", array)
    assert reason in refusal(tmp_path / "patient_a.npy")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "patient_a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refusal(tmp_path / "patient_a.npy")


# -- DICOM


def test_the_bundled_ecg_equals_pydicoms_values_in_millivolts(bundled_ecg: Path) -> None:
    recording = read_ecg(bundled_ecg)
    expected = pydicom.dcmread(bundled_ecg).waveform_array(0).T / 1000
    np.testing.assert_allclose(recording.signal, expected, rtol=1e-5, atol=1e-7)
    assert recording.duration == 10


def test_channels_in_another_order_come_out_in_the_standard_one(bundled_ecg: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    group = dataset.WaveformSequence[0]
    shuffled = np.random.default_rng(1).permutation(12)
    raw = np.frombuffer(group.WaveformData, dtype="<i2").reshape(-1, 12)
    group.WaveformData = np.ascontiguousarray(raw[:, shuffled]).tobytes()
    group.ChannelDefinitionSequence = [group.ChannelDefinitionSequence[old] for old in shuffled]
    np.testing.assert_array_equal(read_ecg(saved(dataset, tmp_path)).signal, read_ecg(bundled_ecg).signal)


@pytest.mark.parametrize("spelling", ["Lead {}", "{}", "LEAD {}", "Lead {} (Einthoven)", "MDC"])
def test_leads_are_found_by_meaning_or_by_mdc_code(bundled_ecg: Path, tmp_path: Path, spelling: str) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    for lead, channel in zip(LEADS, dataset.WaveformSequence[0].ChannelDefinitionSequence, strict=True):
        source = channel.ChannelSourceSequence[0]
        number = source.CodeValue.rsplit("-", 1)[1]
        source.CodeValue = f"2:{number}" if spelling == "MDC" else "?"
        source.CodeMeaning = "?" if spelling == "MDC" else spelling.format(lead)
    np.testing.assert_array_equal(read_ecg(saved(dataset, tmp_path)).signal, read_ecg(bundled_ecg).signal)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1e-3), ("V", 1e3), ("nV", 1e-6)])
def test_units_of_a_channel_are_honoured(bundled_ecg: Path, tmp_path: Path, unit: str, factor: float) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    dataset.WaveformSequence[0].ChannelDefinitionSequence[7].ChannelSensitivityUnitsSequence[0].CodeValue = unit
    signal, expected = read_ecg(saved(dataset, tmp_path)).signal, read_ecg(bundled_ecg).signal.copy()
    expected[7] *= factor / 1e-3
    np.testing.assert_allclose(signal, expected, rtol=1e-5)


def test_samples_without_a_unit_are_refused(bundled_ecg: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    del dataset.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelSensitivityUnitsSequence
    assert "unit of voltage" in refusal(saved(dataset, tmp_path))


def test_missing_leads_are_named(bundled_ecg: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(bundled_ecg)
    for channel in dataset.WaveformSequence[0].ChannelDefinitionSequence[9:11]:
        channel.ChannelSourceSequence[0].CodeValue = "5.6.3-9-999"
    assert "V4, V5 not found" in refusal(saved(dataset, tmp_path))


def test_an_image_is_not_an_ecg() -> None:
    assert "holds no waveform" in refusal(Path(str(get_testdata_file("CT_small.dcm", download=False))))


# -- WFDB


@pytest.mark.parametrize(("units", "scale"), [("mV", 1.0), ("uV", 1000.0), ("V", 0.001)])
@pytest.mark.parametrize("suffix", [".hea", ".dat"])
def test_a_record_equals_what_wfdb_reads(tmp_path: Path, make_ecg, units: str, scale: float, suffix: str) -> None:
    header = write_wfdb(tmp_path, make_ecg(), [lead.upper() for lead in LEADS], units, scale)
    recording = read_ecg(header.with_suffix(suffix))
    expected = wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T / scale
    np.testing.assert_allclose(recording.signal, expected, rtol=1e-5)
    np.testing.assert_allclose(recording.signal, make_ecg().signal, atol=1e-4)
    assert recording.source == "wfdb"


def test_a_record_of_three_leads_is_refused(tmp_path: Path, make_ecg) -> None:
    assert "fewer than 12 leads" in refusal(write_wfdb(tmp_path, make_ecg(), ["I", "II", "III"]))


def test_a_record_without_its_signal_or_header_is_refused(tmp_path: Path, make_ecg) -> None:
    header = write_wfdb(tmp_path, make_ecg(), list(LEADS))
    header.with_suffix(".dat").rename(tmp_path / "elsewhere.dat")
    assert "lacks its signal" in refusal(header)
    assert "header" in refusal(tmp_path / "elsewhere.dat")


@pytest.mark.parametrize("name", ["/etc/hostname", "../record.dat", "http://127.0.0.1/x.dat", "s3://bucket/x.dat", "~"])
def test_a_header_cannot_point_outside_its_folder(tmp_path: Path, make_ecg, monkeypatch, name: str) -> None:
    header = write_wfdb(tmp_path, make_ecg(), list(LEADS))
    header.write_text(header.read_text().replace("record.dat", name))
    monkeypatch.setattr(socket, "socket", lambda *_args, **_kwargs: pytest.fail("the network was touched"))
    refusal(header)


def test_a_truncated_signal_file_is_refused(tmp_path: Path, make_ecg) -> None:
    signal_file = write_wfdb(tmp_path, make_ecg(), list(LEADS)).with_suffix(".dat")
    signal_file.write_bytes(signal_file.read_bytes()[:60_000])
    assert "truncated" in refusal(signal_file)


@a_few
@given(line=st.integers(0, 12), at=st.integers(0, 40), text=st.text(max_size=6))
def test_a_mangled_header_never_raises_anything_else(tmp_path: Path, make_ecg, line: int, at: int, text: str) -> None:
    header = write_wfdb(tmp_path, make_ecg(), list(LEADS))
    lines = header.read_text().splitlines()
    lines[line] = lines[line][:at] + text + lines[line][at + len(text) :]
    header.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    only_a_recording_or_a_reason(header)


# -- anything


def only_a_recording_or_a_reason(path: Path) -> None:
    try:
        assert read_ecg(path).signal.shape[0] == 12
    except UnreadableRecording as reason:
        assert reason.problem and reason.remedy and "\n" not in str(reason)


@a_few
@given(st.integers(0, 291_087))
def test_a_dicom_file_cut_anywhere_is_refused(bundled_ecg: Path, tmp_path: Path, length: int) -> None:
    (tmp_path / "cut.dcm").write_bytes(bundled_ecg.read_bytes()[:length])
    if length < 255_020:  # here the samples of the rhythm end
        refusal(tmp_path / "cut.dcm")
    else:
        only_a_recording_or_a_reason(tmp_path / "cut.dcm")


@a_few
@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=20))
def test_flipped_bytes_never_raise_anything_else(bundled_ecg: Path, tmp_path: Path, flips: list) -> None:
    data = bytearray(bundled_ecg.read_bytes())
    for at, value in flips:
        data[at] = value
    (tmp_path / "flipped.dcm").write_bytes(data)
    only_a_recording_or_a_reason(tmp_path / "flipped.dcm")


@a_few
@given(
    st.sampled_from([b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00", b"\x00" * 128 + b"DICM"]), st.binary(max_size=300)
)
def test_rubbish_is_refused(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    for name in ("rubbish", "rubbish.npy", "rubbish.dcm", "rubbish.hea", "rubbish.mat"):
        (tmp_path / name).write_bytes(magic + rest)
        refusal(tmp_path / name)


def test_a_truncated_array_is_refused(tmp_path: Path, make_ecg) -> None:
    buffer = io.BytesIO()
    np.save(buffer, make_ecg().signal)
    for length in (0, 3, 40, 127, 128, 5000, len(buffer.getvalue()) - 1):
        (tmp_path / "cut.npy").write_bytes(buffer.getvalue()[:length])
        refusal(tmp_path / "cut.npy")


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.npy", tmp_path, Path("nul\0byte")):
        with pytest.raises(UnreadableRecording, match="cannot be opened"):
            read_ecg(path)


# -- real recordings


@pytest.mark.real_data
def test_real_wfdb_records_equal_what_wfdb_reads(real_data: Path) -> None:
    headers = sorted((real_data / "ecg" / "wfdb_cinc2021").glob("*.hea"))
    headers += sorted((real_data / "ecg" / "wfdb_ptbxl").glob("*.hea"))
    assert len(headers) > 30
    for header in headers:
        record = wfdb.rdrecord(str(header.with_suffix("")))
        assert [name.lower() for name in record.sig_name] == [lead.lower() for lead in LEADS]
        np.testing.assert_allclose(read_ecg(header).signal, record.p_signal.T, rtol=1e-6)


@pytest.mark.real_data
def test_the_real_file_with_three_channels_is_refused(real_data: Path) -> None:
    assert "fewer than 12 leads" in refusal(real_data / "ecg" / "short_or_odd" / "100_3chan.hea")


@pytest.mark.real_data
def test_real_files_of_other_kinds_are_refused(real_data: Path) -> None:
    for folder in ("negatives", "echo", "ecg/labels"):
        files = [path for path in (real_data / folder).rglob("*") if path.is_file()]
        assert files
        for path in files:
            with pytest.raises(UnreadableRecording):
                read_ecg(path)
