"""What learning remembers: its rounds, how far each is, and which records each used.

A record belongs to one round of a model at most, by the database's own key, and a model has one open round at most. So
a loop that is killed anywhere finds its round again, and no record is used twice or passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from chordae.platform.errors import RoundUnderWay
from chordae.platform.ledger import Base, Ledger, SentStudyRow, Utc, _changed
from chordae.platform.ledger_gate import FeedbackRow
from chordae.platform.ledger_records import ProspectiveRecord, RecordRow

Stage = Literal["collected", "trained", "evaluated", "registered", "shadowed", "decided", "ended"]
"""What a round has done last; `ended` may follow any."""
STAGES: tuple[Stage, ...] = ("collected", "trained", "evaluated", "registered", "shadowed", "decided", "ended")
SENT = "sent to the API"
"""The site of records that came with a question."""
OPEN = text("stage != 'ended'")


class LearningRoundRow(Base):
    """One round of learning of a model."""

    __tablename__ = "learning_rounds"
    __table_args__ = (
        CheckConstraint(f"stage in ({', '.join(repr(one) for one in STAGES)})", name="stage"),
        Index("uq_learning_rounds_open", "model", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(120), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What its stages found, and what later ones need."""
    outcome: Mapped[str | None]
    """Of an ended round, in a sentence."""
    begun_at: Mapped[datetime] = mapped_column(Utc)
    changed_at: Mapped[datetime] = mapped_column(Utc)


class LearnedRecordRow(Base):
    """Which round of a model a record belongs to."""

    __tablename__ = "learned_records"

    model: Mapped[str] = mapped_column(String(120), primary_key=True)
    record: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    round: Mapped[int] = mapped_column(ForeignKey("learning_rounds.id"), index=True)


@dataclass(frozen=True)
class LearningRound:
    """A round as the ledger keeps it."""

    id: int
    model: str
    stage: Stage
    content: dict[str, Any]
    outcome: str | None
    begun_at: datetime
    changed_at: datetime


