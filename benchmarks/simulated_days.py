"""A ledger's moments moved to simulated days: what was written since a day began is of that day.

The ledger takes every moment from the clock, as it must. So a simulation lets it, and moves what it wrote afterwards.
The simulated days lie before any real moment of the run: what is later than all of them has not been moved yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from chordae.platform.ledger_gate import FeedbackRow, GateDecisionRow
from chordae.platform.ledger_learning import LearningRoundRow
from chordae.platform.ledger_promotions import PromotionRow
from chordae.platform.ledger_records import RecordRow
from chordae.platform.migrations.database import open_database

MOMENTS = {
    RecordRow: ("came_at",),
    FeedbackRow: ("given_at",),
    LearningRoundRow: ("begun_at", "changed_at"),
    GateDecisionRow: ("decided_at",),
    PromotionRow: ("begun_at", "done_at"),
}


def move(url: str, began: datetime, day: datetime, last: datetime) -> None:
    """Move every moment later than `last`, the end of all simulated days, to `day`.

    It is as long after the beginning of `day` as it was after `began`; one before `began`, of a run that was killed, is
    at the beginning.
    """
    engine = open_database(url)
    try:
        with Session(engine) as session, session.begin():
            for table, names in MOMENTS.items():
                for row in session.scalars(select(table)):
                    for name in names:
                        at = getattr(row, name)
                        if at is not None and at > last:
                            setattr(row, name, day + max(at - began, timedelta()))
    finally:
        engine.dispose()
