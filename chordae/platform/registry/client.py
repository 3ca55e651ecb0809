"""MLflow's client, and its errors in one line."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chordae.platform.errors import RegistryUnreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow reads these when it is imported: no usage statistics, and a server that does not answer fails within a minute.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def tracking_uri(data_dir: Path) -> str:
    """Where runs and versions are recorded: `MLFLOW_TRACKING_URI`, or `mlflow.db` below the data directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{data_dir.resolve() / 'mlflow.db'}"


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server and model registry at that URI; an SQLite file is made if there is none."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    with _one_at_a_time(uri):
        return MlflowClient(uri, uri)


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Of a database in a file: a client makes its tables, and MLflow fails where two do so at once."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def reached(uri: str) -> Iterator[None]:
    """MLflow's own errors as one of the project's. Raises RegistryUnreachable."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, OSError, SQLAlchemyError) as error:  # the last where a client is made of a bad database
        raise RegistryUnreachable(
            f"the registry at {uri.rsplit('@', 1)[-1]} does not answer ({line(error)})",
            "check MLFLOW_TRACKING_URI, that its server is up and its disk not full",
        ) from error


def line(error: Exception) -> str:
    """The first line, without the user and password of a URL in it."""
    return re.sub(r"//[^/@\s]+@", "//", str(error).strip().split("\n")[0])[:200]
