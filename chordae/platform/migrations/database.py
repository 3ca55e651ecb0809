"""Opens the ledger's database, SQLite or PostgreSQL, and brings it to the present schema."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from chordae.platform.errors import BadSettings, ChordaeError

BUSY_S = 60
"""SQLite has one writer at a time; a transaction here takes milliseconds, so a minute means that something hangs."""
_MIGRATION_LOCK = 4_927_651_038  # any number, the same in every process


def open_database(url: str) -> Engine:
    """The database at that URL; safe in any number of processes at once.

    Raises:
        BadSettings: no such kind of database, it cannot be opened, or a newer chordae wrote it.
    """
    engine = _engine(_parsed(url))
    with told(BadSettings, "the ledger cannot be opened", "check ledger.url and that the database is up"):
        _migrate(engine)
    return engine


@contextmanager
def told(kind: type[ChordaeError], problem: str, remedy: str) -> Iterator[None]:
    """A database's own errors in one line; its message may name the server and the user, never the password."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()
        raise kind(f"{problem} ({said[0] if said else type(error).__name__})", remedy) from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of its port. Their text quotes the URL, a password maybe
        raise BadSettings("ledger.url is not a URL", "for example postgresql://chordae@db.example/chordae") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise BadSettings(f"no ledger in a {parsed.drivername} database", "use sqlite:///... or postgresql://...")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise BadSettings("a ledger in memory would be lost", "name a file: sqlite:////data/ledger.sqlite3")
    return parsed


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # SQLite makes it readable by all, and gives its log the same mode
    except OSError as error:
        raise BadSettings(f"the ledger cannot be opened ({error.strerror})", f"check {file}") from None
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    # from the start as a writer: a reader that turns writer may find that another one was faster, and fail
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # no transactions of Python's own making
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _migrate(engine: Engine) -> None:
    """To the newest schema, one process at a time and in one transaction."""
    lock = _file_lock(Path(f"{engine.url.database}.lock")) if engine.dialect.name == "sqlite" else nullcontext()
    with lock, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})
        upgrade(connection)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """SQLite cannot queue those who turn a fresh database into one with a write-ahead log."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to that revision, upwards.

    Raises:
        BadSettings: a newer chordae has written this ledger.
    """
    try:
        command.upgrade(alembic_config(connection), revision)
    except CommandError:
        raise BadSettings("the ledger was written by a newer chordae", "install that version, or newer") from None


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations of this package, on that connection."""
    config = Config()
    config.set_main_option("script_location", "chordae.platform:migrations")
    config.attributes["connection"] = connection
    return config
