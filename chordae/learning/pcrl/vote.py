"""Which category the answers about a case vote for, each with the weight of its certainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from chordae.platform.noun import Noun

TIE = 1e-9
"""Shares of the weight that differ by less are equal: sums of the same terms in another order differ by rounding."""


class Vote(Noun):
    """How the answers voted."""

    winner: str | None = Field(description="None: a tie, or no answer with a category and any certainty")
    margin: float = Field(ge=0, le=1, description="Share of the winner less that of the next; 0 without a winner")
    shares: Mapping[str, float] = Field(description="Of all answers' weight by category; the rest had no category")
    tie: bool


def vote(categories: Sequence[str | None], uncertainties: Sequence[float]) -> Vote:
    """Weigh each of n answers with 1 - its uncertainty.

    An answer without a category weighs 1 and votes for none: it lowers the margin.

    Args:
        categories: (n,) the answers'.
        uncertainties: (n,) 0 to 1.

    Raises:
        ValueError: different numbers of both, or an uncertainty outside 0 to 1.
    """
    if not all(0 <= one <= 1 for one in uncertainties):
        raise ValueError("uncertainties are from 0 to 1")
    weights: dict[str, list[float]] = {}
    blank = 0
    for category, doubt in zip(categories, uncertainties, strict=True):
        if category is None:
            blank += 1
        else:
            weights.setdefault(category, []).append(1 - doubt)
    sums = {name: math.fsum(some) for name, some in weights.items()}
    total = math.fsum(sums.values()) + blank
    if total <= 0:
        return Vote(winner=None, margin=0.0, shares=dict.fromkeys(sorted(sums), 0.0), tie=len(sums) > 1)
    shares = {name: sums[name] / total for name in sorted(sums)}
    ranked = sorted(shares.values(), reverse=True)
    first, second = (*ranked, 0.0, 0.0)[:2]
    tie = len(ranked) > 1 and first - second < TIE
    if tie or first <= 0:
        return Vote(winner=None, margin=0.0, shares=shares, tie=tie)
    return Vote(winner=max(shares, key=shares.__getitem__), margin=min(1.0, first - second), shares=shares, tie=False)
