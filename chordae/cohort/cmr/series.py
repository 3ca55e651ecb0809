"""A series of pictures as MR Image Storage objects (PS3.3 A.4, modules C.7.6 and C.8.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.cmr.planes import Plane
from chordae.cohort.cmr.protocols import Protocol, study_description
from chordae.cohort.dicom_files import Dataset, Template, header, instance_uid, uid
from chordae.cohort.identity import Identity
from chordae.cohort.sites import CmrScanner

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
LARGEST = 4095
_VARYING = ("InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "TriggerTime")

Slice = tuple[Plane, NDArray[np.float32]]
"""A plane and its (phases, rows, columns) in the protocol's unit."""


def series_files(
    identity: Identity, scanner: CmrScanner, protocol: Protocol, number: int, slices: Sequence[Slice], rate_bpm: float
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a series' files, slice after slice, phase after phase."""
    first = slices[0]
    template = Template(_common(identity, scanner, protocol, number, first, rate_bpm), _VARYING)
    beat = 60000.0 / rate_bpm
    count = 0
    for plane, frames in slices:
        stored = np.clip(frames * np.float32(protocol.scale) + np.float32(0.5), 0, LARGEST).astype("<u2")
        values: dict[str, object] = {
            "ImagePositionPatient": _decimals(plane.corner),
            "ImageOrientationPatient": _decimals((*plane.row, *plane.column)),
            "SliceLocation": f"{plane.depth:.4f}",
        }
        for phase, picture in enumerate(stored):
            count += 1
            values["InstanceNumber"] = count
            values["TriggerTime"] = f"{phase * beat / len(stored):.2f}"
            name = f"DICOM/S{number:03d}/I{count:04d}"
            yield name, template.encode(instance_uid(identity, "MR", number, count), values, picture.tobytes())


def _common(
    identity: Identity, scanner: CmrScanner, protocol: Protocol, number: int, first: Slice, rate_bpm: float
) -> Dataset:
    """Everything that the images of a series have alike, and the first one's own."""
    plane, frames = first
    found = header(identity, MR_IMAGE, "MR", number, scanner.vendor, scanner.model, study_description(scanner))
    found.ImageType = list(protocol.image_type)
    found.SeriesDescription = protocol.description
    found.ProtocolName = study_description(scanner) if scanner.vendor.startswith("GE") else protocol.description
    if scanner.vendor == "SIEMENS":
        found.SequenceName = protocol.sequence_name
    found.BodyPartExamined = "HEART"
    found.PatientPosition = "HFS"
    found.ScanningSequence, found.SequenceVariant = protocol.scanning, protocol.variant
    found.ScanOptions, found.MRAcquisitionType = "CG", "2D"
    found.RepetitionTime, found.EchoTime = f"{protocol.repetition:g}", f"{protocol.echo:g}"
    found.EchoTrainLength, found.FlipAngle = protocol.train, f"{protocol.flip:g}"
    if protocol.inversion is not None:
        found.InversionTime = f"{protocol.inversion:g}"
    if protocol.kind == "late":
        found.ContrastBolusAgent = "Gadobutrol"
    found.MagneticFieldStrength = f"{scanner.field_t:g}"
    found.ImagingFrequency = f"{42.577 * scanner.field_t:.3f}"
    found.ImagedNucleus, found.NumberOfAverages, found.AcquisitionNumber = "1H", "1", 1
    found.NominalInterval, found.HeartRate = round(60000 / rate_bpm), round(rate_bpm)
    found.CardiacNumberOfImages = len(frames)
    found.SliceThickness = f"{plane.thickness_mm:g}"
    found.SpacingBetweenSlices = f"{plane.thickness_mm + scanner.gap_mm:g}"
    found.FrameOfReferenceUID = uid(identity.study, "MR", "frame of reference")
    found.PositionReferenceIndicator = ""
    for keyword in _VARYING:
        setattr(found, keyword, 1 if keyword == "InstanceNumber" else "0")
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.Rows = found.Columns = plane.matrix
    found.PixelSpacing = [f"{plane.pixel_mm:.4f}"] * 2
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
    if protocol.slope is not None:
        found.RescaleIntercept, found.RescaleSlope, found.RescaleType = "0", f"{protocol.slope:g}", "US"
    return found


def _decimals(values: Sequence[float] | NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(f"{value:.6f}" for value in values)
