"""Candidates on trial: which version answers the same questions as the champion, and what both said.

A model has one open trial at most, by the database's own index. `share` is the part of studies whose answer the
candidate gives: 0 while it stays in the shadow.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, String, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from chordae.platform.ledger import Base, Ledger, Utc
from chordae.platform.ledger_gate import FeedbackRow

TrialState = Literal["begun", "serving", "ended"]
"""Wanted; its replica answers; over."""
OPEN = text("state != 'ended'")


class TrialRow(Base):
    """One candidate beside the champion."""

    __tablename__ = "trials"
    __table_args__ = (
        CheckConstraint("state in ('begun', 'serving', 'ended')", name="state"),
        CheckConstraint("share >= 0 and share <= 1", name="share"),
        Index("uq_trials_open", "model", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(120), index=True)
    version: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    share: Mapped[float] = mapped_column(Float)
    problem: Mapped[str]
    """Why no replica of it can be started; empty: one can, or nobody has tried."""
    begun_at: Mapped[datetime] = mapped_column(Utc)


class TrialAnswerRow(Base):
    """One question that both were asked."""

    __tablename__ = "trial_answers"
    __table_args__ = (CheckConstraint("shown in ('champion', 'candidate')", name="shown"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trial: Mapped[int] = mapped_column(ForeignKey("trials.id"), index=True)
    request: Mapped[str] = mapped_column(String(64), index=True)
    shown: Mapped[str] = mapped_column(String(16))
    champion: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The whole diagnosis; none: it gave none."""
    candidate: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    champion_s: Mapped[float] = mapped_column(Float)
    candidate_s: Mapped[float] = mapped_column(Float)
    problem: Mapped[str]
    """Why one of them gave none; empty: both did."""
    at: Mapped[datetime] = mapped_column(Utc)


@dataclass(frozen=True)
class OnTrial:
    """An open trial."""

    id: int
    model: str
    version: str
    digest: str
    state: TrialState
    share: float
    problem: str
    begun_at: datetime


@dataclass(frozen=True)
class TrialAnswer:
    """What both said to one question, and how long each took, seconds."""

    request: str
    shown: Literal["champion", "candidate"]
    champion: dict[str, Any] | None
    candidate: dict[str, Any] | None
    champion_s: float
    candidate_s: float
    problem: str = ""


class TrialsLedger(Ledger):
    """The ledger, as those see it who try candidates.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def begin_trial(self, model: str, version: str, digest: str) -> OnTrial:
        """The open trial of that version; one of another version ends, for there is one candidate at a time."""
        with self._transaction() as session:
            found = session.scalar(_open(model))
            if found is not None and (found.version, found.digest) != (version, digest):
                found.state = "ended"
                session.flush()
                found = None
            if found is None:
                now = datetime.now(UTC)
                found = TrialRow(
                    model=model, version=version, digest=digest, state="begun", share=0.0, problem="", begun_at=now
                )
                session.add(found)
                session.flush()
            return _noun(found)

    def open_trial(self, model: str) -> OnTrial | None:
        """The one that has not ended."""
        with self._transaction() as session:
            row = session.scalar(_open(model))
            return None if row is None else _noun(row)

    def trial(self, number: int) -> OnTrial:
        """That one, open or over."""
        with self._transaction() as session:
            return _noun(session.get_one(TrialRow, number))

    def open_trials(self) -> list[OnTrial]:
        """Those of all models."""
        with self._transaction() as session:
            rows = session.scalars(select(TrialRow).where(TrialRow.state != "ended").order_by(TrialRow.id))
            return [_noun(row) for row in rows]

    def move_trial(
        self, trial: int, state: TrialState | None = None, share: float | None = None, problem: str | None = None
    ) -> None:
        """Note that it serves or is over, what share of studies is the candidate's, or why it cannot be started; one
        that is over stays so."""
        told = {"state": state, "share": share, "problem": problem}
        values = {name: value for name, value in told.items() if value is not None}
        with self._transaction() as session:
            session.execute(update(TrialRow).where(TrialRow.id == trial, TrialRow.state != "ended").values(values))

    def keep_trial_answer(self, trial: int, answer: TrialAnswer) -> None:
        """Keep what both said; of a trial that is over meanwhile, too."""
        row = TrialAnswerRow(id=uuid.uuid4().hex, trial=trial, at=datetime.now(UTC), **vars(answer))
        with self._transaction() as session:
            session.add(row)

    def trial_counts(self, trial: int) -> dict[str, int]:
        """How many questions were asked, by whose answer was shown."""
        counted = select(TrialAnswerRow.shown, func.count()).where(TrialAnswerRow.trial == trial)
        with self._transaction() as session:
            found = {shown: count for shown, count in session.execute(counted.group_by(TrialAnswerRow.shown))}  # noqa: C416
        return {"champion": 0, "candidate": 0} | found

    def trial_answers(self, trial: int) -> list[TrialAnswer]:
        """All that was kept of a trial, in the order of the questions."""
        query = select(TrialAnswerRow).where(TrialAnswerRow.trial == trial)
        with self._transaction() as session:
            rows = session.scalars(query.order_by(TrialAnswerRow.at, TrialAnswerRow.id)).all()
            return [_answer(row) for row in rows]

    def trial_labels(self, trial: int) -> dict[str, str]:
        """What clinicians said of diagnoses that this trial is about, by request; the latest word counts."""
        query = select(FeedbackRow.study, FeedbackRow.category).join(
            TrialAnswerRow, TrialAnswerRow.request == FeedbackRow.study
        )
        with self._transaction() as session:
            said = session.execute(query.where(TrialAnswerRow.trial == trial).order_by(FeedbackRow.given_at))
            return {request: category for request, category in said}  # noqa: C416 - rows are no pairs for mypy


def _open(model: str) -> Any:
    return select(TrialRow).where(TrialRow.model == model, TrialRow.state != "ended")


def _noun(row: TrialRow) -> OnTrial:
    state = cast(TrialState, row.state)
    return OnTrial(row.id, row.model, row.version, row.digest, state, row.share, row.problem, row.begun_at)


def _answer(row: TrialAnswerRow) -> TrialAnswer:
    shown = cast(Literal["champion", "candidate"], row.shown)
    both = (row.champion, row.candidate, row.champion_s, row.candidate_s)
    return TrialAnswer(row.request, shown, *both, row.problem)
