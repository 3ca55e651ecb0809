"""Every group is kept; unanimous ones are counted."""

from __future__ import annotations

from collections.abc import Callable

from chordae.learning.curriculum.filters.filter import Filtered, Group, unanimous


def keep_all(groups: list[Group], roll: Callable[[int], list[Group]]) -> Filtered[Group]:
    """The groups as they are; nothing is rolled out."""
    count = sum(unanimous(group.rewards) for group in groups)
    return Filtered(groups=groups, unanimous=count, replaced=0, left=count)
