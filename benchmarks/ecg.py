"""How long an ECG takes from its file to the model's picture: against merely encoding that picture, and in all formats.

In the first measure both sides write the PNG with the same flags, and take turns within one run. All keep to one thread
and wait for nothing, so their processor time is what a quiet machine's clock would show; that of a busy one charges
the work of its neighbours, and more of it to the longer side.
"""

import runpy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import wfdb
from pydicom.data import get_testdata_file
from scipy.io import savemat

from benchmarks.entry import entry
from chordae.preprocessing.ecg import LEADS, clean, encode_png, prepare_ecg, read_ecg, render_marcus

ROUNDS = 60
ROUNDS_OF_ALL_FORMATS = 15
BAR = "<= 3"
FILES_A_SECOND = ">= 40"

WRITERS = Path(__file__).parents[1] / "tests" / "preprocessing" / "ecg" / "ecg_files.py"
"""The formats that no installed package writes."""


def measure() -> list[dict[str, object]]:
    """Two entries for DICOM and .npy: the ratio, and the milliseconds it comes from; and the rate over all formats."""
    bundled = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    with tempfile.TemporaryDirectory() as folder:
        paths = {"dicom": bundled, **_in_other_formats(bundled, Path(folder))}
        return [*_ratio("dicom", bundled), *_ratio("npy", paths["npy"]), *_rate(paths)]


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


def _rate(paths: dict[str, Path]) -> list[dict[str, object]]:
    """Files a second where as many come in each format, and what one takes in the slowest of them."""
    for path in paths.values():
        prepare_ecg(path)
    spent = {name: median(_seconds(lambda path=path: prepare_ecg(path)) for _ in range(ROUNDS_OF_ALL_FORMATS))  # type: ignore[misc]
             for name, path in paths.items()}  # fmt: skip
    slowest = max(spent, key=lambda name: spent[name])
    return [
        entry(f"ecg: files a second on one core, file -> PNG, {len(spent)} formats", len(spent) / sum(spent.values()),
              "1/s", FILES_A_SECOND),
        entry(f"ecg: the slowest of them, {slowest}", spent[slowest] * 1e3, "ms"),
    ]  # fmt: skip


def _in_other_formats(bundled: Path, folder: Path) -> dict[str, Path]:
    """The bundled recording as every other format has it: ten seconds at 500 Hz, 5 uV a bit."""
    millivolts = clean(read_ecg(bundled)).signal
    counts = np.round(millivolts * 200).astype(int)
    np.save(folder / "ecg.npy", millivolts)
    savemat(folder / "matlab.mat", {"ECG": {"data": counts * 0.005}}, do_compression=True)
    wfdb.wrsamp("wfdb", 500, ["mV"] * len(LEADS), list(LEADS), counts.T * 0.005, fmt=["16"] * len(LEADS),
                write_dir=str(folder))  # fmt: skip
    write = runpy.run_path(str(WRITERS))
    eight = write["rows"](counts, write["EIGHT"])
    (folder / "muse.xml").write_bytes(write["muse"](eight, microvolts=5.0))
    (folder / "cardiosoft.xml").write_bytes(write["cardiosoft"](counts))
    (folder / "philips.xml").write_bytes(write["philips"](counts))
    (folder / "aecg.xml").write_bytes(write["aecg"](counts, microvolts=5.0))
    (folder / "ecg.scp").write_bytes(write["scp"](eight))
    names = {"npy": "ecg.npy", "matlab": "matlab.mat", "wfdb": "wfdb.hea", "scp-ecg": "ecg.scp"}
    names |= {name: f"{name}.xml" for name in ("muse", "cardiosoft", "philips", "aecg")}
    return {name: folder / file for name, file in names.items()}


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
