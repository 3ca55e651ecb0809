"""How long a cardiac MR study takes to its grid, against merely decoding the chosen frames and encoding that grid.

Both sides take turns within one run, on one core. A synthetic study of the size and header of a real one always runs;
the real one does where it is.
"""

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.entry import entry
from chordae.preprocessing import dicom
from chordae.preprocessing.archive import members
from chordae.preprocessing.cmr import LAYOUT, lay_out, prepare_cmr
from chordae.preprocessing.dicom import Instance
from chordae.preprocessing.grid import encode_mp4

ROUNDS = 15
SLICES, PHASES, SIDE = 8, 20, 256
PRIVATE_ELEMENTS = 250
PIG = Path("cmr_dicom") / "pig_GE_cine_SAx"


def measure() -> list[dict[str, object]]:
    """Ratio and seconds for the synthetic study, and for the real one where it is."""
    real = Path(os.environ.get("CHORDAE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data") / PIG
    with tempfile.TemporaryDirectory() as scratch, _one_core():
        made = Path(scratch) / "study"
        _write_study(made)
        entries = _entries("cmr", made, Path(scratch))
        return [*entries, *(_entries("cmr, real", real, Path(scratch)) if real.is_dir() else [])]


def _entries(name: str, folder: Path, scratch: Path) -> list[dict[str, object]]:
    packed = scratch / "study.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "study")
    chosen, frames = _chosen(folder)
    works: tuple[Callable[[], object], ...] = (
        lambda: prepare_cmr(_opened(folder)),
        lambda: _floor(chosen, frames),
        lambda: prepare_cmr(_opened(packed)),
    )
    rounds = [[_seconds(work) for work in works] for _ in range(ROUNDS)]
    whole, floor, unpacked = (Times(*map(median, zip(*times, strict=True))) for times in zip(*rounds, strict=True))
    return [
        entry(f"{name}: study of 160 images -> grid / floor", whole.processor / floor.processor, "x", "<= 1.6"),
        entry(f"{name}: 160 images, folder -> grid", whole.clock, "s", "<= 0.5"),
        entry(f"{name}: 160 images, .tgz -> grid", unpacked.clock, "s", "<= 0.5"),
        entry(f"{name}: floor, decoding the chosen frames and encoding the grid", floor.clock, "s"),
    ]


def _opened(path: Path) -> list[Instance]:
    return [dicom.read_instance(member.data) for member in members(path)]


def _chosen(folder: Path) -> tuple[list[Instance], list[NDArray[np.uint8]]]:
    """The objects that the grid shows, and the frames that are encoded."""
    instances = _opened(folder)
    grid, sidecar = lay_out(instances)
    by_number = {int(instance.number("InstanceNumber") or 0): instance for instance in instances}
    tiles = sidecar["tiles"]
    assert isinstance(tiles, list)
    return [by_number[number] for tile in tiles for number in tile["images"]], [frame.copy() for frame in grid.frames()]


def _floor(chosen: list[Instance], frames: list[NDArray[np.uint8]]) -> None:
    for instance in chosen:
        dicom.decode(instance, [0])[0].copy()  # an uncompressed frame is a view of the file until somebody reads it
    encode_mp4(frames, LAYOUT.shrunk(round(len(frames[0]) / LAYOUT.tile) ** 2))


class Times(NamedTuple):
    """Processor time for ratios, since a busy machine's clock charges its neighbours' work; the clock for limits."""

    processor: float
    clock: float


def _seconds(work: Callable[[], object]) -> Times:
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return Times(time.process_time() - processor, time.perf_counter() - clock)


@contextmanager
def _one_core() -> Iterator[None]:
    cores, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(cores)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(threads)


def _write_study(folder: Path) -> None:
    """A beating disc in 16 bits, with some 300 elements a header, most of them private, as scanners write."""
    folder.mkdir()
    y, x = np.mgrid[:SIDE, :SIDE]
    random = np.random.default_rng(0)
    for number in range(SLICES * PHASES):
        level, phase = divmod(number, PHASES)
        radius = (50 - 3 * level) * (1 - 0.25 * np.sin(np.pi * phase / PHASES))
        noise = random.normal(0, 12, (SIDE, SIDE))  # every image has its own, which is what encoding takes long for
        picture = 60 + 300 * (np.hypot(y - 128, x - 128) < radius) + noise
        image = _header(level, phase, number)
        image.PixelData = np.clip(picture, 0, 4095).astype("<i2").tobytes()
        buffer = io.BytesIO()
        image.save_as(buffer, enforce_file_format=True)
        (folder / f"{number:04d}.dcm").write_bytes(buffer.getvalue())


def _header(level: int, phase: int, number: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"2.25.7.{number + 1}"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.PatientID = "2.25.5", "2.25.6", "bench"
    image.Modality, image.Manufacturer, image.SeriesDescription = "MR", "GE MEDICAL SYSTEMS", "FIESTA CINE SA"
    image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "GR", "SS", ["FAST_GEMS", "CG"]
    image.TriggerTime, image.NominalInterval, image.CardiacNumberOfImages = str(10 + 32 * phase), 640, PHASES
    image.EchoTime, image.RepetitionTime, image.SeriesNumber, image.InstanceNumber = "1.6", "3.7", 5, number + 1
    image.ImageOrientationPatient = [0.6634, 0.7482, 0.0, 0.4190, -0.3715, -0.8285]
    image.ImagePositionPatient = [f"{-60 + 6.2 * level:.3f}", f"{-80 - 5.5 * level:.3f}", f"{90 - 5.6 * level:.3f}"]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = SIDE
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.PixelSpacing = ["1.4", "1.4"]
    for group in (0x0019, 0x0021, 0x0025, 0x0027, 0x0043):
        block = image.private_block(group, "GEMS_BENCH_01", create=True)
        for element in range(PRIVATE_ELEMENTS // 5):
            block.add_new(element, "DS", f"{element * 1.5:.2f}")
    return image
