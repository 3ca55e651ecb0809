"""MATLAB files: a (12, N) array under any name, or as a field of a structure, as in CPSC2018 (`ECG.data`).

Version 5 and 4 files (MathWorks, "MAT-File Format"), numbers and one level of structures only, read here rather than by
SciPy: its reader crashes the process on deeply nested cells and takes gigabytes for a hundred bytes that declare many.
Neither rate nor unit is in the file: 500 Hz is assumed unless a number called `fs` or the like says otherwise, and
the unit is what makes the voltages plausible. Both assumptions are flagged.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg.recording import LEADS, EcgRecording
from chordae.preprocessing.ecg.source import EcgFile

MAGIC = b"MATLAB 5.0 MAT-file"
HDF5_MAGIC = b"MATLAB 7.3 MAT-file"
ASSUMED_RATE = 500.0
MAX_UNPACKED = 256 * 1024 * 1024

_RATE_NAMES = {"fs", "freq", "frequency", "samplerate", "sample_rate", "samplingrate", "sampling_rate"}
_MV_RANGE, _UV_RANGE = (0.05, 20.0), (50.0, 20_000.0)
"""What 98 % of a lead's samples span, median over leads: 0.2 to 3 mV in real recordings, flat to paced."""

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCTURE, _NUMERIC = 2, range(6, 16)
_V4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")

Array = NDArray[np.generic]


def read_matlab(file: EcgFile) -> EcgRecording:
    """The one 12-lead array of a MATLAB file, in mV."""
    if file.data.startswith(HDF5_MAGIC):
        raise UnreadableRecording("The MATLAB file has version 7.3", "save it with the option -v7", "encoding")
    arrays = dict(_version_5(file.data) if file.data.startswith(MAGIC) else _version_4(file.data))
    found = [array for array in arrays.values() if array.ndim == 2 and array.shape[0] == len(LEADS) < array.shape[1]]
    if len(found) != 1:
        transposed = any(array.ndim == 2 and array.shape[1] == len(LEADS) for array in arrays.values())
        raise UnreadableRecording(
            f"The MATLAB file has {'more than one' if found else 'no'} array of shape (12, N)",
            "transpose it" if transposed and not found else "save the 12 leads of one recording as rows of one array",
            "missing_leads",
        )
    with np.errstate(over="ignore"):  # what does not fit a float32 becomes infinite and is refused as such
        signal = np.ascontiguousarray(found[0], dtype=np.float32)
    stated = [float(array.flat[0]) for name, array in arrays.items()
              if name.rpartition(".")[2].lower() in _RATE_NAMES and array.size == 1]  # fmt: skip
    factor, unit = _unit(signal)
    rate = stated[0] if stated else ASSUMED_RATE
    flag = f"assumed:{unit}" if stated else f"assumed:{unit},{ASSUMED_RATE:.0f}Hz"
    return EcgRecording(signal * np.float32(factor), rate, "matlab", (flag,))


def _unit(signal: NDArray[np.float32]) -> tuple[float, str]:
    """Millivolts or microvolts (the usual 1000 counts a millivolt are the same), by what is plausible for a heart."""
    low, high = np.percentile(signal[:, :: max(1, signal.shape[1] // 4000)], [1, 99], axis=1)
    span = float(np.median(high - low))
    if _MV_RANGE[0] <= span <= _MV_RANGE[1]:
        return 1.0, "mV"
    if _UV_RANGE[0] <= span <= _UV_RANGE[1]:
        return 1e-3, "uV"
    raise UnreadableRecording(
        "The voltages of the MATLAB file are neither millivolts nor microvolts",
        "convert the samples to millivolts",
        "unknown_scale",
    )


def _version_5(data: bytes) -> Iterator[tuple[str, Array]]:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise UnreadableRecording("The MATLAB file is damaged or truncated", "save or copy it again", "damaged")
    at, left = 128, MAX_UNPACKED
    while at + 8 <= len(data):
        kind, content, at = _element(data, at, order)
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(content, left)
            left -= len(unpacked)
            if unpacker.unconsumed_tail or left <= 0:
                raise UnreadableRecording(
                    "The MATLAB file is too large for an ECG", "save the recording alone", "too_large"
                )
            kind, content, _ = _element(unpacked, 0, order)
        if kind == _MATRIX:
            yield from _matrix(content, order, deeper=True)


def _element(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type, content and the offset behind an element; up to four bytes share the eight of the tag."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:
        return kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)], at + 8
    start = at + 8
    if size > len(data) - start:
        raise UnreadableRecording("The MATLAB file is damaged or truncated", "save or copy it again", "damaged")
    return kind, data[start : start + size], start + size + (0 if kind == _COMPRESSED else -size % 8)


def _matrix(data: bytes, order: str, deeper: bool) -> Iterator[tuple[str, Array]]:
    """A numeric array, or those of a structure; anything else is passed over."""
    _, flags, at = _element(data, 0, order)
    _, raw, at = _element(data, at, order)
    shape = [max(size, 0) for size in np.frombuffer(raw, dtype=f"{order}i4").tolist()]
    _, name, at = _element(data, at, order)
    kind = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    label = name.decode("latin-1")
    if kind in _NUMERIC:
        stored, raw, _ = _element(data, at, order)
        if stored in _TYPES:
            values = np.frombuffer(raw, dtype=order + _TYPES[stored])
            yield label, values.reshape(shape, order="F")
    elif kind == _STRUCTURE and deeper and shape == [1, 1]:
        _, length, at = _element(data, at, order)
        (width,) = struct.unpack(f"{order}i", length)
        _, names, at = _element(data, at, order)
        for start in range(0, len(names), max(width, 1)):
            kind, content, at = _element(data, at, order)
            field = names[start : start + width].split(b"\0")[0].decode("latin-1")
            if kind == _MATRIX and content:
                yield from ((f"{label}.{field}", array) for _, array in _matrix(content, order, deeper=False))


def _version_4(data: bytes) -> Iterator[tuple[str, Array]]:
    """Version 4 has no mark of its own: every matrix starts with five integers that must make sense."""
    at = 0
    while at + 20 <= len(data):
        order = "<" if struct.unpack_from("<I", data, at)[0] < 5000 else ">"
        kind, rows, columns, imaginary, name_length = struct.unpack_from(f"{order}5I", data, at)
        thousands, precision = divmod(kind, 100)
        if thousands not in (0, 10) or precision % 10 or precision // 10 >= len(_V4_TYPES) or imaginary > 1:
            raise UnreadableRecording("The file is not a MATLAB file", "save it with the option -v7", "not_an_ecg")
        dtype = np.dtype(order + _V4_TYPES[precision // 10])
        start = at + 20 + name_length
        size = rows * columns * dtype.itemsize
        if not 0 < name_length <= 64 or size > len(data) - start:
            raise UnreadableRecording("The MATLAB file is damaged or truncated", "save or copy it again", "damaged")
        name = data[at + 20 : start - 1].decode("latin-1")
        yield name, np.frombuffer(data[start : start + size], dtype=dtype).reshape((rows, columns), order="F")
        at = start + size * (1 + imaginary)
