"""Made-up cardiac MR studies of known geometry, in the dialects of three vendors, written with pydicom.

Each picture says what it is: `mark` of its square in the middle is 100 x (slice + 1) + phase, on a grey of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from chordae.preprocessing.dicom import Instance, read_instance

SIDE = 64
AXIS = np.array([0.62, -0.55, -0.56]) / np.linalg.norm([0.62, -0.55, -0.56])
"""Base to apex."""
UP = np.array([0.0, 0.0, 1.0]) - AXIS[2] * AXIS
UP /= np.linalg.norm(UP)
LATERAL = np.cross(UP, AXIS)

GE = {"Manufacturer": "GE MEDICAL SYSTEMS", "ScanningSequence": "GR", "SequenceVariant": "SS", "ScanOptions": ["CG"]}
SIEMENS = {
    **{
        "Manufacturer": "SIEMENS",
        "ScanningSequence": "GR",
        "SequenceVariant": ["SK", "SS"],
        "SequenceName": "*tfi2d1_16",
    },
    "ScanOptions": "CT",
}
PHILIPS = {"Manufacturer": "Philips Medical Systems", "ScanningSequence": "GR", "SequenceVariant": "SS"}


def plane(name: str, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Row and column cosines of a plane: `short axis`, `long axis` turned about the axis, or the patient's."""
    if name == "short axis":
        return LATERAL, -UP
    if name == "long axis":
        within = np.cos(np.radians(angle)) * LATERAL + np.sin(np.radians(angle)) * UP
        return within, AXIS
    x, y, z = np.eye(3)
    return {"axial": (x, y), "coronal": (x, -z), "sagittal": (y, -z)}[name]


def series(
    slices: int = 1,
    phases: int = 1,
    where: tuple[np.ndarray, np.ndarray] | None = None,
    number: int = 1,
    gap: float = 8.0,
    trigger: float | None = 30.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
    **tags: Any,
) -> list[Dataset]:
    """Classic objects, slices from base to apex, phases `trigger` ms apart; `tags` by keyword, None leaves one out."""
    row, column = where if where is not None else plane("short axis")
    across = np.cross(row, column)
    across = across if across @ AXIS >= 0 else -across
    found = []
    for level in range(slices):
        for phase in range(phases):
            image = _image(number, level * phases + phase + 1, level, phase)
            corner = np.asarray(centre) + across * gap * (level - slices / 2) - (row + column) * SIDE / 2 * 1.5
            image.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
            image.ImagePositionPatient = [f"{v:.6f}" for v in corner]
            if trigger is not None and phases > 1:
                image.TriggerTime = f"{10 + trigger * phase:.1f}"
                image.CardiacNumberOfImages = phases
            for keyword, value in tags.items():
                if value is not None:
                    setattr(image, keyword, value)
                elif keyword in image:
                    delattr(image, keyword)
            found.append(image)
    return found


def _image(series_number: int, number: int, level: int, phase: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.SOPInstanceUID = f"2.25.{series_number}.{number}"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.9", f"2.25.8.{series_number}"
    image.PatientID, image.PatientName = "SECRET-ID", "Nightingale^Florence"
    image.Modality, image.SeriesNumber, image.InstanceNumber = "MR", series_number, number
    image.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    image.EchoTime, image.RepetitionTime, image.FlipAngle = "1.5", "3.4", "50"
    image.PixelSpacing = ["1.5", "1.5"]
    set_pixels(image, mark(level, phase))
    return image


def mark(level: int, phase: int) -> int:
    return 100 * (level + 1) + phase


def set_pixels(image: Dataset, middle: int, frames: int = 1, top: int = 2000, signed: bool = False) -> None:
    """Black, a white stripe that fixes the window, and the mark in the middle half."""
    picture = np.zeros((frames, SIDE, SIDE), np.int16 if signed else np.uint16)
    picture[:, :, SIDE - 8 :] = top
    for frame in range(frames):
        picture[frame, 16:48, 16:48] = middle + frame
    image.Rows = image.Columns = SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, int(signed)
    image.add_new("PixelData", "OW", picture.tobytes())


def enhanced(slices: int, phases: int, number: int = 1, by_trigger: bool = True, **tags: Any) -> Dataset:
    """One enhanced MR object with a frame for each slice and phase, the frames shuffled."""
    row, column = plane("short axis")
    image = _image(number, 1, 0, 0)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    for keyword in ("EchoTime", "RepetitionTime", "FlipAngle", "PixelSpacing"):
        delattr(image, keyword)
    image.SharedFunctionalGroupsSequence = Items(
        [
            _groups(
                PixelMeasuresSequence={"PixelSpacing": [1.5, 1.5]},
                PlaneOrientationSequence={"ImageOrientationPatient": [round(float(v), 8) for v in (*row, *column)]},
                MREchoSequence={"EffectiveEchoTime": 1.5},
            )
        ]
    )
    order = np.random.default_rng(3).permutation(slices * phases)
    frames, pictures = [], []
    for at in order:
        level, phase = divmod(int(at), phases)
        place = AXIS * 8.0 * (level - slices / 2) - (row + column) * 48
        timing = {"CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": 10.0 + 30 * phase}}
        content: dict[str, Any] = {
            "StackID": "1",
            "InStackPositionNumber": level + 1,
            "TemporalPositionIndex": phase + 1,
        }
        frames.append(
            _groups(
                PlanePositionSequence={"ImagePositionPatient": [round(float(v), 6) for v in place]},
                FrameContentSequence=content,
                **(timing if by_trigger else {}),
            )
        )
        picture = np.zeros((SIDE, SIDE), np.uint16)
        picture[:, SIDE - 8 :] = 2000
        picture[16:48, 16:48] = mark(level, phase)
        pictures.append(picture)
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    image.NumberOfFrames = len(frames)
    image.PixelData = np.stack(pictures).tobytes()
    for keyword, value in tags.items():
        setattr(image, keyword, value)
    return image


