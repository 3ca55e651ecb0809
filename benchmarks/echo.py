"""How long an echo study takes from its folder to the grid, against decoding those frames and encoding that grid only.

The study is made of pydicom's real loop: 30 clips of 30 frames, each begins at another frame, so that none is another's
copy. Both sides use one thread and take turns within one run; processor time, as in `benchmarks.ecg`.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid

from benchmarks.entry import entry
from chordae.preprocessing import archive, dicom, grid
from chordae.preprocessing.echo import prepare_echo
from chordae.preprocessing.grid import Layout, PreparedVideo

CLIPS, FRAMES = 30, 30
ROUNDS = 15


def measure() -> list[dict[str, object]]:
    """The ratio and the seconds."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            write_study(folder)
            prepared, shown, layout = _watched(folder)
            chosen = _chosen(folder, prepared)
            whole, floor = [], []
            for _ in range(ROUNDS):
                whole.append(_seconds(lambda: _study(folder)))
                floor.append(_seconds(lambda: _floor(chosen, shown, layout)))
    finally:
        cv2.setNumThreads(threads)
    # each round by itself: a busy neighbour slows both sides of it
    ratio = median(one / other for one, other in zip(whole, floor, strict=True))
    return [
        entry(f"echo: study of {CLIPS} clips -> grid / floor", ratio, "x", "<= 1.6"),
        entry(f"echo: {CLIPS} clips x {FRAMES} frames, folder -> grid", median(whole), "s", "<= 3"),
    ]


def write_study(folder: Path) -> None:
    """One file a clip."""
    original = pydicom.dcmread(dicom.bundled_echo())
    frames = list(generate_frames(original.PixelData, number_of_frames=FRAMES))
    for number in range(CLIPS):
        original.InstanceNumber = number + 1
        original.SOPInstanceUID = original.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[str(number)]
        )
        original.PixelData = encapsulate(frames[number:] + frames[:number])
        original.save_as(folder / f"{number:03d}.dcm")


def _study(folder: Path) -> PreparedVideo:
    return prepare_echo([dicom.read_instance(member.data) for member in archive.members(folder)])


def _watched(folder: Path) -> tuple[PreparedVideo, list[NDArray[np.uint8]], Layout]:
    """What is prepared, and the frames as they went into the encoder."""
    seen: list[NDArray[np.uint8]] = []
    layouts: list[Layout] = []

    def watching(frames: Iterable[NDArray[np.uint8]], layout: Layout) -> bytes:
        seen.extend(frame.copy() for frame in frames)
        layouts.append(layout)
        return grid.encode_mp4(seen, layout)

    with patch.object(grid.Grid, "mp4", lambda self: watching(self.frames(), self._layout)):
        prepared = _study(folder)
    return prepared, seen, layouts[-1]


def _chosen(folder: Path, prepared: PreparedVideo) -> list[tuple[dicom.Instance, list[int]]]:
    """The clips in the video and which of their frames, as the sidecar tells."""
    tiles: Any = prepared.sidecar["tiles"]
    files = [dicom.read_instance(path.read_bytes()) for path in sorted(folder.iterdir())]
    return [(files[tile["instance_number"] - 1], tile["frames"]) for tile in tiles]


def _floor(chosen: list[tuple[dicom.Instance, list[int]]], shown: list[NDArray[np.uint8]], layout: Layout) -> None:
    for instance, frames in chosen:
        dicom.decode(instance, frames)
    grid.encode_mp4(shown, layout)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
