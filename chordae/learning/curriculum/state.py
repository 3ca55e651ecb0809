"""Where a curriculum stands, as one JSON file that is there in full or not at all.

It holds everything that later draws depend on, so a run that is killed and goes on from it draws what an unbroken one
would have drawn. It belongs into the trainer's checkpoint of the same step: weights and curriculum go back together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Noun

FILE = "curriculum.json"


class Round(Noun):
    """A round in progress: what was drawn for it, and how far it is."""

    number: int = Field(ge=1)
    ids: tuple[str, ...] = Field(description="Its prompts, in the order in which they are asked")
    cursor: int = Field(0, ge=0, description="So many of them were taken")
    weights: dict[str, float] = Field(description="By class")
    quota: dict[str, int] = Field(description="What the sampler wanted of each class")
    drawn: dict[str, int] = Field(description="What the pools gave")

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.cursor > len(self.ids):
            raise ValueError("cursor: beyond the round's last prompt")
        return self


class CurriculumState(Noun):
    """Posteriors, pools, generator, round and rollout cursor."""

    posteriors: dict[str, Posterior]
    pools: Pools
    generator: dict[str, Any] = Field(description="State of numpy's bit generator")
    rounds: int = Field(0, ge=0, description="Rounds that were assessed")
    current: Round | None = Field(None, description="None between an assessment and the next draw")
    rollouts: int = Field(0, ge=0, description="Answers generated so far, those of filtered groups included")

    def write(self, directory: Path) -> None:
        """As `curriculum.json` in a checkpoint's directory, atomically."""
        write_atomically(directory / FILE, self.model_dump_json().encode())

    @classmethod
    def read(cls, directory: Path) -> CurriculumState:
        """What `write` left.

        Raises:
            BadInput: there is none, or it is not one.
        """
        try:
            return cls.model_validate_json((directory / FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise BadInput(f"{directory} holds no state of a curriculum", "begin the training again") from error

    def refuse_other_examples(self, ids: Mapping[str, Sequence[str]]) -> None:
        """See that the examples are those that the state was made of.

        Raises:
            BadSettings: they are not.
        """
        held = {name: sorted(pool.ids) for name, pool in self.pools.by_class.items()}
        if held != {name: sorted(examples) for name, examples in ids.items()}:
            raise BadSettings(
                "the training examples are not those that this run began with",
                "restore them, or begin again with another output directory",
            )
