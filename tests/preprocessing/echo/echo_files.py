"""Made-up echo studies: fans of moving speckle with a beating wall, as the DICOM files a scanner would write."""

import io
from functools import lru_cache

import cv2
import gdcm
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from chordae.preprocessing.dicom import Instance, bundled_echo, read_instance

ROWS, COLUMNS, FRAMES = 240, 320, 30
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


@lru_cache(maxsize=8)
def fan_mask(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Where the fan is: apex at the top, 90 degrees wide, with the transducer's arc left out."""
    y, x = np.mgrid[:rows, :columns]
    down, aside = y - 0.05 * rows, x - columns / 2
    radius, angle = np.hypot(down, aside), np.arctan2(aside, down)
    return (np.abs(angle) < np.pi / 4) & (radius < 0.8 * rows) & (radius > 0.03 * rows)


@lru_cache(maxsize=32)
def fan(
    view: int = 0, frames: int = FRAMES, period: int = FRAMES, rows: int = ROWS, columns: int = COLUMNS
) -> np.ndarray:
    """(frames, rows, columns) uint8: dim speckle everywhere, and a bright ring, elsewhere in each view, that beats."""
    random = np.random.default_rng(view)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    middle_y, middle_x = rows * (0.4 + 0.25 * random.random()), columns * (0.38 + 0.24 * random.random())
    distance = np.hypot(y - middle_y, x - middle_x)
    size = rows * (0.1 + 0.06 * random.random())
    mask = fan_mask(rows, columns)
    noise = random.integers(0, 60, (rows, columns + frames), dtype=np.uint8)
    clip = np.zeros((frames, rows, columns), np.uint8)
    for frame in range(frames):
        radius = size * (1 + 0.25 * np.cos(2 * np.pi * frame / period))
        wall = 150 * np.exp(-(((distance - radius) / (0.03 * rows)) ** 2))
        speckle = np.roll(noise, 7 * frame + frame * frame, axis=1)[:, :columns]
        clip[frame] = np.where(mask, 4 + speckle * 0.7 + wall, 0)
    return clip


def written(picture: np.ndarray, text: str, x: int, y: int, scale: float = 0.4) -> None:
    """Burn a text in, its lower left corner at (x, y), into one frame or all."""
    for frame in picture if picture.ndim == 3 and picture.shape[-1] != 3 else [picture]:
        cv2.putText(frame, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1)


def dataset_of(pixels: np.ndarray, photometric: str = "", **tags: object) -> Dataset:
    """An ultrasound object of (frames, rows, columns) or (frames, rows, columns, 3); a tag of None goes."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MULTI_FRAME, generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "US", "4711", "Doe^John"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    dataset.PhotometricInterpretation = photometric or ("RGB" if pixels.ndim == 4 else "MONOCHROME2")
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.FrameTime = "33.333"
    dataset.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def file_of(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Its bytes, in a transfer syntax that its pixel data are already in."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def clip(pixels: np.ndarray, photometric: str = "", **tags: object) -> Instance:
    """An uncompressed object, as it is read."""
    return read_instance(file_of(dataset_of(pixels, photometric, **tags)))


def study(clips: int, **tags: object) -> list[Instance]:
    """So many different views."""
    return [clip(fan(view), InstanceNumber=view + 1, **tags) for view in range(clips)]


def real(frames_first: int = 0, number: int = 1) -> Instance:
    """pydicom's real loop, begun at another of its frames."""
    from pydicom import dcmread

    dataset = dcmread(bundled_echo())
    frames = list(generate_frames(dataset.PixelData, number_of_frames=30))
    dataset.PixelData = encapsulate(frames[frames_first:] + frames[:frames_first])
    dataset.InstanceNumber, dataset.SOPInstanceUID = number, generate_uid()
    return read_instance(file_of(dataset, JPEGBaseline8Bit))


def compressed(pixels: np.ndarray, codec: str, **tags: object) -> bytes:
    """The same object by a codec: RLE by pydicom, JPEG-LS by GDCM, JPEG 2000 by Pillow, baseline JPEG by OpenCV."""
    dataset = dataset_of(pixels, **tags)
    colour = pixels.ndim == 4
    if codec == RLELossless:
        file_of(dataset)
        dataset.compress(RLELossless)
        return file_of(dataset, RLELossless)
    if codec == JPEG2000Lossless:
        dataset.PixelData = encapsulate([_jpeg_2000(frame) for frame in pixels])
        dataset.PhotometricInterpretation = "YBR_RCT" if colour else "MONOCHROME2"
    elif codec == JPEGBaseline8Bit:
        quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
        frames = [frame[..., ::-1] if colour else frame for frame in pixels]
        dataset.PixelData = encapsulate([cv2.imencode(".jpg", frame, quality)[1].tobytes() for frame in frames])
        dataset.PhotometricInterpretation = "YBR_FULL_422" if colour else "MONOCHROME2"
    elif codec == JPEGLSLossless:
        return _by_gdcm(file_of(dataset), gdcm.TransferSyntax.JPEGLSLossless)
    dataset["PixelData"].is_undefined_length = True
    return file_of(dataset, codec)


def _jpeg_2000(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG2000", no_jp2=True, irreversible=False, mct=int(frame.ndim == 3))
    return buffer.getvalue()


def _by_gdcm(data: bytes, syntax: int) -> bytes:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as directory:
        plain, packed = Path(directory) / "plain.dcm", Path(directory) / "packed.dcm"
        plain.write_bytes(data)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return packed.read_bytes()


def region(box: tuple[int, int, int, int], spatial_format: int = 1, data_type: int = 1) -> Dataset:
    """A region (PS3.3 C.8.5.5) from the left upper to the right lower pixel."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, data_type, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.05
    return item
