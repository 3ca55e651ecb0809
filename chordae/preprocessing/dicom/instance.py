"""One DICOM object: an allow-list of its header's values, whose it is, and where its pixels lie.

Headers are scanned rather than parsed (`elements`); sequences are parsed by pydicom when somebody asks for one.
"""

import io
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.archive import Buffer
from chordae.preprocessing.dicom import elements
from chordae.preprocessing.dicom.elements import UNDEFINED

Value = tuple[str | float, ...]

IDENTIFIERS = (
    *("PatientID", "PatientName", "PatientBirthDate"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
)
"""Read to keep patients and studies apart; never given out as they are."""

ALLOWED = (
    *("SOPClassUID", "Modality", "Manufacturer", "SeriesDescription", "ProtocolName", "StudyDescription"),
    *("BodyPartExamined", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions"),
    *("MRAcquisitionType", "SequenceName", "PulseSequenceName", "EchoTime", "InversionTime", "TriggerTime"),
    *("NominalInterval", "CardiacNumberOfImages", "HeartRate", "TemporalPositionIdentifier"),
    *("AcquisitionNumber", "SeriesNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "PlanarConfiguration", "NumberOfFrames", "RescaleSlope", "RescaleIntercept"),
    *("FrameTime", "FrameTimeVector", "CineRate", "RWaveTimeVector", "StartTrim", "StopTrim", "TransducerData"),
    *("TransducerType", "ContrastBolusAgent", "EchoPulseSequence", "SteadyStatePulseSequence"),
    *("InversionRecovery", "PhaseContrast", "CardiacSynchronizationTechnique", "RequestedProcedureDescription"),
    *("PositionReferenceIndicator",),
)
"""Keywords (PS3.6) whose values this project uses; all else in a header stays unread."""

_SEQUENCES = ("SequenceOfUltrasoundRegions", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_KEYWORDS = {int(tag_for_keyword(keyword) or 0): keyword for keyword in (*IDENTIFIERS, *ALLOWED, *_SEQUENCES)}
_BINARY = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_VRS = {keyword: dictionary_VR(tag) for tag, keyword in _KEYWORDS.items()}
_PIXEL_DATA = 0x7FE00010
MAX_FRAMES = 20_000
"""Ten minutes of ultrasound; what claims more is damaged."""
_META_LENGTH, _SYNTAX = b"\x02\x00\x00\x00UL\x04\x00", b"\x02\x00\x10\x00UI"


@dataclass(frozen=True)
class Instance:
    """One object. `values` by keyword, multiplicity kept; `frame_values` for the frames of enhanced objects."""

    syntax: str
    implicit: bool
    values: Mapping[str, Value]
    identifiers: Mapping[str, Value] = field(repr=False)
    data: Buffer = field(repr=False)
    pixels: tuple[int, int] | None = field(repr=False)
    """Offset and length (or UNDEFINED, where encapsulated) of the pixel data."""
    _sequences: Mapping[str, tuple[int, int]] = field(repr=False)

    def text(self, keyword: str) -> str:
        """The value, several joined by a backslash as in the file; empty where there is none."""
        return "\\".join(str(value) for value in self.values.get(keyword, ()))

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """The values as numbers; what is not a finite one is left out."""
        return tuple(v for v in self.values.get(keyword, ()) if isinstance(v, float) and math.isfinite(v))

    def number(self, keyword: str) -> float | None:
        """The first value as a finite number, if there is one."""
        for value in self.values.get(keyword, ()):
            if isinstance(value, float) and math.isfinite(value):
                return value
        return None

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return max(1, int(self.number("NumberOfFrames") or 1))

    def sequence(self, keyword: str) -> list[Dataset]:
        """The items of a sequence, parsed by pydicom; empty where there is none."""
        if keyword not in self._sequences:
            return []
        start, length = self._sequences[keyword]
        implicit, vr = self.implicit, (() if self.implicit else (b"SQ", 0))
        if length == UNDEFINED:
            length = _end_of_sequence(self.data, start, implicit) - start
        head = struct.pack("<HHL" if implicit else "<HH2sHL", *_split(keyword), *vr, length)
        parsed = read_dataset(io.BytesIO(head + self.data[start : start + length]), implicit, True)
        return list(parsed.get(keyword) or ())

    @cached_property
    def frame_values(self) -> tuple[Mapping[str, Value], ...]:
        """The values of each frame: of an enhanced object (PS3.3 C.7.6.16) with its functional groups' laid over."""
        per_frame = self.sequence("PerFrameFunctionalGroupsSequence")
        if not per_frame:
            return (self.values,) * self.frames
        shared = dict(self.values)
        for item in self.sequence("SharedFunctionalGroupsSequence"):
            shared |= dict(_flattened(item))
        return tuple(MappingProxyType(shared | dict(_flattened(item))) for item in per_frame)


def is_dicom(data: Buffer) -> bool:
    """Whether the file has DICOM's preamble, or begins with a dataset's first group as some old exports do."""
    return data[128:132] == b"DICM" or (data[:2] == b"\x08\x00" and len(data) > 132)


def read_instance(data: Buffer) -> Instance:
    """Scan one object's header.

    Raises:
        UnreadableRecording: not DICOM, an encoding that is not read here, or cut off before its pixels.
    """
    if not is_dicom(data):
        raise UnreadableRecording("The file is not DICOM", "send DICOM objects", "not_dicom")
    try:
        syntax, position, implicit = dataset_start(data)
        found = elements.scan(data, position, implicit, _WANTED, _PIXEL_DATA)
    except (struct.error, IndexError):
        raise _cut_off() from None
    pixels = found.pop(_PIXEL_DATA, None)
    where = {_KEYWORDS[tag]: place for tag, place in found.items()}
    identifiers = {keyword: where.pop(keyword) for keyword in IDENTIFIERS if keyword in where}
    sequences = {keyword: where.pop(keyword) for keyword in _SEQUENCES if keyword in where}
    values = _Values(data, where)
    claimed = next(iter(values.get("NumberOfFrames", ())), 1.0)
    if isinstance(claimed, float) and not claimed <= MAX_FRAMES:
        raise UnreadableRecording(f"The object claims over {MAX_FRAMES} frames", "export it again", "bad_size")
    return Instance(
        syntax=syntax,
        implicit=implicit,
        values=values,
        identifiers=_Values(data, identifiers),
        data=data,
        pixels=pixels,
        _sequences=sequences,
    )


class _Values(Mapping[str, Value]):
    """Values by keyword, each read out of the file when somebody asks for it: of most, nobody does."""

    __slots__ = ("_data", "_known", "_where")

    def __init__(self, data: Buffer, where: Mapping[str, tuple[int, int]]) -> None:
        self._data, self._where = data, where
        self._known: dict[str, Value] = {}

    def __getitem__(self, keyword: str) -> Value:
        known = self._known.get(keyword)
        if known is None:
            start, length = self._where[keyword]
            # what is that long is no value that anybody here wants
            raw = b"" if length > _LONGEST else self._data[start : start + length]
            # short values are those of every image of a series; long ones would keep the cache's memory for ever
            read = _value if len(raw) <= _SHORT else _value.__wrapped__
            known = self._known[keyword] = read(_VRS[keyword], raw)
        return known

    def get(self, keyword: str, default: Any = None) -> Any:  # Mapping's goes through an exception
        known = self._known.get(keyword)
        if known is not None:
            return known
        return self[keyword] if keyword in self._where else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


_WANTED = {*_KEYWORDS, _PIXEL_DATA}


def _cut_off() -> UnreadableRecording:
    return UnreadableRecording("The DICOM file is cut off", "export or copy it again", "truncated")


def dataset_start(data: Buffer) -> tuple[str, int, bool]:
    """Transfer syntax, where the dataset begins (PS3.10 section 7.1), and whether its VRs are implicit.

    Raises UnreadableRecording for an encoding that is not read here, and struct.error where the data ends before.
    """
    if data[128:132] != b"DICM":
        return str(ImplicitVRLittleEndian), 0, _implicit(data, 0)
    end = 132
    if data[132:140] == _META_LENGTH:
        end = 144 + int.from_bytes(data[140:144], "little")
    else:  # a writer that left out what it must not
        while data[end : end + 2] == b"\x02\x00":
            _, length, start = elements.header(data, end)
            end = start + length
    # before it stand a version and two UIDs, in which these bytes cannot be
    at, syntax = data.find(_SYNTAX, 132, end), ""
    if at >= 0:
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        syntax = data[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")
    if syntax == DeflatedExplicitVRLittleEndian:  # a small file may unpack to any size
        raise UnreadableRecording("The DICOM file is deflated", "export it as Explicit VR Little Endian", "encoding")
    if syntax == ExplicitVRBigEndian:
        raise UnreadableRecording("The DICOM file is big-endian", "export it as Explicit VR Little Endian", "encoding")
    return syntax, end, _implicit(data, end)


def _implicit(data: Buffer, position: int) -> bool:
    """What the file holds counts, not what its syntax says: some writers mix them up."""
    vr = data[position + 4 : position + 6]
    return not (vr.isalpha() and vr.isupper())


@lru_cache(maxsize=8192)
def _value(vr: str, raw: bytes) -> Value:
    if vr in _BINARY:
        code = _BINARY[vr]
        return tuple(map(float, struct.unpack_from(f"<{len(raw) // struct.calcsize(f'<{code}')}{code}", raw)))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    parts = text.rstrip("\0 ").split("\\")
    if vr in ("DS", "IS"):
        return tuple(_number(part) for part in parts if part.strip())
    return tuple(part.strip("\0 ") for part in parts) if text else ()


_LONGEST, _SHORT = 1 << 16, 256


def _number(part: str) -> str | float:
    try:
        return float(part)
    except ValueError:
        return part


def _split(keyword: str) -> tuple[int, int]:
    tag = int(tag_for_keyword(keyword) or 0)
    return tag >> 16, tag & 0xFFFF


def _end_of_sequence(data: Buffer, start: int, implicit: bool) -> int:
    """Where the items that begin at `start` end, the delimiter left out."""
    position = start
    while elements.header(data, position, implicit)[0] == elements.ITEM:
        position = elements.skip(data, position, implicit)
    return position


def _flattened(item: Dataset) -> Iterator[tuple[str, Value]]:
    """Every plain value below the items of an enhanced object's functional groups, by keyword."""
    for element in item:
        if isinstance(element.value, Sequence):
            for nested in element.value:
                yield from _flattened(nested)
        elif element.keyword:
            several = element.value if element.VM > 1 else (() if element.value in (None, "") else (element.value,))
            yield element.keyword, tuple(float(v) if isinstance(v, (int, float)) else str(v) for v in several)
