"""What every filter is: groups of answers in, as many groups out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Rewarded(Protocol):
    """Several answers to one prompt, and what each is worth."""

    @property
    def rewards(self) -> Sequence[float]:
        """One an answer."""
        ...


Group = TypeVar("Group", bound=Rewarded)


@dataclass(frozen=True)
class Filtered(Generic[Group]):
    """The groups that are trained on."""

    groups: list[Group]
    """As many as came in; a replacement has the place of what it replaces."""
    unanimous: int
    """Groups of those that came in whose rewards were all exactly equal."""
    replaced: int
    """Groups that were rolled out in place of such, replacements of replacements included: the cost in rollouts."""
    left: int
    """Groups that are still unanimous."""


class Filter(Protocol):
    """A way of treating groups that teach nothing."""

    def __call__(self, groups: list[Group], roll: Callable[[int], list[Group]]) -> Filtered[Group]:
        """The groups that are trained on.

        Args:
            groups: of a step.
            roll: draws so many new prompts, has them answered and rewarded, and returns their groups.
        """
        ...


def unanimous(rewards: Sequence[float]) -> bool:
    """All rewards are exactly equal: every advantage of the group is 0."""
    return min(rewards) == max(rewards)
