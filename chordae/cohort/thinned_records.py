"""Records as hospitals send them: without indices, right ventricle, ranges, table, description or person.

The simulated sites measure everything; a reasoner that never met a gap would fill it.
"""

from __future__ import annotations

import numpy as np

from chordae.cohort.chains import rests_on_something
from chordae.cohort.record_cases import Case

WITHOUT = (
    ("LV EDV index", "LV mass index", "RV EDV index"),
    ("LV EDV", "LV ESV", "RV EDV", "RV ESV", "LV mass"),
    ("RV EF", "RV EDV", "RV ESV", "RV EDV index"),
    ("LV mass", "LV mass index"),
    ("Wall thickness",),
    ("LA volume index",),
)
"""What a table lacks together, each with the probability `GAP`."""
GAP, SILENT, LINES, NOBODY = 0.4, 0.25, 0.3, 0.3
"""Probabilities of a gap, of no description at all, of each line's absence else, and of no sex and age."""
NO_TABLE, RANGELESS, ESTIMATED = 0.15, 0.1, 0.15
"""Probabilities of no parameters at all, of none with a range, and of estimates instead of measurements."""


def thinned(case: Case, rng: np.random.Generator) -> Case:
    """The case with gaps in its record; as it is where a chain would then rest on nothing."""
    gone = {name for group in WITHOUT if rng.random() < GAP for name in group}
    silent, nobody = rng.random() < SILENT, rng.random() < NOBODY
    kept = [not silent and rng.random() >= LINES for _ in case.topics]
    record, change = case.record, dict[str, object]()
    if rng.random() < NO_TABLE:
        gone = {one.name for one in record.parameters}
    if rng.random() < RANGELESS:
        change |= {"low": None, "high": None}
    if rng.random() < ESTIMATED:
        change["source"] = "estimate"
    thin = record.model_copy(
        update={
            "parameters": tuple(one.model_copy(update=change) for one in record.parameters if one.name not in gone),
            "description": tuple(
                one.model_copy(update={"number": number})
                for number, one in enumerate(
                    (line for line, keep in zip(record.description, kept, strict=True) if keep), start=1
                )
            ),
            "sex": None if nobody else record.sex,
            "age": None if nobody else record.age,
        }
    )
    topics = tuple(topic for topic, keep in zip(case.topics, kept, strict=True) if keep)
    found = case.model_copy(update={"record": thin, "topics": topics})
    return found if rests_on_something(found) else case
