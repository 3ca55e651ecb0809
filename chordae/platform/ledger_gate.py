"""What the gate or a person decided about a candidate, and what clinicians said of studies, as the ledger keeps them.

Rows are only added: a later decision or label stands beside the earlier one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import JSON, CheckConstraint, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from chordae.platform.errors import BadInput, UnknownStudy
from chordae.platform.ledger import Base, DiagnosisRow, Ledger, SentStudyRow, StudyRow, Utc
from chordae.platform.ledger_records import RecordRow

GateVerdict = Literal["promote", "hold", "rollback"]
DecidedBy = Literal["gate", "person"]
LONGEST = 120
"""Characters of a category or of who gave it."""


class GateDecisionRow(Base):
    """One decision about a candidate."""

    __tablename__ = "gate_decisions"
    __table_args__ = (
        CheckConstraint("decision in ('promote', 'hold', 'rollback')", name="decision"),
        CheckConstraint("by in ('gate', 'person')", name="by"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(String(120), index=True)
    from_version: Mapped[str] = mapped_column(String(20))
    to_version: Mapped[str] = mapped_column(String(20))
    decision: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Everything that it rests on."""
    decided_at: Mapped[datetime] = mapped_column(Utc)


class FeedbackRow(Base):
    """What a clinician says a study shows."""

    __tablename__ = "feedback"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study: Mapped[str] = mapped_column(String(64), index=True)
    """Id of a study or record taken in, of a study sent to the API, or of a diagnosis."""
    category: Mapped[str] = mapped_column(String(LONGEST))
    by: Mapped[str] = mapped_column(String(LONGEST))
    given_at: Mapped[datetime] = mapped_column(Utc)


@dataclass(frozen=True)
class KeptDecision:
    """A decision as it was kept."""

    id: str
    model: str
    from_version: str
    to_version: str
    decision: GateVerdict
    by: DecidedBy
    content: dict[str, Any]
    decided_at: datetime


@dataclass(frozen=True)
class Feedback:
    """A label that arrived later."""

    id: str
    study: str
    category: str
    by: str
    given_at: datetime


class GateLedger(Ledger):
    """The ledger, as the gate and those who give feedback see it.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def keep_gate_decision(
        self,
        model: str,
        from_version: str,
        to_version: str,
        decision: GateVerdict,
        by: DecidedBy,
        content: dict[str, Any],
    ) -> str:
        """Keep a decision with all that it rests on (`content`, JSON); returns its id."""
        row = GateDecisionRow(
            id=uuid.uuid4().hex,
            model=model,
            from_version=from_version,
            to_version=to_version,
            decision=decision,
            by=by,
            content=content,
            decided_at=datetime.now(UTC),
        )
        with self._transaction() as session:
            session.add(row)
            session.flush()
            return row.id

    def gate_decisions(self, model: str) -> list[KeptDecision]:
        """Every decision about that model's candidates, oldest first."""
        query = select(GateDecisionRow).where(GateDecisionRow.model == model)
        with self._transaction() as session:
            rows = session.scalars(query.order_by(GateDecisionRow.decided_at, GateDecisionRow.id)).all()
            return [_decision(row) for row in rows]

    def give_feedback(self, study: str, category: str, by: str) -> str:
        """Keep what a clinician says of a study or diagnosis of this ledger; returns the feedback's id.

        Raises:
            UnknownStudy: the ledger has none of that id.
            BadInput: an empty or overlong category or name.
        """
        for name, text in (("category", category), ("name of who gives it", by)):
            if not text.strip() or len(text) > LONGEST:
                raise BadInput(f"feedback without a usable {name}", f"give 1 to {LONGEST} characters")
        row = FeedbackRow(id=uuid.uuid4().hex, study=study, category=category, by=by, given_at=datetime.now(UTC))
        with self._transaction() as session:
            if not _known(session, study):
                raise UnknownStudy("the ledger has no study or diagnosis of that id", "take the id from its answer")
            session.add(row)
            session.flush()
            return row.id

    def has_record(self, study: str) -> bool:
        """Whether the ledger holds the CMR record of that id, so that a label of it judges candidates."""
        with self._transaction() as session:
            sent = session.get(SentStudyRow, study)
            return session.get(RecordRow, study) is not None or (sent is not None and sent.record is not None)

    def feedback(self) -> list[Feedback]:
        """The latest word on each study that has any, in the order in which they were given."""
        latest: dict[str, Feedback] = {}
        with self._transaction() as session:
            for row in session.scalars(select(FeedbackRow).order_by(FeedbackRow.given_at, FeedbackRow.id)):
                latest.pop(row.study, None)
                latest[row.study] = Feedback(row.id, row.study, row.category, row.by, row.given_at)
        return list(latest.values())


def _known(session: Session, study: str) -> bool:
    return any(session.get(table, study) is not None for table in (StudyRow, SentStudyRow, DiagnosisRow, RecordRow))


def _decision(row: GateDecisionRow) -> KeptDecision:
    return KeptDecision(
        row.id,
        row.model,
        row.from_version,
        row.to_version,
        cast(GateVerdict, row.decision),
        cast(DecidedBy, row.by),
        row.content,
        row.decided_at,
    )
