"""What each class has to give: large classes are used up pass by pass, small ones are reused at every draw.

Source: CMR-R, MA-GRPO: examples of large classes are used without replacement, those of small classes (below a size
threshold) are reused, and what a class cannot supply is filled from others. Two things are settled here that the source
leaves open. A draw never holds an example twice, so a small class supplies its size at most. And a large class whose
pass ends within a draw goes on with a new pass, freshly shuffled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.schemas import Noun


class Pool(Noun):
    """The examples of one class."""

    ids: tuple[str, ...] = Field(min_length=1, description="In the order of this pass, where there are passes")
    small: bool = Field(description="Reused at every draw; else used without replacement")
    used: int = Field(0, ge=0, description="So many of the first were drawn in this pass; 0 in small pools")

    def take(self, count: int, generator: np.random.Generator) -> tuple[tuple[str, ...], Pool]:
        """`count` different examples, at most all, and the pool without them."""
        if self.small:
            places = generator.choice(len(self.ids), count, replace=False)
            return tuple(self.ids[place] for place in places), self
        taken = self.ids[self.used : self.used + count]
        lacking = count - len(taken)
        if not lacking:
            return taken, self.model_copy(update={"used": self.used + count})
        # A new pass: what this draw has already comes last in it, so that the draw holds nothing twice.
        drawn = set(taken)
        order = (
            *_shuffled([one for one in self.ids if one not in drawn], generator),
            *_shuffled(taken, generator),
        )
        return taken + order[:lacking], Pool(ids=order, small=False, used=lacking)


class Pools(BaseModel):
    """Every class's pool; drawing moves it on. As JSON it is all that a resumed run needs to draw the same."""

    model_config = ConfigDict(extra="forbid")

    by_class: dict[str, Pool]

    @classmethod
    def begin(cls, ids: Mapping[str, Sequence[str]], small_below: int, generator: np.random.Generator) -> Pools:
        """Pools of which nothing is used.

        Args:
            ids: the examples of each class.
            small_below: classes with fewer examples are small.
            generator: shuffles the first pass of the large ones.

        Raises:
            BadInput: a class without examples, or an example that is there twice.
        """
        empty = [name for name, examples in ids.items() if not examples]
        if empty or not ids:
            raise BadInput(f"no examples of {', '.join(empty) or 'any class'}", "train on data that has every class")
        every = [one for examples in ids.values() for one in examples]
        if len(set(every)) < len(every):
            raise BadInput("an example is there twice, or in two classes", "give every example an id of its own")
        return cls(
            by_class={
                name: Pool(ids=tuple(examples), small=True)
                if len(examples) < small_below
                else Pool(ids=_shuffled(examples, generator), small=False)
                for name, examples in ids.items()
            }
        )

    def sizes(self) -> dict[str, int]:
        """Examples of each class, used or not."""
        return {name: len(pool.ids) for name, pool in self.by_class.items()}

    def supply(self, quota: Mapping[str, int], generator: np.random.Generator) -> dict[str, int]:
        """What each class gives for a quota: all of it where it can; the rest comes from classes chosen evenly.

        Raises:
            BadSettings: more is wanted than there are examples.
        """
        sizes, wanted = self.sizes(), sum(quota.values())
        if wanted > sum(sizes.values()):
            raise BadSettings(
                f"a round of {wanted} prompts needs more than the {sum(sizes.values())} examples there are",
                "make rounds smaller",
            )
        counts = {name: min(quota.get(name, 0), size) for name, size in sizes.items()}
        for _ in range(wanted - sum(counts.values())):
            open_classes = [name for name in counts if counts[name] < sizes[name]]
            counts[open_classes[generator.integers(len(open_classes))]] += 1
        return counts

    def draw(self, quota: Mapping[str, int], generator: np.random.Generator) -> dict[str, tuple[str, ...]]:
        """As many examples as the quota's sum, by class, none twice.

        Raises:
            BadSettings: more is wanted than there are examples.
        """
        drawn = {}
        for name, count in self.supply(quota, generator).items():
            drawn[name], self.by_class[name] = self.by_class[name].take(count, generator)
        return drawn


def _shuffled(ids: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    return tuple(ids[place] for place in generator.permutation(len(ids)))
