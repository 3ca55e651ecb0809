"""SCP-ECG (EN 1064, ISO 11073-91064): sections of Huffman-coded differences, with or without a subtracted beat.

Section 0 says where the others are; 2 has the Huffman tables, 3 the leads, 4 where beats were subtracted, 5 the
reference beat, 6 the rhythm, 7 measurements, 8 statements. Section 1, the patient's data, is never looked at.

Rhythm decimated outside the QRS zones ("bimodal" compression of version 1 and 2) is refused: no recording with it was
found to check a decoder against, and the existing open ones call their own untested.
"""

import binascii
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.huffman import NO_TABLE, Table, decode, read_table
from chordae.preprocessing.ecg.recording import LEAD_CODES, EcgRecording, Signal, lead_index, stacked
from chordae.preprocessing.ecg.source import EcgFile

MAGIC = b"SCPECG"
MAGIC_OFFSET = 16
MAX_SAMPLES = 4 * 1024 * 1024
"""Of a lead: more than two hours at 500 Hz."""

_SECTION_HEADER = 16
_WAVES = struct.Struct("<HHBB")
_NOT_MEASURED = 29999


@dataclass(frozen=True)
class _Lead:
    """The number of a lead, and its first and last sample, counted from 1 (section 3)."""

    number: int
    first: int
    last: int

    @property
    def samples(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Waves:
    """Sections 5 and 6: nanovolts for one bit, microseconds for one sample, order of the differences, data by lead."""

    nanovolts: int
    microseconds: int
    order: int
    decimated: bool
    data: list[bytes]


def read_scp(file: EcgFile) -> EcgRecording:
    """The rhythm of an SCP-ECG file."""
    sections = _sections(file.data)
    for needed in (3, 6):
        if needed not in sections:
            raise UnreadableRecording(
                "The SCP-ECG file holds no rhythm", "export it with its rhythm data", "no_waveform"
            )
    flags, leads = _leads(sections[3])
    table = read_table(sections[2]) if 2 in sections else NO_TABLE
    waves = _waves(sections[6], len(leads))
    beat = _waves(sections[5], len(leads)) if 5 in sections else None
    if waves.decimated and (beat is None or beat.microseconds != waves.microseconds):
        raise UnreadableRecording(
            "The SCP-ECG file has a bimodally compressed rhythm, which cannot be read",
            "export it uncompressed",
            "encoding",
        )
    counts = [_integrated(decode(data, table, lead.samples), waves.order) for data, lead in
              zip(waves.data, leads, strict=True)]  # fmt: skip
    rhythm = [np.asarray(values * (waves.nanovolts * 1e-6), dtype=np.float64) for values in counts]
    if flags & 1:  # section 3: a reference beat was subtracted
        if beat is None or 4 not in sections or beat.microseconds != waves.microseconds:
            raise UnreadableRecording("The SCP-ECG file lacks its reference beat", "export it uncompressed", "damaged")
        _add_beats(rhythm, leads, sections[4], beat, table)
    channels: dict[int, Signal] = {}
    for lead, millivolts in zip(leads, rhythm, strict=True):
        index = lead_index(LEAD_CODES.get(lead.number, ""))
        if index is not None:
            channels.setdefault(index, millivolts.astype(np.float32))
    signal, remarks = stacked(channels)
    return EcgRecording(signal, 1e6 / waves.microseconds, "scp", remarks, _device(sections))


def _sections(data: bytes) -> dict[int, bytes]:
    """The content of every section, without its header, after the checksum of the record has been found right."""
    checksum, length = struct.unpack_from("<HI", data)
    if data[MAGIC_OFFSET : MAGIC_OFFSET + len(MAGIC)] != MAGIC:
        raise UnreadableRecording(
            "The file is not SCP-ECG as in EN 1064", "export it as standard SCP-ECG", "not_an_ecg"
        )
    if length > len(data):
        raise UnreadableRecording("The SCP-ECG file is truncated", "export or copy it again", "damaged")
    if binascii.crc_hqx(data[2:length], 0xFFFF) != checksum:  # CRC-CCITT, EN 1064 section 5.2.7
        raise UnreadableRecording(
            "The SCP-ECG file is damaged: its checksum is wrong", "export or copy it again", "damaged"
        )
    sections = {}
    (pointers_end,) = struct.unpack_from("<I", data, 6 + 4)
    for at in range(6 + _SECTION_HEADER, min(6 + pointers_end, length - 9), 10):
        number, size, index = struct.unpack_from("<HII", data, at)
        if size > _SECTION_HEADER and 0 < index <= length - size + 1:
            sections[number] = data[index - 1 + _SECTION_HEADER : index - 1 + size]
    return sections


def _leads(section: bytes) -> tuple[int, list[_Lead]]:
    count, flags = section[0], section[1]
    leads = [
        _Lead(number, first, last) for first, last, number in struct.iter_unpack("<IIB", section[2 : 2 + 9 * count])
    ]
    if not all(0 < lead.samples <= MAX_SAMPLES for lead in leads):
        raise UnreadableRecording("The SCP-ECG file has a lead of impossible length", "export it again", "damaged")
    if len({(lead.first, lead.last) for lead in leads}) > 1:
        raise UnreadableRecording(
            "The leads of the recording differ in length",
            "send a recording with all leads taken at the same time",
            "leads_differ",
        )
    return flags, leads


def _waves(section: bytes, leads: int) -> _Waves:
    nanovolts, microseconds, order, compressed = _WAVES.unpack_from(section)
    if not (nanovolts and microseconds and order <= 2):
        raise UnreadableRecording("The SCP-ECG file does not say its scale", "export it again", "unknown_scale")
    lengths = struct.unpack_from(f"<{leads}H", section, _WAVES.size)
    data, at = [], _WAVES.size + 2 * leads
    for length in lengths:
        data.append(section[at : at + length])
        at += length
    return _Waves(nanovolts, microseconds, order, bool(compressed & 1), data)


def _integrated(values: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Undo differences of order 0, 1 or 2; the first one or two values are samples (EN 1064 section 5.8.3)."""
    if order == 0:
        return values
    if order == 1:
        return np.cumsum(values)
    slopes = np.cumsum(np.concatenate([values[1:2] - values[:1], values[2:]]))
    return np.concatenate([values[:1], values[0] + np.cumsum(slopes)])


def _add_beats(rhythm: list[NDArray[np.float64]], leads: list[_Lead], where: bytes, beat: _Waves, table: Table) -> None:
    """Add the reference beat where it was subtracted: at every QRS of type 0, aligned by the fiducial (section 4)."""
    milliseconds, fiducial, count = struct.unpack_from("<HHH", where)
    samples = round(milliseconds * 1000 / beat.microseconds)
    zones = list(struct.iter_unpack("<HIII", where[6 : 6 + 14 * count]))
    for values, lead, data in zip(rhythm, leads, beat.data, strict=True):
        reference = _integrated(decode(data, table, samples), beat.order) * (beat.nanovolts * 1e-6)
        for kind, first, centre, last in zones:
            if kind:
                continue
            start, stop = max(first, lead.first), min(last, lead.last)
            offset = fiducial - centre + start - 1  # all are counted from 1
            part = reference[max(offset, 0) : max(offset + stop - start + 1, 0)]
            begin = start - lead.first + max(-offset, 0)
            values[begin : begin + len(part)] += part


def _device(sections: dict[int, bytes]) -> DeviceReport:
    """Section 7: the mean RR interval, onsets and ends of the reference beat's waves. Section 8: statements."""
    measured: dict[str, str | float | None] = {}
    section = sections.get(7, b"")
    if len(section) >= 22 and section[0]:
        rr, _, p_on, _, qrs_on, qrs_off, t_off, p_axis, qrs_axis, t_axis = struct.unpack_from("<7H3h", section, 2)
        known = {value for value in (p_on, qrs_on, qrs_off, t_off) if value < _NOT_MEASURED}
        measured = {
            "heart_rate_bpm": 60_000 / rr if 0 < rr < _NOT_MEASURED else None,
            "pr_ms": qrs_on - p_on if {p_on, qrs_on} <= known else None,
            "qrs_ms": qrs_off - qrs_on if {qrs_on, qrs_off} <= known else None,
            "qt_ms": t_off - qrs_on if {qrs_on, t_off} <= known else None,
            "p_axis_deg": p_axis,
            "qrs_axis_deg": qrs_axis,
            "t_axis_deg": t_axis,
        }
    return device_report(_statements(sections.get(8, b"")), measured)


def _statements(section: bytes) -> list[str]:
    texts, at = [], 9
    for _ in range(section[8] if len(section) > 8 else 0):
        if at + 3 > len(section):
            break
        (length,) = struct.unpack_from("<H", section, at + 1)
        texts.append(section[at + 3 : at + 3 + length].decode("latin-1").replace("\0", " "))
        at += 3 + length
    return texts
