"""What happened to every study: the only module that talks SQL, with its migrations beside it.

SQLite in the data directory, or PostgreSQL by URL. It holds no path and no patient's name, number or date: a study's
source is a keyed hash, its patient and study likewise (`chordae.preprocessing.identity`), and problems are told in the
project's own words. Every method is one transaction, on disk when it returns.

Beside that, what came through the API: which media and record a study sent there has, every answer about it, with the
question in the caller's own words, and every diagnosis of a record.

A run owns what it claimed until the lease ends, and renews the lease while it lives. Whoever lost a claim can no longer
write about the study: that is why nothing is recorded twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import (
    JSON,
    CheckConstraint,
    CursorResult,
    DateTime,
    Dialect,
    Executable,
    ForeignKey,
    MetaData,
    String,
    TypeDecorator,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from chordae.platform.errors import ChordaeError
from chordae.platform.migrations.database import open_database, told
from chordae.platform.schemas import Media

State = Literal["waiting", "claimed", "done", "refused"]
T = TypeVar("T")

_AT_ONCE = 500  # ids in one statement: far below either database's limit of parameters


class Utc(TypeDecorator[datetime]):
    """Moments in UTC, also in SQLite, which stores none of a time's zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """Every table of the ledger; constraints have names, so that a migration can change them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


class MediaRow(Base):
    """A picture or video of the media store, and which preprocessing made it."""

    __tablename__ = "media"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    modality: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    version: Mapped[str] = mapped_column(String(64))
    companion: Mapped[str | None] = mapped_column(String(64))
    first_seen: Mapped[datetime] = mapped_column(Utc)


