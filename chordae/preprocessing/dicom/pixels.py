"""Frames of an object as arrays: grey ones as stored, colour ones as 8-bit BGR, OpenCV's order.

Uncompressed frames are views of the file; baseline JPEG goes through OpenCV (libjpeg-turbo), to the bit what pydicom's
own decoders give and fifteen times faster; everything else through pydicom, with GDCM underneath.
"""

import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing.archive import Buffer
from chordae.preprocessing.dicom import elements
from chordae.preprocessing.dicom.instance import Instance

Frame = NDArray[Any]
"""(rows, columns) of the stored integers, or (rows, columns, 3) uint8 BGR."""

_NATIVE = {str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)}
_TURBO = {"YBR_FULL_422", "YBR_FULL", "MONOCHROME2"}
MAX_FRAME_PIXELS = 64 * 1024 * 1024


def decode(instance: Instance, frames: Sequence[int]) -> list[Frame]:
    """The frames of those numbers (from 0), in that order.

    Raises:
        UnreadableRecording: no pixels, an unknown codec, or damaged or missing ones; names which.
    """
    return _decode(instance, frames, 1)


def glance(instance: Instance, frames: Sequence[int], edge: int) -> list[Frame]:
    """As `decode`, but a half, a quarter or an eighth as wide and high where the codec then is faster.

    Of baseline JPEG, that is; the longer side keeps `edge` pixels at least. Raises as `decode` does.
    """
    longer = max(instance.number("Rows") or 0, instance.number("Columns") or 0)
    return _decode(instance, frames, next((by for by in (8, 4, 2) if longer >= by * edge), 1))


def _decode(instance: Instance, frames: Sequence[int], reduction: int) -> list[Frame]:
    if instance.pixels is None:
        raise UnreadableRecording("The DICOM object holds no image", "send images", "no_pixels")
    if any(not 0 <= frame < instance.frames for frame in frames):
        raise UnreadableRecording("The DICOM object lacks a frame", "export it again", "truncated")
    rows, columns = (int(instance.number(keyword) or 0) for keyword in ("Rows", "Columns"))
    if not 0 < rows * columns <= MAX_FRAME_PIXELS:
        raise UnreadableRecording("The DICOM image has no usable size", "export it again", "bad_size")
    try:
        if instance.syntax in _NATIVE:
            return [_in_bgr(instance, _native(instance, frame, rows, columns)) for frame in frames]
        if instance.syntax == JPEGBaseline8Bit and instance.text("PhotometricInterpretation") in _TURBO:
            return _turbo(instance, frames, (rows, columns), reduction)
        return _by_pydicom(instance, frames)
    except ChordaeError:
        raise
    except Exception as error:  # noqa: BLE001 - codecs raise anything; their messages may quote the file
        raise UnreadableRecording(
            f"The image's pixels cannot be decoded ({type(error).__name__})", "export it again", "bad_pixels"
        ) from None


