"""What came in for learning and what was said of it, by site and moment: enough to count, and nothing of a patient.

No record's id, content or patient is read here, so that no report can show one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union

from chordae.platform.ledger import Ledger
from chordae.platform.ledger_gate import FeedbackRow, GateDecisionRow
from chordae.platform.ledger_learning import LearnedRecordRow, LearningRoundRow
from chordae.platform.ledger_records import RecordRow


@dataclass(frozen=True)
class Arrival:
    """A record came in."""

    site: str
    came_at: datetime


@dataclass(frozen=True)
class Label:
    """A clinician said what something shows."""

    category: str
    site: str | None
    """Of the record that it is about; None: about a study or a diagnosis."""
    given_at: datetime
    latest: bool
    """Whether it is the last word; the others were replaced."""


class HistoryLedger(Ledger):
    """The ledger, as those who look back see it.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def models(self) -> list[str]:
        """Those that have a round of learning or a decision, by name."""
        with self._transaction() as session:
            both = union(select(LearningRoundRow.model), select(GateDecisionRow.model))
            return sorted(session.scalars(both))

    def arrivals(self) -> list[Arrival]:
        """Every record, the first first."""
        query = select(RecordRow.site, RecordRow.came_at).order_by(RecordRow.came_at, RecordRow.id)
        with self._transaction() as session:
            return [Arrival(site, came_at) for site, came_at in session.execute(query)]

    def used(self, model: str) -> dict[int, dict[str, int]]:
        """By round of that model: of how many records of each site it is made."""
        query = (
            select(LearnedRecordRow.round, RecordRow.site, func.count())
            .join(RecordRow, RecordRow.id == LearnedRecordRow.record)
            .where(LearnedRecordRow.model == model)
            .group_by(LearnedRecordRow.round, RecordRow.site)
        )
        found: dict[int, dict[str, int]] = {}
        with self._transaction() as session:
            for number, site, count in session.execute(query):
                found.setdefault(number, {})[site] = count
        return found

    def labels(self) -> list[Label]:
        """Every word of a clinician, the first first, also those that a later one replaced."""
        query = (
            select(FeedbackRow.study, FeedbackRow.category, RecordRow.site, FeedbackRow.given_at)
            .outerjoin(RecordRow, RecordRow.id == FeedbackRow.study)
            .order_by(FeedbackRow.given_at, FeedbackRow.id)
        )
        with self._transaction() as session:
            rows = session.execute(query).all()
        last = {row.study: place for place, row in enumerate(rows)}
        return [Label(row.category, row.site, row.given_at, last[row.study] == place) for place, row in enumerate(rows)]
