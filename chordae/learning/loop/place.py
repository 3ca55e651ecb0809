"""Where a round's files lie, and what can be made of them again at any moment."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import yaml

from chordae.learning.checkpoint import manifest_of
from chordae.learning.config import load_config
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.replay import steps_for
from chordae.learning.pcrl.unlabelled import Unlabelled, write_unlabelled
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadSettings, RoundUnderWay
from chordae.platform.files import write_atomically
from chordae.platform.ledger_learning import LearningRound
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


def place_of(data_dir: Path, found: LearningRound) -> Place:
    """The place of a round: by its number and when it began, for another ledger counts from 1 again."""
    name = f"round-{found.id:06d}-{found.begun_at.astimezone(UTC):%Y%m%dT%H%M%S}"
    return Place(data_dir.resolve() / "learning" / found.model / name)


@contextmanager
def alone(data_dir: Path, model: str) -> Iterator[None]:
    """While nobody else works on the rounds of a model; a killed one's lock is free at once.

    Raises:
        RoundUnderWay: somebody does.
    """
    folder = data_dir.resolve() / "learning" / model
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RoundUnderWay(f"another loop works on a round of {model}", "one loop a model is enough") from error
        yield


def write_records(place: Place, records: list[ProspectiveRecord]) -> None:
    """What the ledger has of the round, for the trainer."""
    write_unlabelled(
        place.records,
        (Unlabelled(id=one.id, site=one.site, record=CmrRecord.model_validate(one.content)) for one in records),
    )


def write_recipe(place: Place, recipe: PcrlConfig, model: str, version: str, champion: Path, records: int) -> None:
    """The configuration of the round: `recipe` with the round's own name, start and records, and as many steps as let
    each record come up once, were all labelled. One that is there stays: a round that goes on learns what it began to
    learn, whoever has become champion.
    """
    if place.recipe.is_file():
        return
    own = {"name": model, "version": version, "start": str(champion), "unlabelled": [str(place.records)]}
    told = recipe.model_dump(mode="json") | own | {"round_steps": steps_for(recipe, records), "steps": 0}
    write_atomically(place.recipe, yaml.safe_dump(told, sort_keys=False).encode())


def read_recipe(path: Path) -> PcrlConfig:
    """What all rounds share.

    Raises:
        BadSettings: it is wrong, or of another type.
    """
    recipe = load_config(path)
    if not isinstance(recipe, PcrlConfig):
        raise BadSettings(f"{path.name} has the type {recipe.type}", "learning.recipe is a file of type pcrl")
    return recipe


def is_made(place: Place) -> bool:
    """Whether the round's checkpoint is there, of the round's own configuration."""
    if not place.recipe.is_file() or not place.model.is_dir():
        return False
    lineage = manifest_of(place.model).get("lineage") or {}
    return bool(lineage.get("config") == load_config(place.recipe).digest())
