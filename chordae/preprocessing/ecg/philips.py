"""Philips ECG XML ("SierraECG" 1.03, "PhilipsECG" 1.04 and 1.04.01), raw or XLI-compressed.

XLI, as worked out by the Sierra ECG Tools (github.com/sixlettervariables/sierra-ecg-tools, MIT): every lead is LZW with
10-bit codes, over the high bytes of all samples and then the low bytes, over second differences; and III, aVR, aVL and
aVF are what remains after predicting them from I and II. That project's Python package decodes the same, and the tests
compare with it; it takes 0.2 s a file, thirty times as long, and cannot read uncompressed ones.
"""

import base64
import struct
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import xmlfile
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.recording import LEADS, EcgRecording, lead_index, stacked
from chordae.preprocessing.ecg.source import EcgFile

ROOT = "restingecgdata"
VERSIONS = {"1.03", "1.04", "1.04.01", "1.04.02"}

_CODE_BITS = 10
_LAST_CODE = (1 << _CODE_BITS) - 2
_CHUNK = struct.Struct("<ixxh")
_LITERALS = [bytes([value]) for value in range(256)]
_MOST_BYTES = 8 * 1024 * 1024
"""Of one unpacked lead: two hours at 500 Hz. LZW can make a thousandfold of a file."""

_MEASUREMENTS = {
    "heart_rate_bpm": ("heartrate",),
    "pr_ms": ("print", "meanprint"),
    "qrs_ms": ("qrsdur", "meanqrsdur"),
    "qt_ms": ("qtint", "meanqtint"),
    "qtc_ms": ("qtcb", "meanqtc"),
    "p_axis_deg": ("pfrontaxis",),
    "qrs_axis_deg": ("qrsfrontaxis",),
    "t_axis_deg": ("tfrontaxis",),
}


def read_philips(file: EcgFile) -> EcgRecording:
    """The recorded leads of a Philips export; the calibration pulse at their end stays for `clean` to cut."""
    root = xmlfile.parse(file.data)
    if xmlfile.text_of(root, "documentinfo/documentversion") not in VERSIONS:
        raise UnreadableRecording(
            "The Philips file has an unknown version", "export it as version 1.03 or 1.04", "encoding"
        )
    parsed = root.find(".//parsedwaveforms")
    details = root.find(".//signalcharacteristics")
    if parsed is None or details is None:
        raise UnreadableRecording("The Philips file holds no waveforms", "export it with its waveforms", "no_waveform")
    if parsed.get("dataencoding") != "Base64":
        raise UnreadableRecording(
            "The Philips file has waveforms in another encoding than base64", "export it again", "encoding"
        )
    rate = xmlfile.positive(details.findtext("samplingrate"), "sampling rate")
    # 1.03 and 1.04 name it differently; both mean microvolts for one bit.
    microvolts = xmlfile.positive(details.findtext("signalresolution") or details.findtext("resolution"), "resolution")
    samples = round(xmlfile.positive(parsed.get("durationperchannel"), "duration") * rate / 1000)
    counts = dict(zip(_labels(parsed), _channels(parsed, base64.b64decode(parsed.text or ""), samples), strict=False))
    scale = np.float32(microvolts / 1000)
    leads = {lead: values * scale for name, values in counts.items() if (lead := lead_index(name)) is not None}
    signal, flags = stacked(leads)
    return EcgRecording(signal, rate, "philips", flags, _device(root))


def _labels(parsed: Element) -> list[str]:
    """1.04 names the channels; 1.03 has the twelve leads in their order."""
    return (parsed.get("leadlabels") or " ".join(LEADS)).split()