def _groups(**kinds: dict[str, Any]) -> Dataset:
    item = Dataset()
    for sequence, values in kinds.items():
        inner = Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        setattr(item, sequence, Items([inner]))
    return item


def read(datasets: Iterable[Dataset]) -> list[Instance]:
    return [read_instance(saved(dataset)) for dataset in datasets]


def saved(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def full_study() -> list[Dataset]:
    """What one examination holds: nearly everything that the router tells apart, in Siemens' names."""
    long_axis = {angle: plane("long axis", angle) for angle in (25.0, 85.0, 145.0)}
    still: dict[str, Any] = {**SIEMENS, "SequenceVariant": ["SK", "SP"], "SequenceName": "*tfl2d1_25"}
    late = {**still, "ScanningSequence": ["GR", "IR"], "InversionTime": "300"}
    found = []
    for n, name in enumerate(("axial", "coronal", "sagittal")):
        found += series(
            1, 1, plane(name), 1, SeriesDescription="localizer", InstanceNumber=n + 1, SOPInstanceUID=f"2.25.1.{n + 1}"
        )
    for n, (view, angle) in enumerate((("4ch", 25.0), ("2ch", 85.0), ("3ch", 145.0))):
        found += series(1, 25, long_axis[angle], 2 + n, SeriesDescription=f"cine_tf2d_{view}", **SIEMENS)
    for level in range(9):  # Siemens: each slice is a series
        name = "cine_tf2d_sax_bh"
        found += series(
            1, 25, None, 10 + level, centre=tuple(AXIS * 10 * (level - 4)), SeriesDescription=name, **SIEMENS
        )
    magnitude = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}
    sensitive = {"ImageType": ["DERIVED", "PRIMARY", "PSIR", "R", "ND"]}
    found += series(9, 1, None, 30, SeriesDescription="PSIR_sax_MAG", **late, **magnitude)
    found += series(9, 1, None, 31, SeriesDescription="PSIR_sax_PSIR", **late, **sensitive)
    found += series(
        3, 1, None, 32, SeriesDescription="T1Map_LongT1_T1", **still, ImageType=["DERIVED", "PRIMARY", "M", "T1 MAP"]
    )
    found += series(
        3, 1, None, 33, SeriesDescription="T2Map_T2", **still, ImageType=["DERIVED", "PRIMARY", "M", "T2 MAP"]
    )
    found += series(3, 1, None, 34, SeriesDescription="t2_stir_sax", **{**still, "ScanningSequence": ["SE", "IR"]})
    for kind, n in (("stress", 35), ("rest", 36)):
        for image in series(3, 40, None, n, trigger=None, SeriesDescription=f"perfusion_{kind}", **still):
            image.AcquisitionNumber = (image.InstanceNumber - 1) % 40 + 1
            found.append(image)
    found += series(1, 25, plane("axial"), 37, SeriesDescription="flow_aorta", **still)
    velocity = {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"], "SequenceName": "*fl2d1_v150in"}
    found += series(1, 25, plane("axial"), 38, SeriesDescription="flow_aorta_P", **{**still, **velocity})
    found += series(4, 6, plane("axial"), 39, SeriesDescription="4D flow", MRAcquisitionType="3D", **still)
    found += series(1, 20, long_axis[25.0], 40, SeriesDescription="rvot_cine", **SIEMENS)
    return found
