"""Where a round's files lie, and what can be made of them again at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from chordae.learning.checkpoint import manifest_of
from chordae.learning.config import load_config
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.unlabelled import Unlabelled, write_unlabelled
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.ledger_records import ProspectiveRecord


@dataclass(frozen=True)
class Place:
    """A round's directory."""

    directory: Path

    @property
    def records(self) -> Path:
        """What is learned from."""
        return self.directory / "records"

    @property
    def recipe(self) -> Path:
        """How: a configuration of type pcrl."""
        return self.directory / "pcrl.yaml"

    @property
    def model(self) -> Path:
        """The checkpoint that comes of it."""
        return self.directory / "model"

    @property
    def trial(self) -> Path:
        """What was measured of champion and candidate."""
        return self.directory / "trial.json"

    @property
    def page(self) -> Path:
        """The gate's decision, for people."""
        return self.directory / "gate.html"


def place_of(data_dir: Path, model: str, number: int) -> Place:
    """The place of round `number` of a model."""
    return Place(data_dir.resolve() / "learning" / model / f"round-{number:06d}")


def write_records(place: Place, records: list[ProspectiveRecord]) -> None:
    """What the ledger has of the round, for the trainer."""
    write_unlabelled(
        place.records,
        (Unlabelled(id=one.id, site=one.site, record=CmrRecord.model_validate(one.content)) for one in records),
    )


def write_recipe(place: Place, base: Path, model: str, version: str, champion: Path) -> None:
    """The configuration of the round: `base` with the round's own name, start and records. One that is there stays:
    a round that goes on learns what it began to learn, whoever has become champion.

    Raises:
        BadSettings: `base` is wrong, or of another type.
    """
    if place.recipe.is_file():
        return
    recipe = load_config(base)
    if not isinstance(recipe, PcrlConfig):
        raise BadSettings(f"{base.name} has the type {recipe.type}", "learning.recipe is a file of type pcrl")
    own = {"name": model, "version": version, "start": str(champion), "unlabelled": [str(place.records)]}
    told = recipe.model_dump(mode="json") | own
    write_atomically(place.recipe, yaml.safe_dump(told, sort_keys=False).encode())


def is_made(place: Place) -> bool:
    """Whether the round's checkpoint is there, of the round's own configuration."""
    if not place.recipe.is_file() or not place.model.is_dir():
        return False
    lineage = manifest_of(place.model).get("lineage") or {}
    return bool(lineage.get("config") == load_config(place.recipe).digest())
