"""Media of a dataset at the size that a model sees, ready in memory.

Decoding a grid video takes 30 to 90 ms, a training step has 32 of them. So every file is read once, reduced exactly as
serving reduces it, and kept in one memory-mapped file beside the dataset, named by all that it follows from.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.learning.video_frames import Patches, seconds_per_grid, seen_frames, video_patches
from chordae.platform.errors import BadInput
from chordae.platform.picture import fit_picture
from chordae.platform.schemas import KIND_OF, Modality

VERSION = 1
"""Raised when media are reduced in another way."""
ENOUGH_FOR_POOL = 64

Pixels = NDArray[np.uint8]
"""(frames, height, width, 3) RGB; a picture has one frame."""


@dataclass(frozen=True)
class View:
    """How a model sees its media: width and height in px, and how many frames."""

    modality: Modality
    size: tuple[int, int]
    frames: int = 1


@dataclass(frozen=True)
class Seen:
    """One study as a model sees it, and the seconds from one patch in time to the next (0: a picture)."""

    pixels: Pixels
    seconds: float

    def patches(self) -> Patches:
        """(patches, 1176) float32 and their (time, rows, columns) grid."""
        return video_patches(self.pixels)


def see(path: Path, view: View) -> Seen:
    """Read one picture or video as serving shows it to the model.

    Raises:
        BadInput: not there, or not readable.
    """
    if KIND_OF[view.modality] == "video":
        pixels = seen_frames(path, view.frames, view.size)
        if len(pixels) < view.frames:
            raise BadInput(f"{path.name} has fewer than {view.frames} frames", "prepare its study again")
        return Seen(pixels, _seconds(path, view.frames))
    drawn = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if drawn is None:
        raise BadInput(f"{path.name} is no readable picture", "prepare its study again")
    reduced = fit_picture(np.asarray(drawn, np.uint8), view.size)
    return Seen(np.ascontiguousarray(reduced[None, :, :, ::-1]), 0.0)


def _seconds(path: Path, frames: int) -> float:
    video = cv2.VideoCapture(str(path))
    return seconds_per_grid(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS), frames)


class MediaCache:
    """All media of a dataset, by their number in `paths`."""

    def __init__(self, dataset: Path, paths: Sequence[str], view: View) -> None:
        self.view = view
        self.shape = (len(paths), view.frames, view.size[1], view.size[0], 3)
        key = hashlib.sha256(f"{VERSION} {view}\n".encode())
        for path in paths:
            try:
                key.update(f"{path} {(dataset / path).stat().st_size}\n".encode())
            except OSError as error:
                raise BadInput(f"{dataset} lacks {path}", "copy or make the dataset again") from error
        self.file = dataset / "cache" / f"{key.hexdigest()[:32]}.npy"
        if not self.file.is_file():
            _fill(self.file, [dataset / path for path in paths], view, self.shape)
        self._open()

    def _open(self) -> None:
        self.pixels: Pixels = np.load(self.file, mmap_mode="r")
        self.seconds: NDArray[np.float32] = np.load(_beside(self.file))

    def __getstate__(self) -> dict[str, object]:
        return {"file": self.file, "view": self.view, "shape": self.shape}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()  # another process maps the file again

    def __getitem__(self, number: int) -> Seen:
        return Seen(self.pixels[number], float(self.seconds[number]))


def _fill(file: Path, paths: Sequence[Path], view: View, shape: tuple[int, ...]) -> None:
    """Write both files whole or not at all; the pixels' name appears last."""
    file.parent.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
    os.close(descriptor)
    part = Path(name)
    try:
        pixels = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
        seconds = np.zeros(len(paths), np.float32)
        for number, seen in enumerate(_all(paths, view)):
            pixels[number], seconds[number] = seen.pixels, seen.seconds
        pixels.flush()
        del pixels
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", suffix=".part", delete=False) as beside:
            np.save(beside, seconds)
        Path(beside.name).replace(_beside(file))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _all(paths: Sequence[Path], view: View) -> Iterator[Seen]:
    if len(paths) < ENOUGH_FOR_POOL:
        yield from (see(path, view) for path in paths)
        return
    # spawn: OpenCV and OpenMP threads of this process do not survive a fork
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(see, view=view), paths, chunksize=8)


def _beside(file: Path) -> Path:
    return file.with_suffix(".seconds.npy")
