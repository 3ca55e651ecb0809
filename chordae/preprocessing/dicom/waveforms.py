"""Waveforms as PS3.3 C.10.9 (Waveform Module) has them: bytes in, samples in each channel's own unit out.

The file is walked over, not parsed: what stands before the waveforms, the patient's data and often hundreds of
annotations, is most of a parser's time on an ECG, and none of our business.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.archive import Buffer
from chordae.preprocessing.dicom import elements
from chordae.preprocessing.dicom.instance import dataset_start
from chordae.preprocessing.dicom.nested import Span, fields, items, span, text

_WAVEFORMS = 0x54000100
_ORIGINALITY, _CHANNEL_COUNT, _SAMPLE_COUNT, _RATE, _CHANNELS = (
    0x003A0004,
    0x003A0005,
    0x003A0010,
    0x003A001A,
    0x003A0200,
)
_LABEL, _SOURCE, _SENSITIVITY, _UNITS, _CORRECTION, _BASELINE = (
    *(0x003A0203, 0x003A0208, 0x003A0210),
    *(0x003A0211, 0x003A0212, 0x003A0213),
)
_INTERPRETATION, _PADDING, _DATA = 0x54001006, 0x5400100A, 0x54001010
_CODE, _MEANING = 0x00080100, 0x00080104
_TYPES = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
"""Waveform Sample Interpretation, PS3.3 C.10.9.1.5; the two companded ones are not for ECGs."""


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


def read_waveforms(data: Buffer) -> list[WaveformGroup]:
    """The multiplex groups of a DICOM file; the derived ones, such as a median beat, only where nothing else is there.

    Raises:
        UnreadableRecording: the file has none, or an encoding that is not read here.
        ValueError, struct.error: it is damaged.
    """
    _, position, implicit = dataset_start(data)
    found = elements.scan(data, position, implicit, {_WAVEFORMS}, _WAVEFORMS)
    if _WAVEFORMS not in found:
        raise _no_waveform()
    groups = [fields(data, item, implicit) for item in items(data, span(data, *found[_WAVEFORMS]), implicit)]
    recorded = [group for group in groups if text(data, group, _ORIGINALITY) != "DERIVED"]
    if not groups:
        raise _no_waveform()
    return [_group(data, group, implicit) for group in recorded or groups]


def _no_waveform() -> UnreadableRecording:
    return UnreadableRecording(
        "The DICOM file holds no waveform",
        "send a 12-lead ECG waveform object, not an image or a report",
        "no_waveform",
    )


def _group(data: Buffer, group: dict[int, Span], implicit: bool) -> WaveformGroup:
    raw = _samples(data, group)
    definitions = [fields(data, item, implicit) for item in items(data, group[_CHANNELS], implicit)]
    if len(definitions) != raw.shape[1]:
        raise ValueError("as many channel definitions as channels are required")
    # PS3.3 C.10.9.1.4: value = sample x sensitivity x correction factor + baseline, in sensitivity units.
    scale = [_number(data, d, _SENSITIVITY, 1) * _number(data, d, _CORRECTION, 1) for d in definitions]
    baseline = [_number(data, d, _BASELINE, 0) for d in definitions]
    samples = np.ascontiguousarray(raw.T, dtype=np.float32)
    samples *= np.array(scale, dtype=np.float32)[:, np.newaxis]
    samples += np.array(baseline, dtype=np.float32)[:, np.newaxis]
    padding = _padding(data, group, raw.dtype)
    if padding is not None:
        samples[padding == raw.T] = np.nan
    return WaveformGroup(
        samples=samples,
        rate=float(text(data, group, _RATE)),
        channels=tuple(_channel(data, definition, implicit) for definition in definitions),
    )


def _samples(data: Buffer, group: dict[int, Span]) -> NDArray[np.generic]:
    """(N, channels) as stored: a view of the file (PS3.3 C.10.9.1.5: one sample of all channels after the other)."""
    dtype = np.dtype(_TYPES[text(data, group, _INTERPRETATION)])
    channels, count = _integer(data, group, _CHANNEL_COUNT, "<H"), _integer(data, group, _SAMPLE_COUNT, "<L")
    start, end = group[_DATA]
    if not channels or not count or channels * count * dtype.itemsize > min(end, len(data)) - start:
        raise ValueError("fewer samples than the header says")
    return np.frombuffer(data, dtype, channels * count, start).reshape(count, channels)


def _integer(data: Buffer, found: dict[int, Span], tag: int, form: str) -> int:
    start, end = found[tag]
    return int(struct.unpack(form, data[start:end])[0])


def _number(data: Buffer, definition: dict[int, Span], tag: int, default: float) -> float:
    written = text(data, definition, tag)
    return float(written) if written else default


def _padding(data: Buffer, group: dict[int, Span], dtype: np.dtype[np.generic]) -> int | None:
    """The padding value where it is the type's lowest; some writers declare 0, which is a voltage."""
    start, end = group.get(_PADDING, (0, 0))
    if end - start < dtype.itemsize or not np.issubdtype(dtype, np.signedinteger):
        return None
    padding = int(np.frombuffer(data[start : start + dtype.itemsize], dtype=dtype)[0])
    return padding if padding == np.iinfo(dtype.type).min else None  # type: ignore[type-var]


def _channel(data: Buffer, definition: dict[int, Span], implicit: bool) -> Channel:
    source = _first(data, definition, _SOURCE, implicit)
    units = _first(data, definition, _UNITS, implicit) if _SENSITIVITY in definition else {}
    return Channel(
        code=text(data, source, _CODE),
        meaning=text(data, source, _MEANING) or text(data, definition, _LABEL),
        unit=text(data, units, _CODE),
    )


def _first(data: Buffer, found: dict[int, Span], tag: int, implicit: bool) -> dict[int, Span]:
    """The elements of a sequence's first item; none where it has none."""
    first = next(items(data, found[tag], implicit), None) if tag in found else None
    return fields(data, first, implicit) if first else {}
