"""What every advantage is: a number for each answer, from the rewards of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Advantage(Protocol):
    """A way of comparing the answers to a prompt."""

    def __call__(self, rewards: Array, classes: Sequence[str]) -> Array:
        """The advantages of a step.

        Args:
            rewards: (P, G): G answers to each of P prompts, of all workers.
            classes: (P,) of the prompts.

        Returns:
            (P, G).
        """
        ...
