"""Streaming: what a second worker adds, and how much memory a worker takes beyond what its frames need.

A corpus of copies with small changes of pydicom's real ECG and real echo loop goes through `ingest`, with one worker
and with two, in turns. The clock runs from the first study's end to the last one's: the start of Ray and its workers,
some seconds a batch, is not what is compared. A worker uses one thread, since Ray reserves one core for it.
"""

import itertools
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import pydicom

from benchmarks.entry import entry
from chordae.platform.cluster import start_ray
from chordae.platform.settings import ClusterSettings, IngestSettings, Settings
from chordae.preprocessing import dicom
from chordae.preprocessing.pipeline import Outcome, ingest

ECGS, ECHOS, CLIPS, ROUNDS = 200, 100, 3, 4
MiB = 1024**2
ALLOWED_MIB = 400
"""And twice the largest study's chosen frames."""


def measure() -> list[dict[str, object]]:
    """Studies a second with two workers over one, and the worst worker's peak memory over its allowance."""
    start_ray(ClusterSettings(num_cpus=2, object_store_bytes=128 * MiB))
    import ray

    try:
        with tempfile.TemporaryDirectory() as folder:
            landing = Path(folder) / "landing"
            frames = make_corpus(landing)
            speeds: dict[int, list[float]] = {1: [], 2: []}
            peaks = []
            for number in range(ROUNDS + 1):
                for workers, seen in speeds.items():
                    speed, peak = _run(Path(folder) / f"var-{number}-{workers}", landing, workers)
                    peaks.append(peak)
                    if number:  # the first round warms up
                        seen.append(speed)
                if number:
                    print(f"round {number}: {speeds[1][-1]:.1f}/s with one worker, {speeds[2][-1]:.1f}/s with two")
    finally:
        ray.shutdown()
    one, two = median(speeds[1]), median(speeds[2])
    ratio = median(b / a for a, b in zip(*speeds.values(), strict=True))
    over = max(peaks) / MiB - (ALLOWED_MIB + 2 * frames / MiB)
    return [
        entry("ingest: two workers / one worker, studies a second", ratio, "x", ">= 1.7"),
        entry("ingest: one worker", one, "studies/s"),
        entry("ingest: two workers", two, "studies/s"),
        entry("ingest: peak memory of a worker", max(peaks) / MiB, "MiB"),
        entry("ingest: peak memory of a worker, MiB over its allowance", over, "MiB", "<= 0"),
    ]


def make_corpus(landing: Path) -> int:
    """Studies that differ in a few samples or pixels; returns the bytes of the largest one's decoded frames."""
    landing.mkdir()
    ecg = pydicom.dcmread(dicom.bundled_ecg())
    samples = bytearray(ecg.WaveformSequence[0].WaveformData)
    for number in range(ECGS):
        samples[2 * number : 2 * number + 2] = (number + 1).to_bytes(2, "little")
        ecg.WaveformSequence[0].WaveformData = bytes(samples)
        ecg.save_as(landing / f"ecg{number:04}.dcm")
    loop = pydicom.dcmread(dicom.bundled_echo())
    for number in range(ECHOS):
        study = landing / f"echo{number:04}"
        study.mkdir()
        for clip in range(1 + number % CLIPS):
            loop.InstanceNumber, loop.SOPInstanceUID = clip + 1, f"2.25.{1 + number}.{1 + clip}"
            loop.save_as(study / f"{clip}.dcm")
    return CLIPS * int(np.prod([loop.NumberOfFrames, loop.Rows, loop.Columns, loop.SamplesPerPixel]))


def _run(data_dir: Path, landing: Path, workers: int) -> tuple[float, int]:
    """One fresh run: studies a second, and the peak memory of a worker in bytes."""
    settings = Settings(data_dir=data_dir, ingest=IngestSettings(workers=workers))
    clock, memory = _Clock(), _Memory()
    with memory:
        ingest([landing], "bench", settings, clock, threading.Event())
    shutil.rmtree(data_dir)
    # the first task's studies are known when it ends: what came before is start, not speed
    first = clock.ends[0]
    after = [end for end in clock.ends if end > first + 0.05]
    return len(after) / (after[-1] - first), memory.peak


class _Clock:
    """Notes when each study had its outcome."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def stage(self, words: str) -> None: ...

    def found(self, studies: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None:
        if outcome.record.state != "done":
            raise SystemExit(f"a study of the benchmark was refused: {outcome.record.problem}")
        self.ends.append(time.monotonic())


class _Memory(threading.Thread):
    """Watches the kernel's own high-water marks of the workers' resident memory."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._ended = threading.Event()

    def __enter__(self) -> "_Memory":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        workers: set[int] = set()
        for second in itertools.count():
            if self._ended.wait(1):
                return
            if second % 4 == 0:  # looking for them takes time from them
                workers = _workers()
            for pid in workers:
                with suppress(FileNotFoundError, ProcessLookupError):
                    self.peak = max(self.peak, _high_water(pid))


def _workers() -> set[int]:
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "MapWorker" in process.name():
                found.add(process.pid)
    return found


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
