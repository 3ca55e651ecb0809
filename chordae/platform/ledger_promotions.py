"""What was meant with the versions of a model, written down before it is done.

The registry cannot move two aliases at once. So the intent is a row of the ledger first; whoever was killed between the
two left a row that says how to finish. The database allows one unfinished row a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import CheckConstraint, Index, String, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from chordae.platform.errors import PromotionUnderWay
from chordae.platform.ledger import Base, Ledger, Utc

PromotionKind = Literal["promote", "rollback", "candidate"]


class PromotionRow(Base):
    """One change of a model's aliases."""

    __tablename__ = "promotions"
    __table_args__ = (
        CheckConstraint("kind in ('promote', 'rollback', 'candidate')", name="kind"),
        CheckConstraint("state in ('begun', 'done')", name="state"),
        Index(
            "uq_promotions_begun",
            "model",
            unique=True,
            sqlite_where=text("state = 'begun'"),
            postgresql_where=text("state = 'begun'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(120), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    from_version: Mapped[str | None] = mapped_column(String(20))
    to_version: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(Utc)
    done_at: Mapped[datetime | None] = mapped_column(Utc)


@dataclass(frozen=True)
class Promotion:
    """A row: who moved which alias from where to where, and whether it is done."""

    id: int
    model: str
    kind: PromotionKind
    from_version: str | None
    to_version: str
    state: Literal["begun", "done"]
    by: str
    reason: str
    begun_at: datetime
    done_at: datetime | None


class PromotionLedger(Ledger):
    """The ledger, as those who promote see it.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def begin_promotion(
        self, model: str, kind: PromotionKind, from_version: str | None, to_version: str, by: str, reason: str
    ) -> Promotion:
        """Write down what is meant.

        Raises:
            PromotionUnderWay: another of this model has begun and is not done.
        """
        row = PromotionRow(
            model=model,
            kind=kind,
            from_version=from_version,
            to_version=to_version,
            state="begun",
            by=by,
            reason=reason,
            begun_at=datetime.now(UTC),
        )
        with self._transaction() as session:
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise PromotionUnderWay(
                    f"a promotion of {model} has begun and is not done", "wait for it, and look at what is served then"
                ) from error
            return _noun(row)

    def finish_promotion(self, promotion: Promotion) -> Promotion:
        """It is done; one that is done already stays as it is."""
        with self._transaction() as session:
            row = session.get_one(PromotionRow, promotion.id)
            if row.state == "begun":
                row.state, row.done_at = "done", datetime.now(UTC)
            return _noun(row)

    def begun_promotion(self, model: str) -> Promotion | None:
        """The one of this model that is not done."""
        with self._transaction() as session:
            row = _rows(session, model, "begun")
            return _noun(row[0]) if row else None

    def promotions(self, model: str) -> list[Promotion]:
        """All of this model, the first first."""
        with self._transaction() as session:
            return [_noun(row) for row in _rows(session, model, "begun", "done")]


def _rows(session: Session, model: str, *states: str) -> list[PromotionRow]:
    query = select(PromotionRow).where(PromotionRow.model == model, PromotionRow.state.in_(states))
    return list(session.scalars(query.order_by(PromotionRow.id)))


def _noun(row: PromotionRow) -> Promotion:
    return Promotion(**{name: getattr(row, name) for name in Promotion.__dataclass_fields__})