def _channels(parsed: Element, data: bytes, samples: int) -> list[NDArray[np.int64]]:
    method = parsed.get("compressmethod") or parsed.get("compression") or "Uncompressed"
    if method == "XLI":
        channels = list(_decompressed(data, samples))
        return _from_residuals(channels)
    if method != "Uncompressed":
        raise UnreadableRecording(
            "The Philips file is compressed in an unknown way", "export it with XLI or without", "encoding"
        )
    rows = np.frombuffer(data[: len(data) // (2 * samples) * 2 * samples], dtype="<i2").reshape(-1, samples)
    return list(rows.astype(np.int64))


def _from_residuals(channels: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    if len(channels) < 6:
        raise UnreadableRecording("The Philips file lacks leads", "export or copy it again", "damaged")
    one, two, *rest = channels
    three = two - one - rest[0]
    limb = [three, -rest[1] - (one + two) // 2, (one - three) // 2 - rest[2], (two + three) // 2 - rest[3]]
    return [one, two, *limb, *channels[6:]]


def _decompressed(data: bytes, samples: int) -> Iterator[NDArray[np.int64]]:
    """The channels of XLI: each has a length, two bytes of no use here, and the first difference."""
    at = 0
    while at + _CHUNK.size <= len(data):
        length, first = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if not 0 < length <= len(data) - at:
            raise UnreadableRecording("The Philips file is damaged or truncated", "export or copy it again", "damaged")
        packed = _lzw(data[at : at + length])
        if len(packed) < 2 * samples:
            raise UnreadableRecording("The Philips file lacks samples of a lead", "export or copy it again", "damaged")
        yield _integrated(packed, samples, first)
        at += length


def _integrated(packed: bytes, samples: int, first: int) -> NDArray[np.int64]:
    """From high bytes and low bytes of second differences to samples, modulo 16 bits as the device computed."""
    planes = np.frombuffer(packed, dtype=np.uint8).astype(np.int64)
    half = len(planes) // 2
    values = (planes[:half] << 8 | planes[half : 2 * half]).astype(np.int16).astype(np.int64)
    # The first two values are samples; from then on x[n] = 2 x[n-1] - x[n-2] - e[n], where e[2] is `first` and
    # e[n+1] the stored value less 64: a double sum.
    errors = np.concatenate([[first], values[2:-1] - 64])
    slopes = values[1] - values[0] - np.concatenate([[0], np.cumsum(errors)])
    whole = values[0] + np.concatenate([[0], np.cumsum(slopes)])
    return np.asarray(whole[:samples].astype(np.int16), dtype=np.int64)


def _lzw(data: bytes) -> bytes:
    """LZW with a table that stays as it is once full. Raises ValueError for a code that cannot be, or for too much."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    codes = bits[: len(bits) // _CODE_BITS * _CODE_BITS].reshape(-1, _CODE_BITS)
    table, pieces, previous, length = list(_LITERALS), list[bytes](), b"", 0
    for code in (codes @ (1 << np.arange(_CODE_BITS)[::-1])).tolist():
        if code > _LAST_CODE:
            break
        if code < len(table):
            piece = table[code]
        elif code == len(table) and previous:
            piece = previous + previous[:1]
        else:
            raise ValueError("a code before its string")
        if previous and len(table) <= _LAST_CODE:
            table.append(previous + piece[:1])
        pieces.append(piece)
        length += len(piece)
        if length > _MOST_BYTES:
            raise ValueError("a lead of several hours")
        previous = piece
    return b"".join(pieces)


def _device(root: Element) -> DeviceReport:
    """Statements of the analysis program; edited ones, the signature line and the clinician are left alone."""
    interpretation = root.find(".//interpretation")
    if interpretation is None:
        return DeviceReport()
    statements = [xmlfile.text_of(interpretation, "severity")]
    for part in interpretation.iterfind("statement"):
        if part.get("editedflag", "False") != "True":
            sides = [xmlfile.text_of(part, name) for name in ("leftstatement", "rightstatement")]
            statements.append(", ".join(side for side in sides if side))
    measured = interpretation.find("globalmeasurements")
    if measured is None:
        measured = interpretation.find("interpretationmeasurements")
    values = {
        field: next(filter(None, (xmlfile.text_of(measured, name) for name in names)), None)
        for field, names in _MEASUREMENTS.items()
    }
    return device_report(statements, values)
