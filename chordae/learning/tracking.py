"""Every step's loss, in a file beside the checkpoints and in MLflow, the same also after a kill.

The file is cut back to the checkpoint that a run goes on from, and MLflow gets what the file has whenever a checkpoint
is whole; so a step that was trained twice is recorded once.
"""

import json
import logging
from pathlib import Path
from typing import IO

from chordae.platform.errors import BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.registry.tracking import TrackedRun

LOSSES = "losses.jsonl"
logger = logging.getLogger(__name__)


class LossLog:
    """`losses.jsonl` of a run: {"step": 1, "loss": ...} a line."""

    def __init__(self, directory: Path, run: TrackedRun | None, step: int) -> None:
        """Go on after `step`; what the file has of later steps is dropped."""
        self.path, self._run = directory / LOSSES, run
        kept = [line for line in read_losses(self.path) if line["step"] <= step]
        write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file: IO[str] = self.path.open("a", buffering=1)  # a line a write: a kill loses none
        self._sent = run.last_step("loss") if run else 0
        self.flush(step)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Note one step."""
        self._file.write(json.dumps({"step": step} | values) + "\n")

    def flush(self, step: int) -> None:
        """A checkpoint of `step` is whole: MLflow may have everything up to it.

        A tracking server that is down now does not end a training; it gets the same steps with the next checkpoint.
        """
        if self._run is None:
            return
        lines = [line for line in read_losses(self.path) if self._sent < line["step"] <= step]
        try:
            self._run.log((int(line.pop("step")), line) for line in lines)
        except BadSettings as error:
            logger.warning("%s", error)
        else:
            self._sent = max(self._sent, step)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_losses(path: Path) -> list[dict[str, float]]:
    """The whole lines of a losses file; none where there is no file."""
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")[:-1]  # the last one ends with a newline or was cut off
    return [json.loads(line) for line in lines]
