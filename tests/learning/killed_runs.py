"""A training in a process of its own, which may be killed in the midst."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from chordae.learning.tracking import read_losses

RUN = """
import sys
from pathlib import Path
from chordae.learning.launch import train
train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), data_dir=Path(sys.argv[4]))
"""


def run(kind: str, config: Path, output: Path, killed_after: int = 0) -> list[dict[str, float]]:
    """Train, killed once its log has so many steps; returns the steps it left."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, kind, config, output, output.parent],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    log = output.parent / f".{output.name}.training" / "losses.jsonl"
    while killed_after and process.poll() is None and _lines(log) < killed_after:
        time.sleep(0.01)
    if killed_after:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not output.exists(), "nothing half-written"
        return read_losses(log)
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    return read_losses(output.parent / f"{output.name}.losses.jsonl")


def _lines(log: Path) -> int:
    """Counted, not parsed: who looks a hundred times a second must not take the processor from what it watches."""
    return log.read_bytes().count(b"\n") if log.is_file() else 0
