"""Databases to test the ledger on: SQLite always, and a PostgreSQL server of one's own where its programs are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from benchmarks.ports import free_port


def programs() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """PostgreSQL on a socket in a temporary directory."""

    folder: str
    port: int
    user: str
    as_other: tuple[str, ...]
    programs: Path

    @property
    def url(self) -> str:
        """Of its first database, without password."""
        return f"postgresql://{self.user}@/postgres?host={self.folder}&port={self.port}"

    def create(self) -> None:
        """An empty cluster."""
        self._run(self.programs / "initdb", "-D", f"{self.folder}/data", "-A", "trust", "-N")

    def start(self) -> None:
        """Listen, and go on with what was committed before."""
        options = f"-k {self.folder} -p {self.port} -c listen_addresses= -c fsync=off"
        self._control("-o", options, "-l", f"{self.folder}/log", "start")

    def stop(self) -> None:
        """As if its power were cut."""
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str) -> None:
        self._run(self.programs / "pg_ctl", "-D", f"{self.folder}/data", "-w", *words)

    def _run(self, *words: str | Path) -> None:
        quiet = subprocess.DEVNULL
        subprocess.run([*self.as_other, *words], check=True, stdout=quiet, stderr=quiet, cwd="/")


@contextmanager
def losable_server() -> Iterator[Server]:
    """A server that a test may stop and start again; it is running when yielded, and must be in the end."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's programs are not installed")
    as_other: tuple[str, ...] = ()
    user = pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user == "root":  # postgres refuses to run as root
            if not shutil.which("runuser") or "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            user, as_other = "postgres", ("runuser", "-u", "postgres", "--")
            shutil.chown(folder, "postgres")
        server = Server(folder, free_port(), user, as_other, where)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of such a server's first database."""
    with losable_server() as server:
        yield server.url


def fresh_database(server: str) -> str:
    """A new, empty database on that server."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")