class LearningLedger(Ledger):
    """The ledger, as those who learn see it.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def waiting(self, model: str) -> dict[str, int]:
        """By site, how many records no round of that model has, of patients of whom no clinician has labelled any."""
        query = _free(model).with_only_columns(RecordRow.site, func.count()).group_by(RecordRow.site)
        with self._transaction() as session:
            return {site: count for site, count in session.execute(query)}  # noqa: C416 - rows are no pairs for mypy

    def begin_round(self, model: str, most_per_site: int) -> LearningRound:
        """A new round with the oldest waiting records, so many of a site at most: one that floods drowns no other.

        Raises:
            RoundUnderWay: another round of the model is open.
        """
        now = datetime.now(UTC)
        with self._transaction() as session:
            row = LearningRoundRow(model=model, stage="collected", content={}, begun_at=now, changed_at=now)
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise RoundUnderWay(f"a round of {model} is under way", "`chordae learn status` shows it") from error
            for site in session.scalars(_free(model).with_only_columns(RecordRow.site).distinct()).all():
                oldest = _free(model).where(RecordRow.site == site).order_by(RecordRow.came_at, RecordRow.id)
                for record in session.scalars(oldest.with_only_columns(RecordRow.id).limit(most_per_site)).all():
                    session.add(LearnedRecordRow(model=model, record=record, round=row.id))
            session.flush()
            return _round(row)

    def records_of(self, learning_round: int) -> list[ProspectiveRecord]:
        """The records of a round, by id."""
        query = select(RecordRow).join(LearnedRecordRow).where(LearnedRecordRow.round == learning_round)
        with self._transaction() as session:
            rows = session.scalars(query.order_by(RecordRow.id)).all()
            return [ProspectiveRecord(row.id, row.site, row.patient, row.content) for row in rows]

    def labelled(self, learning_round: int) -> list[tuple[ProspectiveRecord, str]]:
        """Records that clinicians have labelled since, each with the latest category given; also those sent to the API.

        Those of that round are not among them, nor others of its patients: its candidate has learned from them, its
        champion has not.
        """
        own = select(RecordRow).join(LearnedRecordRow).where(LearnedRecordRow.round == learning_round).subquery()
        query = select(RecordRow, FeedbackRow.category).join(FeedbackRow, FeedbackRow.study == RecordRow.id)
        query = query.where(RecordRow.id.not_in(select(own.c.id)), ~_patient_among(own))
        sent = select(SentStudyRow, FeedbackRow.category).join(FeedbackRow, FeedbackRow.study == SentStudyRow.id)
        last = (FeedbackRow.given_at, FeedbackRow.id)
        found: dict[str, tuple[ProspectiveRecord, str]] = {}
        with self._transaction() as session:
            for row, category in session.execute(query.order_by(*last)):
                found[row.id] = (ProspectiveRecord(row.id, row.site, row.patient, row.content), category)
            for study, category in session.execute(sent.where(SentStudyRow.record.is_not(None)).order_by(*last)):
                found[study.id] = (ProspectiveRecord(study.id, SENT, None, study.record or {}), category)
        return [found[name] for name in sorted(found)]

    def advance(self, found: LearningRound, stage: Stage, content: dict[str, Any]) -> LearningRound:
        """The round has done that stage; `content` is added to what it found before.

        Raises:
            RoundUnderWay: somebody else has moved it on meanwhile.
        """
        return self._move(found, stage=stage, content=found.content | content)

    def end_round(self, found: LearningRound, outcome: str) -> LearningRound:
        """The round is over. Raises as `advance`."""
        return self._move(found, stage="ended", outcome=outcome)

    def rounds(self, model: str) -> list[LearningRound]:
        """All of that model, the first first."""
        query = select(LearningRoundRow).where(LearningRoundRow.model == model).order_by(LearningRoundRow.id)
        with self._transaction() as session:
            return [_round(row) for row in session.scalars(query)]

    def open_round(self, model: str) -> LearningRound | None:
        """The one that has not ended."""
        query = select(LearningRoundRow).where(LearningRoundRow.model == model, LearningRoundRow.stage != "ended")
        with self._transaction() as session:
            row = session.scalar(query)
            return None if row is None else _round(row)

    def _move(self, found: LearningRound, **values: Any) -> LearningRound:
        here = (LearningRoundRow.id == found.id) & (LearningRoundRow.stage == found.stage)
        with self._transaction() as session:
            moved = update(LearningRoundRow).where(here).values(changed_at=datetime.now(UTC), **values)
            if not _changed(session, moved):
                problem = f"round {found.id} of {found.model} has been moved on by somebody else"
                raise RoundUnderWay(problem, "one loop a model is enough")
            return _round(_row(session, found.id))


def _free(model: str) -> Any:
    """Records to learn from: none that a round has, none of a patient whose record judges candidates."""
    taken = select(LearnedRecordRow.record).where(LearnedRecordRow.model == model)
    judges = select(RecordRow).join(FeedbackRow, FeedbackRow.study == RecordRow.id).subquery()
    free = select(RecordRow).where(RecordRow.id.not_in(taken), RecordRow.id.not_in(select(judges.c.id)))
    return free.where(~_patient_among(judges))


def _patient_among(records: Any) -> Any:
    """Whether a record's patient has one of these, too; of a record without a patient nobody knows."""
    same = (records.c.site == RecordRow.site) & (records.c.patient == RecordRow.patient)
    return select(records.c.id).where(same).exists()


def _row(session: Session, number: int) -> LearningRoundRow:
    return session.get_one(LearningRoundRow, number, populate_existing=True)


def _round(row: LearningRoundRow) -> LearningRound:
    return LearningRound(
        row.id, row.model, cast(Stage, row.stage), row.content, row.outcome, row.begun_at, row.changed_at
    )
