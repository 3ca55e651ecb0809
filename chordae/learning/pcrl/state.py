"""Where a run of PCRL stands: the round's pseudo-labels and what is watched, in the trainer's checkpoint.

Labels are kept, not made again: the weights that gave them are gone once the round has begun to train.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from chordae.cohort.dataset import read_rows, write_rows
from chordae.learning.pcrl.abstention import PseudoLabel
from chordae.learning.pcrl.brakes import RoundFigures
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.noun import Noun

FILE = "pcrl.json"
LABELS = "labels.jsonl"
"""Beside a checkpoint: what each record was taken for, or why for nothing."""


class PcrlState(Noun):
    """All that later steps depend on and that weights and step do not say."""

    labels: tuple[tuple[PseudoLabel, ...], ...] = Field((), description="Of each round that has begun")
    start: RoundFigures | None = Field(None, description="Of the champion; none: not looked at yet")

    @property
    def rounds(self) -> int:
        """That have begun."""
        return len(self.labels)

    def write(self, directory: Path) -> None:
        """As `pcrl.json`, atomically."""
        write_atomically(directory / FILE, self.model_dump_json().encode())

    @classmethod
    def read(cls, directory: Path) -> PcrlState:
        """What `write` left.

        Raises:
            BadInput: there is none, or it is not one.
        """
        try:
            return cls.model_validate_json((directory / FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise BadInput(f"{directory} holds no state of PCRL", "begin the training again") from error


def write_labels(directory: Path, state: PcrlState) -> None:
    """Every record's pseudo-label as `labels.jsonl`."""
    write_rows(directory / LABELS, (label for part in state.labels for label in part))


def read_labels(checkpoint: Path) -> list[PseudoLabel]:
    """What the run that made this checkpoint took its records for. Raises BadInput as `read_rows` does."""
    return read_rows(checkpoint.with_name(f"{checkpoint.name}.{LABELS}"), PseudoLabel)
