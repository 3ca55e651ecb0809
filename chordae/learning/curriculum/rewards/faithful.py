"""Whether the chain says what the record says: a reward that needs no label."""

from __future__ import annotations

from chordae.platform.diagnosis.chain import Chain
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.record import CmrRecord


def faithful_reward(chain: Chain, record: CmrRecord) -> float:
    """1.0 where the chain has its form and every citation holds against the record, by the check that serves; else 0.0.

    Args:
        chain: parsed.
        record: as the reasoner was asked about it.
    """
    return float(chain.well_formed and check(chain, record).faithful)
