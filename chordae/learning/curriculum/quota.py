"""Whole examples in proportion to weights: the method of the largest remainder (Hamilton's apportionment)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def apportion(weights: Mapping[str, float], size: int, generator: np.random.Generator) -> dict[str, int]:
    """How many of `size` examples each class gets; the sum is `size`, each within one of its exact share.

    Args:
        weights: by class, none below 0. Where all are 0 every class weighs the same.
        size: examples in all.
        generator: says who comes first among equal remainders, so that no class is always last.

    Raises:
        ValueError: no class, a negative or infinite weight, or a negative size.
    """
    names, values = list(weights), np.array(list(weights.values()), dtype=np.float64)
    if not names or size < 0 or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("examples are apportioned to at least one class, by weights from 0 up")
    largest = values.max()
    # Divided by the largest first: a sum of very large or very small weights would overflow or vanish.
    values = values / largest if largest > 0 else np.ones_like(values)
    exact = size * values / values.sum()
    quota = np.floor(exact).astype(np.int64)
    order = np.lexsort((generator.random(len(names)), quota - exact))  # largest remainder first, ties at random
    quota[order[: size - int(quota.sum())]] += 1
    return {name: int(count) for name, count in zip(names, quota, strict=True)}
