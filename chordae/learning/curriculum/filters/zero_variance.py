"""Groups whose rewards are all exactly equal are replaced by those of newly drawn prompts, so often and no more.

Source: dynamic sampling of DAPO (Yu et al., arXiv:2503.14476, section 3.2), with a bound: a model that is always right,
or never, would be asked without end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chordae.learning.curriculum.filters.filter import Filtered, Group, unanimous


@dataclass(frozen=True)
class ReplaceUnanimous:
    """Replace unanimous groups, `resamplings` times at most."""

    resamplings: int

    def __call__(self, groups: list[Group], roll: Callable[[int], list[Group]]) -> Filtered[Group]:
        """What is still unanimous after the last resampling is kept: it teaches nothing, and keeps the step's size.

        Raises:
            ValueError: `roll` returned another number of groups than it was asked for.
        """
        kept, replaced = list(groups), 0
        equal = _places(kept)
        first = len(equal)
        for _ in range(self.resamplings):
            if not equal:
                break
            fresh = roll(len(equal))
            for place, group in zip(equal, fresh, strict=True):
                kept[place] = group
            replaced += len(fresh)
            equal = [place for place in equal if unanimous(kept[place].rewards)]
        return Filtered(groups=kept, unanimous=first, replaced=replaced, left=len(equal))


def _places(groups: list[Group]) -> list[int]:
    return [place for place, group in enumerate(groups) if unanimous(group.rewards)]
