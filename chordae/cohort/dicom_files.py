"""DICOM as the cohort's machines write it: the same patient, study and seed give the same bytes.

`header(identity, ...)` begins a dataset with the patient, study, series and equipment modules; the modality adds its
own elements. `encode(dataset)` makes one file of it. Where hundreds of images differ in a few elements and the pixels,
`Template(dataset, varying)` encodes the rest once (PS3.5 chapter 7, Explicit VR Little Endian). `write_tgz` packs the
files.

The only module of the cohort that imports pydicom.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from chordae.cohort.identity import Identity
from chordae.platform.files import write_atomically

ENCODING = "utf-8"
"""Of all text: SpecificCharacterSet ISO_IR 192 (PS3.3 C.12.1.1.2)."""

__all__ = ["Dataset", "Template", "encapsulated", "encode", "header", "instance_uid", "uid", "write_tgz"]


def uid(*parts: object) -> str:
    """A unique identifier that is a function of the parts: 2.25 and 128 bits of their hash (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(digest)}"


def instance_uid(identity: Identity, modality: str, series: int, number: int) -> str:
    """The SOP instance UID of image `number` of a series."""
    return uid(identity.study, modality, series, number)


def header(
    identity: Identity, sop_class: str, modality: str, series: int, manufacturer: str, model: str, description: str
) -> Dataset:
    """Patient, study, series, equipment and SOP common modules (PS3.3 C.7.1 to C.7.5, C.12.1) of one object.

    Identifiers follow from the identity's study, the modality and the series: a patient's echo and CMR are two studies.
    This is instance 1; of a further one set `InstanceNumber` and `SOPInstanceUID = instance_uid(...)`.
    """
    day, time = identity.when.strftime("%Y%m%d"), identity.when.strftime("%H%M%S")
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    found.SOPClassUID = sop_class
    found.SOPInstanceUID = instance_uid(identity, modality, series, 1)
    found.PatientName, found.PatientID = identity.name, identity.patient_id
    found.PatientBirthDate, found.PatientSex = identity.birth_date, identity.sex
    found.PatientAge = f"{_years(identity):03d}Y"
    found.StudyInstanceUID, found.StudyID = uid(identity.study, modality), f"{modality}{identity.study[-12:]}"
    found.StudyDate = found.SeriesDate = found.AcquisitionDate = found.ContentDate = day
    found.StudyTime = found.SeriesTime = found.AcquisitionTime = found.ContentTime = time
    found.AccessionNumber = uid(identity.study, modality)[-10:]
    found.ReferringPhysicianName = ""
    found.StudyDescription = description
    found.Modality, found.SeriesNumber = modality, series
    found.SeriesInstanceUID = uid(identity.study, modality, series)
    found.InstanceNumber = 1
    found.Manufacturer, found.ManufacturerModelName = manufacturer, model
    found.DeviceSerialNumber, found.SoftwareVersions = "0", "simulated"
    return found


def _years(identity: Identity) -> int:
    born = identity.birth_date
    return identity.when.year - int(born[:4]) - (identity.when.strftime("%m%d") < born[4:])


def encode(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The dataset as a file with preamble and meta header. Pixels of another `syntax` come encoded and encapsulated."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax  # type: ignore[assignment]
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def encapsulated(frames: list[bytes]) -> bytes:
    """Compressed frames as the PixelData of a compressed transfer syntax (PS3.5 A.4)."""
    return encapsulate(frames)


class Template:
    """Files of uncompressed images that differ in the `varying` text elements (no sequences) and the pixels only."""

    def __init__(self, dataset: Dataset, varying: Iterable[str]) -> None:
        self._varying = {keyword: (int(tag_for_keyword(keyword) or 0), dictionary_VR(keyword)) for keyword in varying}
        changing = {tag for tag, _ in self._varying.values()} | {int(tag_for_keyword("SOPInstanceUID") or 0)}
        self._fixed = [(int(element.tag), _fixed(dataset, int(element.tag))) for element in dataset]
        self._fixed = [(tag, data) for tag, data in self._fixed if tag not in changing]
        self._class = str(dataset.SOPClassUID)

    def encode(self, instance: str, values: Mapping[str, object], pixels: bytes) -> bytes:
        """One file: its SOP instance UID, a value for every varying element, and words of pixels (little endian)."""
        parts = [*self._fixed, (0x00080018, _text(0x00080018, "UI", instance))]
        parts += [(tag, _text(tag, vr, values[keyword])) for keyword, (tag, vr) in self._varying.items()]
        parts.sort()
        even = pixels + b"\0" * (len(pixels) % 2)
        tail = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(even))
        return b"".join([_meta(self._class, instance), *(data for _, data in parts), tail, even])


def _fixed(dataset: Dataset, tag: int) -> bytes:
    """One element, sequences too."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    only = Dataset()
    only.add(dataset[tag])
    write_dataset(buffer, only, parent_encoding=ENCODING)
    return buffer.getvalue()


def _text(tag: int, vr: str, value: object) -> bytes:
    """An element whose value is text; several values come as a tuple (PS3.5 6.2 and 7.1.2)."""
    text = "\\".join(map(str, value)) if isinstance(value, tuple) else str(value)
    data = text.encode(ENCODING)
    if len(data) % 2:
        data += b"\0" if vr == "UI" else b" "
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(data)) + data


def _meta(sop_class: str, instance: str) -> bytes:
    """Preamble and file meta information (PS3.10 chapter 7.1)."""
    body = struct.pack("<HH2sHI2s", 2, 1, b"OB", 0, 2, b"\0\1")
    for tag, vr, value in (
        (0x00020002, "UI", sop_class),
        (0x00020003, "UI", instance),
        (0x00020010, "UI", str(ExplicitVRLittleEndian)),
        (0x00020012, "UI", uid("chordae", "implementation")),
        (0x00020013, "SH", "CHORDAE"),
    ):
        body += _text(tag, vr, value)
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def write_tgz(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """A .tgz of (name, content), written at once or not at all; no clock and no user gets into it.

    Noise has no repetitions to find: Huffman coding alone makes it as small as deflate does, twice as fast.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    deflate = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    write_atomically(path, deflate.compress(plain.getbuffer()) + deflate.flush(), durable=False)
