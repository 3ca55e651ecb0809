"""Waveforms as PS3.3 C.10.9 (Waveform Module) has them: bytes in, samples in each channel's own unit out.

What stands before them, the patient's data and often hundreds of
annotations, is skipped without being parsed: it is most of pydicom's time on an ECG.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from pydicom.waveforms.numpy_handler import multiplex_array

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import elements

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_WAVEFORMS = 0x54000100
_CHANNELS = 0x003A0200


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
            "The DICOM file holds no waveform",
            "send a 12-lead ECG waveform object, not an image or a report",
            "no_waveform",
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
        raise UnreadableRecording(
            "The DICOM file is deflated", "export it uncompressed (Explicit VR Little Endian)", "encoding"
        )
    buffer = io.BytesIO(data)
    head = read_partial(buffer, stop_when=lambda *_: True)  # the file's own header only, nothing of the patient
    syntax = head.file_meta.get("TransferSyntaxUID")
    if syntax == ExplicitVRBigEndian:  # retired; pydicom does not swap the bytes of waveforms
        raise UnreadableRecording("The DICOM file is big-endian", "export it as Explicit VR Little Endian", "encoding")
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
        tag, length, value = elements.header(data, position)
        if tag == _WAVEFORMS:
            break
        position = elements.skip(data, position)
    else:
        return
    buffer, end = io.BytesIO(data), len(data) if length == elements.UNDEFINED else value + length
    while value + 8 <= end:
        position = value
        tag, length, value = elements.header(data, position)
        if tag != elements.ITEM:
            return
        buffer.seek(value)
        group = read_dataset(buffer, False, True, stop_when=lambda tag, _vr, _length: tag >= _CHANNELS)
        if _is_derived(group):
            value = elements.skip(data, position)
        else:
            rest = None if length == elements.UNDEFINED else value + length - buffer.tell()
            group.update(read_dataset(buffer, False, True, rest))
            value = buffer.tell()
        yield group
