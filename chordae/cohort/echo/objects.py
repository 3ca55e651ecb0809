"""DICOM objects of an echo study: US Multi-frame Image Storage for loops, US Image Storage for stills (PS3.3 A.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from chordae.cohort.dicom_files import Dataset, encode, header, uid
from chordae.cohort.echo.clips import Loop, Timing
from chordae.cohort.echo.compression import compress
from chordae.cohort.echo.screen import Picture
from chordae.cohort.identity import Identity
from chordae.cohort.sites import EchoMachine

MULTI_FRAME, SINGLE_FRAME = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"
SERIES = 1
SECONDS_A_CLIP = 40
CENTIMETRES, HERTZ, SECONDS, CM_PER_SECOND = 3, 5, 4, 7
"""Physical units (PS3.3 C.8.5.5.1.15)."""
TISSUE, COLOUR_FLOW, PULSED_DOPPLER = 1, 2, 3
"""Region data types (C.8.5.5.1.2)."""
_CODES = {"2d": "0001", "colour": "0010", "spectral": "0004"}
"""Image Type's fourth value (C.8.5.6.1.1)."""


def burned_in(machine: EchoMachine, identity: Identity) -> str:
    """What the machine writes into its pictures about the patient: one maker's does, so that masking has work to do."""
    return identity.name.replace("^", " ") if machine.vendor == "SIEMENS" else ""


def loop_object(loop: Loop, number: int, rate_bpm: float, machine: EchoMachine, identity: Identity) -> bytes:
    """The file of a cine loop, `number` in its study."""
    timing = loop.timing
    found = _common(loop.pictures, MULTI_FRAME, number, machine, identity, "colour" if loop.colour else "2d")
    found.NumberOfFrames = loop.pictures.shape[0]
    found.FrameIncrementPointer = 0x00181063
    found.FrameTime = f"{timing.frame:g}"
    found.CineRate = found.RecommendedDisplayFrameRate = round(1000 / timing.frame)
    found.EffectiveDuration = f"{timing.frames * timing.frame / 1000:.3f}"
    found.HeartRate = round(rate_bpm)
    found.RWaveTimeVector = _r_waves(timing)
    found.StartTrim, found.StopTrim = 1, timing.frames
    left, top, right, bottom = loop.screen.box
    found.SequenceOfUltrasoundRegions = [_plane_region((left, top, right, bottom), loop, TISSUE)]
    if loop.colour:
        found.SequenceOfUltrasoundRegions.append(_plane_region(loop.colour, loop, COLOUR_FLOW))
    return _with_pixels(found, loop.pictures, machine)


def still_object(
    picture: Picture, spectral: tuple[int, int, int, int] | None, number: int, machine: EchoMachine, identity: Identity
) -> bytes:
    """The file of a still, (rows, columns[, 3]): a Doppler spectrum in that box, or a measured frame."""
    found = _common(picture[None], SINGLE_FRAME, number, machine, identity, "spectral" if spectral else "2d")
    if spectral:
        found.SequenceOfUltrasoundRegions = [_spectral_region(spectral)]
    return _with_pixels(found, picture[None], machine)


def _common(
    pictures: Picture, sop_class: str, number: int, machine: EchoMachine, identity: Identity, what: str
) -> Dataset:
    # a study of its own: the patient's CMR has other series of the same numbers
    own = replace(identity, study=f"{identity.study}-echo")
    found = header(own, sop_class, "US", SERIES, machine.vendor, machine.model, "Transthoracic echocardiography")
    when = identity.when + timedelta(seconds=SECONDS_A_CLIP * number)
    found.SOPInstanceUID, found.InstanceNumber = uid(own.study, SERIES, number), number
    found.ContentTime = found.AcquisitionTime = when.strftime("%H%M%S")
    found.ImageType = ["ORIGINAL", "PRIMARY", "TTE", _CODES[what]]
    found.BodyPartExamined, found.TransducerType = "HEART", "SECTOR_PHASED"
    found.PatientOrientation = ""
    found.Rows, found.Columns = pictures.shape[1:3]
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
    found.BurnedInAnnotation = "YES" if burned_in(machine, identity) else "NO"
    return found


def _with_pixels(found: Dataset, pictures: Picture, machine: EchoMachine) -> bytes:
    pixels = compress(pictures, machine.compression)
    found.PhotometricInterpretation = pixels.photometric
    found.SamplesPerPixel = 1 if pixels.photometric == "MONOCHROME2" else 3
    if found.SamplesPerPixel == 3:
        found.PlanarConfiguration = 0
        found.UltrasoundColorDataPresent = int(pictures.ndim == 4)
    found.LossyImageCompression = "00" if pixels.ratio is None else "01"
    if pixels.ratio is not None:
        found.LossyImageCompressionRatio = f"{pixels.ratio:g}"
        found.LossyImageCompressionMethod = "ISO_10918_1"
    found.PixelData = pixels.data
    found["PixelData"].VR = "OB"
    return encode(found, pixels.syntax)


def _r_waves(timing: Timing) -> list[float]:
    """Those within the loop, ms from its first frame."""
    end = timing.frames * timing.frame
    waves = timing.r_wave + timing.beat * np.arange(3)
    return [round(float(wave), 2) for wave in waves if wave <= end]


def _plane_region(box: tuple[int, int, int, int], loop: Loop, data_type: int) -> Dataset:
    item = _region(box, 1, data_type, CENTIMETRES, CENTIMETRES)
    item.PhysicalDeltaX = item.PhysicalDeltaY = loop.screen.mm_per_pixel / 10
    item.ReferencePixelX0 = round(loop.screen.apex[0]) - box[0]
    item.ReferencePixelY0 = round(loop.screen.apex[1]) - box[1]
    item.ReferencePixelPhysicalValueX = item.ReferencePixelPhysicalValueY = 0.0
    return item


def _spectral_region(box: tuple[int, int, int, int]) -> Dataset:
    item = _region(box, 3, PULSED_DOPPLER, SECONDS, CM_PER_SECOND)
    item.PhysicalDeltaX, item.PhysicalDeltaY = 3.0 / (box[2] - box[0]), -200.0 / (box[3] - box[1])
    return item


def _region(box: tuple[int, int, int, int], spatial: int, data_type: int, across: int, down: int) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial, data_type, 2
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = across, down
    return item