def _native(instance: Instance, frame: int, rows: int, columns: int) -> Frame:
    """One uncompressed frame, a view of the file (PS3.5 section 8.1, PS3.3 C.7.6.3.1)."""
    samples = int(instance.number("SamplesPerPixel") or 1)
    bits = int(instance.number("BitsAllocated") or 0)
    if bits not in (8, 16) or samples not in (1, 3):
        raise UnreadableRecording(f"The image has {bits} bits a sample", "export it with 8 or 16", "bad_pixels")
    signed = instance.number("PixelRepresentation") == 1
    dtype = np.dtype("i1" if signed else "u1") if bits == 8 else np.dtype("<i2" if signed else "<u2")
    photometric = instance.text("PhotometricInterpretation")
    stored = 2 if photometric == "YBR_FULL_422" else samples  # two pixels share their chroma
    offset, length = instance.pixels or (0, 0)
    count = rows * columns * stored
    # beyond the pixel data stand other elements, which may name the patient
    if length == elements.UNDEFINED or (frame + 1) * count * dtype.itemsize > length:
        raise UnreadableRecording("The image's pixels are cut off", "export or copy it again", "truncated")
    try:
        flat = np.frombuffer(instance.data, dtype, count, offset + frame * count * dtype.itemsize)
    except ValueError:
        raise UnreadableRecording("The image's pixels are cut off", "export or copy it again", "truncated") from None
    if photometric == "YBR_FULL_422":  # Y Y Cb Cr (PS3.3 C.7.6.3.1.2)
        quads = flat.reshape(rows, columns // 2, 4)
        luma = quads[..., :2].reshape(rows, columns)
        return np.dstack([luma, *(np.repeat(quads[..., channel], 2, axis=1) for channel in (2, 3))])
    if samples == 1:
        return flat.reshape(rows, columns)
    if instance.number("PlanarConfiguration") == 1:
        return np.moveaxis(flat.reshape(3, rows, columns), 0, -1)
    return flat.reshape(rows, columns, 3)


_REDUCED = {
    "colour": {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8},
    "grey": {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8},
}
"""libjpeg computes only so many of a block's pixels. A picture's own idea of its orientation (Exif) is ignored."""


def _turbo(instance: Instance, frames: Sequence[int], size: tuple[int, int], reduction: int) -> list[Frame]:
    grey = instance.text("PhotometricInterpretation") == "MONOCHROME2"
    how = cv2.IMREAD_UNCHANGED
    if reduction > 1:
        how = _REDUCED["grey" if grey else "colour"][reduction] | cv2.IMREAD_IGNORE_ORIENTATION
        size = -(-size[0] // reduction), -(-size[1] // reduction)
    wanted, found = set(frames), dict[int, Frame]()
    last = max(frames, default=-1)
    for number, encoded in enumerate(_encapsulated(instance)):
        if number in wanted:
            picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), how)
            if picture is None or picture.shape[:2] != size:
                raise UnreadableRecording("A frame's JPEG is damaged", "export or copy it again", "bad_pixels")
            found[number] = picture
        if number >= last:
            break
    if found.keys() != wanted:
        raise UnreadableRecording("The image's pixels are cut off", "export or copy it again", "truncated")
    return [found[frame] for frame in frames]


def _encapsulated(instance: Instance) -> Iterator[bytes]:
    offset, length = instance.pixels or (0, 0)
    stop = len(instance.data) if length == elements.UNDEFINED else offset + length
    return generate_frames(instance.data[offset:stop], number_of_frames=instance.frames)


def _by_pydicom(instance: Instance, frames: Sequence[int]) -> list[Frame]:
    dataset = _dataset(instance)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    decoded = [np.asarray(decoder.as_array(dataset, index=frame, raw=False)[0]) for frame in frames]
    return [
        _in_bgr(instance, frame, converted=instance.text("PhotometricInterpretation").startswith("YBR"))
        for frame in decoded
    ]


def _dataset(instance: Instance) -> Dataset:
    return pydicom.dcmread(io.BytesIO(instance.data[:]), force=True)


def _in_bgr(instance: Instance, frame: Frame, converted: bool = False) -> Frame:
    """Grey as it is (MONOCHROME1 turned round), colour as 8-bit BGR."""
    photometric = instance.text("PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        coloured = apply_color_lut(frame, _palette(instance.data))
        eight = coloured if coloured.dtype == np.uint8 else (coloured >> 8).astype(np.uint8)
        return np.ascontiguousarray(eight[..., ::-1])
    if frame.ndim == 2:
        if photometric != "MONOCHROME1":
            return frame
        top = (1 << int(instance.number("BitsStored") or 8)) - 1
        return np.asarray(top - frame, frame.dtype) if instance.number("PixelRepresentation") != 1 else ~frame
    if photometric.startswith("YBR") and not converted:
        frame = convert_color_space(np.ascontiguousarray(frame), "YBR_FULL", "RGB")
    return np.ascontiguousarray(frame[..., ::-1])


@lru_cache(maxsize=2)
def _palette(data: Buffer) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data[:]), force=True, stop_before_pixels=True)
