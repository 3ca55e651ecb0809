"""Prospective CMR records as the ledger keeps them: each once, whosever run brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from chordae.platform.ledger import Base, Ledger, Utc, _chunks


class RecordRow(Base):
    """A CMR record that came in without a diagnosis."""

    __tablename__ = "records"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Keyed hash of what it says and whose it is: the same record comes in once."""
    site: Mapped[str] = mapped_column(String(40), index=True)
    patient: Mapped[str | None] = mapped_column(String(64), index=True)
    """Keyed hash."""
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Without the patient's key."""
    came_at: Mapped[datetime] = mapped_column(Utc, index=True)


@dataclass(frozen=True)
class ProspectiveRecord:
    """A record as the ledger keeps it."""

    id: str
    site: str
    patient: str | None
    content: dict[str, Any]


class RecordsLedger(Ledger):
    """The ledger, as those who bring records see it.

    Raises:
        BadSettings: as `Ledger`.
        ChordaeError: from every method, where the database does not answer.
    """

    def take_in(self, records: Sequence[ProspectiveRecord]) -> int:
        """Keep those that are not known yet; returns how many they are."""
        new = 0
        for some in _chunks(records):
            now = datetime.now(UTC)
            rows = [
                {"id": one.id, "site": one.site, "patient": one.patient, "content": one.content, "came_at": now}
                for one in {one.id: one for one in some}.values()
            ]
            with self._transaction() as session:
                insert: Any = self._insert_new(RecordRow, rows)
                new += len(session.scalars(insert.returning(RecordRow.id)).all())
        return new
