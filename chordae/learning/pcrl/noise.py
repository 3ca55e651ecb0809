"""Records that are nobody's: one patient's parameters, another's description, as a mix-up in an archive leaves them."""

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
