"""A record said in another order: what it means stays, so a diagnosis that changes with it rests on the wording.

The lines of the description are shuffled and numbered anew; parameters keep the order that every prompt has. Citations
of an answer are held against the record as it was asked (`check`), numbers included.
"""

from __future__ import annotations

import numpy as np

from chordae.platform.diagnosis.record import CmrRecord


def reworded(record: CmrRecord, number: int) -> CmrRecord:
    """Wording `number` of a record: 0 is the record itself; the same number is the same wording in every process.

    A record of fewer than two findings has one wording alone.

    Raises:
        ValueError: a number below 0.
    """
    if number < 0:
        raise ValueError("wordings count from 0")
    count = len(record.description)
    if number == 0 or count < 2:
        return record
    order = np.random.default_rng((count, number)).permutation(count)
    if (order == np.arange(count)).all():
        order = np.roll(order, 1)
    numbers = [one.number for one in record.description]
    lines = (record.description[int(place)] for place in order)
    shuffled = (line.model_copy(update={"number": kept}) for line, kept in zip(lines, numbers, strict=True))
    return record.model_copy(update={"description": tuple(shuffled)})
