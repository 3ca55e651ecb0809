"""Records that are wrong: mixed up one by one, as in an archive, or a whole site's, all by the same template."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chordae.platform.diagnosis.record import CmrRecord


def mixed_up(records: Sequence[CmrRecord], seed: int) -> list[CmrRecord]:
    """As many records, each with the description of another one; two at least."""
    if len(records) < 2:
        raise ValueError("a mix-up takes two records")
    order = np.random.default_rng(seed).permutation(len(records))
    others = {int(place): int(other) for place, other in zip(order, np.roll(order, 1), strict=True)}
    return [
        record.model_copy(update={"description": records[others[place]].description})
        for place, record in enumerate(records)
    ]


def templated(records: Sequence[CmrRecord], filled_in: CmrRecord) -> list[CmrRecord]:
    """As many records, each with its own parameters and the description that somebody has filled in for all."""
    return [record.model_copy(update={"description": filled_in.description}) for record in records]
