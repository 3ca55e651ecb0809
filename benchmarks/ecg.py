"""How long an ECG takes from its file to the model's picture, against merely encoding that picture.

Both sides write the PNG with the same flags, and take turns within one run. Both keep to one thread and wait for
nothing, so their processor time is what a quiet machine's clock would show; that of a busy one charges the work of its
neighbours, and more of it to the longer side.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.data import get_testdata_file

from benchmarks.entry import entry
from chordae.preprocessing.ecg import clean, encode_png, prepare_ecg, read_ecg, render_marcus

ROUNDS = 60
BAR = "<= 3"


def measure() -> list[dict[str, object]]:
    """One entry a file format: the ratio, and the milliseconds it comes from."""
    bundled = get_testdata_file("waveform_ecg.dcm", download=False)
    with tempfile.TemporaryDirectory() as folder:
        npy = Path(folder) / "ecg.npy"
        np.save(npy, clean(read_ecg(Path(str(bundled)))).signal)
        return [*_ratio("dicom", Path(str(bundled))), *_ratio("npy", npy)]


def _ratio(name: str, path: Path) -> list[dict[str, object]]:
    picture = render_marcus(clean(read_ecg(path)).signal)
    whole, encoding = [], []
    for _ in range(ROUNDS):
        whole.append(_seconds(lambda: prepare_ecg(path)))
        encoding.append(_seconds(lambda: encode_png(picture)))
    ratio = median(whole) / median(encoding)
    return [
        entry(f"ecg {name}: file -> filtered -> PNG / encoding that PNG", ratio, "x", BAR),
        entry(f"ecg {name}: file -> filtered -> PNG", median(whole) * 1e3, "ms"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
