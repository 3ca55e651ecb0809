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
from pathlib import Path

import psycopg
import pytest

from benchmarks.ports import free_port


def programs() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A server on a socket in a temporary directory; yields the URL of its first database, without password."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's programs are not installed")
    as_other: list[str] = []
    user = pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user == "root":  # postgres refuses to run as root
            if not shutil.which("runuser") or "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            user, as_other = "postgres", ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run([*as_other, where / "initdb", "-D", data, "-A", "trust", "-N"], check=True, **quiet)
        port = free_port()
        options = f"-k {folder} -p {port} -c listen_addresses= -c fsync=off"
        control = [*as_other, where / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", options, "-l", f"{folder}/log", "start"], check=True, **quiet)
        try:
            yield f"postgresql://{user}@/postgres?host={folder}&port={port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, **quiet)


def fresh_database(server: str) -> str:
    """A new, empty database on that server."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")
