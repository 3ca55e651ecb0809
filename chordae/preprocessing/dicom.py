"""The only module that imports pydicom: DICOM bytes in, plain values out, and never a patient's.

Waveforms follow PS3.3 C.10.9 (Waveform Module). What stands before them, the patient's data and often hundreds of
annotations, is skipped without being parsed: it is most of pydicom's time on an ECG.
"""

import io
import logging
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pydicom.config
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from pydicom.waveforms.numpy_handler import multiplex_array

from chordae.platform.errors import UnreadableRecording

# Wrong values become our own errors; pydicom's warnings and log would quote them, and they may name a patient.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\b")

MAGIC = b"DICM"
MAGIC_OFFSET = 128

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_WAVEFORMS = 0x54000100
_CHANNELS = 0x003A0200
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_HEADER, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<L")
_LONG_LENGTH_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


@dataclass(frozen=True)
class Channel:
    """What a channel is, in the file's own words; `unit` is a UCUM code, empty where the file names none."""

    code: str
    meaning: str
    unit: str


@dataclass(frozen=True)
class WaveformGroup:
    """One multiplex group: samples (channels, N) in each channel's own unit, `rate` in Hz, padding as NaN."""

    samples: NDArray[np.float32]
    rate: float
    channels: tuple[Channel, ...]


def read_waveforms(data: bytes) -> list[WaveformGroup]:
    """The multiplex groups of a DICOM file; the derived ones, such as a median beat, only where nothing else is there.

    Raises UnreadableRecording when the file has none, and pydicom's own errors when it is damaged.
    """
    dataset = _waveform_dataset(data)
    if not dataset.get("WaveformSequence"):
        raise UnreadableRecording(
            "The DICOM file holds no waveform", "send a 12-lead ECG waveform object, not an image or a report"
        )
    groups = range(len(dataset.WaveformSequence))
    recorded = [index for index in groups if not _is_derived(dataset.WaveformSequence[index])]
    return [_group(dataset, index) for index in recorded or groups]


def _is_derived(group: Dataset) -> bool:
    return str(group.get("WaveformOriginality")) == "DERIVED"


def _group(dataset: Dataset, index: int) -> WaveformGroup:
    group = dataset.WaveformSequence[index]
    raw = multiplex_array(dataset, index, as_raw=True)
    definitions = list(group.ChannelDefinitionSequence)
    if len(definitions) != raw.shape[1]:
        raise ValueError("as many channel definitions as channels are required")
    # PS3.3 C.10.9.1.4: value = sample x sensitivity x correction factor + baseline, in sensitivity units.
    scale = [
        _number(d, "ChannelSensitivity", 1) * _number(d, "ChannelSensitivityCorrectionFactor", 1) for d in definitions
    ]
    baseline = [_number(d, "ChannelBaseline", 0) for d in definitions]
    samples = np.ascontiguousarray(raw.T, dtype=np.float32)
    samples *= np.array(scale, dtype=np.float32)[:, np.newaxis]
    samples += np.array(baseline, dtype=np.float32)[:, np.newaxis]
    padding = _padding(group, raw.dtype)
    if padding is not None:
        samples[padding == raw.T] = np.nan
    return WaveformGroup(
        samples=samples,
        rate=float(group.SamplingFrequency),
        channels=tuple(map(_channel, definitions)),
    )


def _number(definition: Dataset, keyword: str, default: float) -> float:
    value = definition.get(keyword)
    return default if value is None else float(value)


def _padding(group: Dataset, dtype: np.dtype[np.generic]) -> int | None:
    """The padding value where it is the type's lowest; some writers declare 0, which is a voltage."""
    value = group.get("WaveformPaddingValue")
    if not isinstance(value, bytes) or len(value) < dtype.itemsize or not np.issubdtype(dtype, np.signedinteger):
        return None
    padding = int(np.frombuffer(value[: dtype.itemsize], dtype=dtype)[0])
    return padding if padding == np.iinfo(dtype.type).min else None  # type: ignore[type-var]


def _channel(definition: Dataset) -> Channel:
    sources = definition.get("ChannelSourceSequence")
    source = sources[0] if sources else Dataset()
    units = definition.get("ChannelSensitivityUnitsSequence") if "ChannelSensitivity" in definition else None
    return Channel(
        code=str(source.get("CodeValue", "")),
        meaning=str(source.get("CodeMeaning") or definition.get("ChannelLabel") or ""),
        unit=str(units[0].get("CodeValue", "")) if units else "",
    )


def _waveform_dataset(data: bytes) -> Dataset:
    """The dataset, reduced to its waveforms where the encoding allows reading them alone."""
    if _DEFLATED in data:  # a small file may unpack to any size
        raise UnreadableRecording("The DICOM file is deflated", "export it uncompressed (Explicit VR Little Endian)")
    buffer = io.BytesIO(data)
    head = read_partial(buffer, stop_when=lambda *_: True)  # the file's own header only, nothing of the patient
    syntax = head.file_meta.get("TransferSyntaxUID")
    if syntax == ExplicitVRBigEndian:  # retired; pydicom does not swap the bytes of waveforms
        raise UnreadableRecording("The DICOM file is big-endian", "export it as Explicit VR Little Endian")
    if syntax == ExplicitVRLittleEndian:
        groups = [group for group in _groups(data, buffer.tell()) if not _is_derived(group)]
        if groups:
            dataset = Dataset()
            dataset.WaveformSequence = groups
            return dataset
    return pydicom.dcmread(io.BytesIO(data))


def _groups(data: bytes, position: int) -> Iterator[Dataset]:
    """The multiplex groups behind `position`, explicit VR, little endian; of derived ones only the start."""
    while position + 8 <= len(data):
        tag, length, value = _header(data, position)
        if tag == _WAVEFORMS:
            break
        position = _skip(data, position)
    else:
        return
    buffer, end = io.BytesIO(data), len(data) if length == _UNDEFINED else value + length
    while value + 8 <= end:
        position = value
        tag, length, value = _header(data, position)
        if tag != _ITEM:
            return
        buffer.seek(value)
        group = read_dataset(buffer, False, True, stop_when=lambda tag, _vr, _length: tag >= _CHANNELS)
        if _is_derived(group):
            value = _skip(data, position)
        else:
            rest = None if length == _UNDEFINED else value + length - buffer.tell()
            group.update(read_dataset(buffer, False, True, rest))
            value = buffer.tell()
        yield group


def _skip(data: bytes, position: int) -> int:
    """The offset behind the element or item at `position`; sequences of undefined length (PS3.5 7.5) too."""
    depth = 0
    while True:
        tag, length, position = _header(data, position)
        if tag in (_ITEM_END, _SEQUENCE_END):
            depth -= 1
        elif length == _UNDEFINED:
            depth += 1
        else:
            position += length
        if depth <= 0:
            return position


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """Tag, length and offset of the value of what stands at `position` (PS3.5 section 7.1.2)."""
    group, element, vr, length = _HEADER.unpack_from(data, position)
    tag = group << 16 | element
    if group == 0xFFFE:  # items and delimiters have no VR, but four bytes of length
        return tag, _LENGTH.unpack_from(data, position + 4)[0], position + 8
    if vr in _LONG_LENGTH_VRS:
        return tag, _LENGTH.unpack_from(data, position + 8)[0], position + 12
    return tag, length, position + 8


def bundled_ecg() -> Path:
    """The real 12-lead ECG that pydicom ships, for the demonstration and for tests."""
    return Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
