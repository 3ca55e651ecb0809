"""What every sampler is: classes' quotas decided, examples drawn from their pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior


@dataclass(frozen=True)
class Batch:
    """The prompts of a round, and how they came about."""

    ids: tuple[str, ...]
    """In random order: any part of them is a mixture of the classes."""
    weights: dict[str, float]
    """By class, relative to one another."""
    quota: dict[str, int]
    """What the sampler wanted of each class."""
    drawn: dict[str, int]
    """What it got: a class that was too small gave less, others more."""


class Sampler(Protocol):
    """A way of sharing a batch among the classes."""

    def __call__(
        self, pools: Pools, posteriors: Mapping[str, Posterior], size: int, generator: np.random.Generator
    ) -> Batch:
        """`size` examples; the pools move on.

        Args:
            pools: what each class has to give.
            posteriors: what is believed of each class's accuracy.
            size: of the batch.
            generator: decides everything that is random.

        Raises:
            BadSettings: more is wanted than there are examples.
        """
        ...


def draw_batch(
    pools: Pools, weights: Mapping[str, float], quota: Mapping[str, int], generator: np.random.Generator
) -> Batch:
    """The batch of a quota."""
    drawn = pools.draw(quota, generator)
    ids = [one for examples in drawn.values() for one in examples]
    return Batch(
        ids=tuple(ids[place] for place in generator.permutation(len(ids))),
        weights=dict(weights),
        quota=dict(quota),
        drawn={name: len(examples) for name, examples in drawn.items()},
    )