class StudyRow(Base):
    """One version of one source: a study that changes under its name becomes another row with the same `source`."""

    __tablename__ = "studies"
    __table_args__ = (CheckConstraint("state in ('waiting', 'claimed', 'done', 'refused')", name="state"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    site: Mapped[str] = mapped_column(String(40), index=True)
    source: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    first_seen: Mapped[datetime] = mapped_column(Utc)

    claim: Mapped[str | None] = mapped_column(String(64), index=True)
    claimed_at: Mapped[datetime | None] = mapped_column(Utc)
    lease_until: Mapped[datetime | None] = mapped_column(Utc)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often work on it began under the present claim; a run that was killed is not the study's fault."""

    finished_at: Mapped[datetime | None] = mapped_column(Utc)
    timings: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)
    modality: Mapped[str | None] = mapped_column(String(16))
    patient: Mapped[str | None] = mapped_column(String(64), index=True)
    study: Mapped[str | None] = mapped_column(String(64), index=True)
    media: Mapped[str | None] = mapped_column(ForeignKey("media.id"), index=True)
    same_as: Mapped[str | None] = mapped_column(ForeignKey("studies.id"))
    """The study that had the same media before."""
    reason: Mapped[str | None] = mapped_column(String(64))
    stage: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[str | None]


class SentStudyRow(Base):
    """What came in by one `POST /v1/studies`: ids of its media, one a modality; a CMR record, if one came along."""

    __tablename__ = "sent_studies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    media: Mapped[list[str]] = mapped_column(JSON)
    record: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Without the patient's key."""
    sent_at: Mapped[datetime] = mapped_column(Utc)


class AnswerRow(Base):
    """An answer about such a study, as the caller got it."""

    __tablename__ = "answers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("sent_studies.id"), index=True)
    question: Mapped[str]
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    answered_at: Mapped[datetime] = mapped_column(Utc)


class AnswerMediaRow(Base):
    """Media that an answer is about: they stay as long as it does."""

    __tablename__ = "answer_media"

    answer: Mapped[str] = mapped_column(ForeignKey("answers.id"), primary_key=True)
    media: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class DiagnosisRow(Base):
    """A diagnosis of a record, as the caller got it."""

    __tablename__ = "diagnoses"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    answered_at: Mapped[datetime] = mapped_column(Utc)


@dataclass(frozen=True)
class Offer:
    """A study to be taken in, by keyed hashes: of its source and its files' state (`id`), of its source alone."""

    id: str
    site: str
    source: str


@dataclass(frozen=True)
class StudyRecord:
    """What the ledger knows of a study."""

    id: str
    state: State
    modality: str | None
    media: str | None
    same_as: str | None
    reason: str | None
    stage: str | None
    problem: str | None
    timings: Mapping[str, float]

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state in ("done", "refused")


class Ledger:
    """The ledger at that URL, brought to the present schema. Safe to open in any number of processes at once.

    Raises:
        BadSettings: no such kind of database, it cannot be opened, or a newer chordae wrote it.
        ChordaeError: from every method, where the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)

    @property
    def on_one_machine(self) -> bool:
        """SQLite's write-ahead log is shared memory: processes on several machines would damage it."""
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def offer(self, studies: Sequence[Offer]) -> dict[str, StudyRecord]:
        """Enter those that are not known yet, as waiting; returns what is known of each, by id."""
        found: dict[str, StudyRecord] = {}
        for some in _chunks(studies):
            now = _now()
            rows = [
                {"id": s.id, "site": s.site, "source": s.source, "state": "waiting", "first_seen": now} for s in some
            ]
            with self._transaction() as session:
                session.execute(self._insert_new(StudyRow, [row | {"attempts": 0, "timings": {}} for row in rows]))
                found |= _records(session, [one.id for one in some])
        return found

    def claim(self, studies: Iterable[str], claim: str, lease_s: float) -> list[str]:
        """Take those of these studies that are waiting, or whose lease has ended; returns their ids, in order.

        `claim` names the owner, a run; no study is ever given to two of them.
        """
        taken: set[str] = set()
        wanted = list(studies)
        for some in _chunks(wanted):
            now = _now()
            # a lease that ends later than any could was given before the clock was put right
            over = or_(StudyRow.lease_until < now, StudyRow.lease_until > now + timedelta(seconds=10 * lease_s + 3600))
            free = or_(StudyRow.state == "waiting", (StudyRow.state == "claimed") & over)
            with self._transaction() as session:
                ids = session.scalars(
                    select(StudyRow.id)
                    .where(StudyRow.id.in_(some), free)
                    .order_by(StudyRow.id)
                    .with_for_update(skip_locked=True)  # SQLite locks the whole database instead
                ).all()
                session.execute(
                    update(StudyRow)
                    .where(StudyRow.id.in_(ids))
                    .values(state="claimed", claim=claim, claimed_at=now, lease_until=_after(lease_s), attempts=0)
                )
                taken.update(ids)
        return [one for one in wanted if one in taken]

    def renew(self, claim: str, lease_s: float) -> None:
        """The owner lives."""
        with self._transaction() as session:
            session.execute(update(StudyRow).where(_owned(claim)).values(lease_until=_after(lease_s)))

    def release(self, claim: str, begun_too: bool = False) -> int:
        """Give back what nobody has begun, or all of it; returns how many."""
        which = _owned(claim) if begun_too else _owned(claim) & (StudyRow.attempts == 0)
        with self._transaction() as session:
            return _changed(
                session, update(StudyRow).where(which).values(state="waiting", claim=None, lease_until=None)
            )

    def has_begun(self, claim: str) -> bool:
        """Whether work on any study of this owner has begun and not ended."""
        with self._transaction() as session:
            return session.scalar(select(StudyRow.id).where(_owned(claim), StudyRow.attempts > 0).limit(1)) is not None

    def begin(self, study: str, claim: str) -> int:
        """Work on it begins: returns how often it did under this claim, from 1; 0 where the claim is lost."""
        with self._transaction() as session:
            attempts = session.scalar(
                update(StudyRow)
                .where(StudyRow.id == study, _owned(claim))
                .values(attempts=StudyRow.attempts + 1)
                .returning(StudyRow.attempts)
            )
        return attempts or 0

    def finish(
        self,
        study: str,
        claim: str,
        media: Media,
        *,
        version: str,
        patient: str = "",
        study_hash: str = "",
        timings: Mapping[str, float] | None = None,
    ) -> bool:
        """It is prepared, and its media is in the store. False, and nothing written, where the claim is lost."""
        with self._transaction() as session:
            row = {"id": media.id, "modality": media.modality, "kind": media.kind, "version": version}
            session.execute(self._insert_new(MediaRow, [row | {"companion": media.companion, "first_seen": _now()}]))
            twin = session.scalar(
                select(StudyRow.id)
                .where(StudyRow.media == media.id, StudyRow.id != study)
                .order_by(StudyRow.finished_at, StudyRow.id)
                .limit(1)
            )
            kept = self._settle(
                session,
                study,
                claim,
                state="done",
                modality=media.modality,
                media=media.id,
                same_as=twin,
                patient=patient or None,
                study=study_hash or None,
                timings=dict(timings or {}),
            )
            if not kept:
                session.rollback()
        return kept

    def refuse(
        self,
        study: str,
        claim: str,
        *,
        reason: str,
        stage: str,
        problem: str,
        timings: Mapping[str, float] | None = None,
    ) -> bool:
        """It cannot be used, and why. `problem` is free of patients' data. False where the claim is lost."""
        with self._transaction() as session:
            told = {"reason": reason, "stage": stage, "problem": problem, "timings": dict(timings or {})}
            return self._settle(session, study, claim, state="refused", **told)

    def records(self, studies: Iterable[str]) -> dict[str, StudyRecord]:
        """What is known of these studies, by id; unknown ones are left out."""
        found: dict[str, StudyRecord] = {}
        for some in _chunks(list(studies)):
            with self._transaction() as session:
                found |= _records(session, some)
        return found

    def counts(self, site: str | None = None) -> dict[tuple[str | None, State], int]:
        """How many studies by modality (none: not known) and state, of one site or of all."""
        query = select(StudyRow.modality, StudyRow.state, func.count()).group_by(StudyRow.modality, StudyRow.state)
        if site is not None:
            query = query.where(StudyRow.site == site)
        with self._transaction() as session:
            return {(modality, cast(State, state)): n for modality, state, n in session.execute(query)}

    def keep_sent(self, study: str, media: Sequence[str], record: dict[str, Any] | None = None) -> None:
        """A study that came through the API, by the ids of its media; and its record (JSON), if it has one."""
        with self._transaction() as session:
            session.add(SentStudyRow(id=study, media=list(media), record=record, sent_at=_now()))

    def sent(self, study: str) -> tuple[tuple[str, ...], dict[str, Any] | None] | None:
        """Ids of that study's media, and the record that came with it if one did; None: no such study was sent."""
        with self._transaction() as session:
            row = session.get(SentStudyRow, study)
            return None if row is None else (tuple(row.media), row.record)

    def keep_diagnosis(self, diagnosis: str, content: dict[str, Any]) -> None:
        """A diagnosis (`content`, JSON)."""
        with self._transaction() as session:
            session.add(DiagnosisRow(id=diagnosis, content=content, answered_at=_now()))

    def diagnosis(self, diagnosis: str) -> dict[str, Any] | None:
        """What `keep_diagnosis` was given as content; None where there is no such diagnosis."""
        with self._transaction() as session:
            row = session.get(DiagnosisRow, diagnosis)
            return None if row is None else row.content

    def keep_answer(
        self, answer: str, study: str, question: str, media: Iterable[str], content: dict[str, Any]
    ) -> None:
        """An answer (`content`, JSON) about that study and those of its media."""
        with self._transaction() as session:
            session.add(AnswerRow(id=answer, study=study, question=question, content=content, answered_at=_now()))
            session.flush()  # before what refers to it
            session.add_all(AnswerMediaRow(answer=answer, media=one) for one in dict.fromkeys(media))

    def answer(self, answer: str) -> dict[str, Any] | None:
        """What `keep_answer` was given as content; None where there is no such answer."""
        with self._transaction() as session:
            row = session.get(AnswerRow, answer)
            return None if row is None else row.content

    def media_in_use(self, media: Iterable[str]) -> set[str]:
        """Those of these ids that a study taken in has as media or as its picture for people, or an answer is about."""
        used: set[str] = set()
        for some in _chunks(list(media)):
            with self._transaction() as session:
                for column in (MediaRow.id, MediaRow.companion, AnswerMediaRow.media):
                    used.update(one for one in session.scalars(select(column).where(column.in_(some))) if one)
        return used

    def _settle(self, session: Session, study_id: str, claim: str, /, **values: Any) -> bool:
        done = update(StudyRow).where(StudyRow.id == study_id, _owned(claim))
        return bool(_changed(session, done.values(finished_at=_now(), claim=None, lease_until=None, **values)))

    def _insert_new(self, table: type[Base], rows: list[dict[str, Any]]) -> Executable:
        if self._engine.dialect.name == "postgresql":
            return postgresql.insert(table).values(rows).on_conflict_do_nothing(index_elements=["id"])
        return sqlite.insert(table).values(rows).on_conflict_do_nothing(index_elements=["id"])

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with (
            told(ChordaeError, "the ledger does not answer", "check that its database is up and its disk not full"),
            Session(self._engine) as session,
            session.begin(),
        ):
            yield session


def _owned(claim: str) -> Any:
    return (StudyRow.claim == claim) & (StudyRow.state == "claimed")


def _changed(session: Session, statement: Executable) -> int:
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def _records(session: Session, ids: Sequence[str]) -> dict[str, StudyRecord]:
    names = StudyRecord.__dataclass_fields__
    rows = session.execute(select(*(getattr(StudyRow, name) for name in names)).where(StudyRow.id.in_(ids)))
    return {row.id: StudyRecord(*row) for row in rows}


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _now() -> datetime:
    return datetime.now(UTC)


def _after(seconds: float) -> datetime:
    return _now() + timedelta(seconds=seconds)
