"""MLflow behind a few words: which training ran, with what, and how its loss went.

The only module that imports MLflow. Runs lie in an SQLite file below the data directory, or on the server that
`MLFLOW_TRACKING_URI` names.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chordae.platform.errors import BadSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "chordae"
MOST_VALUES = 900
"""MLflow takes 1000 metrics a call."""
# MLflow reads these when it is imported: no usage statistics, and a server that does not answer fails within a minute.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def tracking_uri(data_dir: Path) -> str:
    """Where runs are recorded: `MLFLOW_TRACKING_URI`, or `mlflow.db` below the data directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{data_dir.resolve() / 'mlflow.db'}"


class TrackedRun:
    """One run of one training; the same `key` finds the same run again after a restart."""

    def __init__(self, uri: str, name: str, key: str, parameters: Mapping[str, str] | None = None) -> None:
        """Begin the run of that key, or go on with it.

        Raises:
            BadSettings: the server cannot be reached, or the file is no tracking database.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._client = _client(uri)
            self.id = self._found(name, key) or self._new(name, key, parameters or {})
        except (MlflowException, OSError) as error:
            raise BadSettings(
                f"runs cannot be recorded at {uri.rsplit('@', 1)[-1]}", f"check MLFLOW_TRACKING_URI ({_line(error)})"
            ) from error

    def _found(self, name: str, key: str) -> str | None:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return None
        runs = self._client.search_runs([experiment.experiment_id], f"tags.`chordae.key` = '{key}'", max_results=1)
        if not runs:
            return None
        self._client.update_run(runs[0].info.run_id, status="RUNNING", name=name)
        return str(runs[0].info.run_id)

    def _new(self, name: str, key: str, parameters: Mapping[str, str]) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        within = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        run = self._client.create_run(within, run_name=name, tags={"chordae.key": key})
        for parameter, value in parameters.items():
            self._client.log_param(run.info.run_id, parameter, value[:500])
        return str(run.info.run_id)

    def last_step(self, metric: str) -> int:
        """The last step of which a metric is known; 0: none."""
        return max((point.step for point in self._client.get_metric_history(self.id, metric)), default=0)

    def log(self, steps: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Record metrics, by step.

        Raises:
            BadSettings: they could not be recorded.
        """
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step) for step, values in steps for name, value in values.items()]
        try:
            for first in range(0, len(points), MOST_VALUES):
                self._client.log_batch(self.id, metrics=points[first : first + MOST_VALUES])
        except (MlflowException, OSError) as error:
            raise BadSettings("the loss could not be recorded", f"is the tracking server up? {_line(error)}") from error

    def finish(self, status: str = "FINISHED") -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.id, status)


def _client(uri: str) -> MlflowClient:
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def _line(error: Exception) -> str:
    """The first line, without the user and password of a URL in it."""
    return re.sub(r"//[^/@\s]+@", "//", str(error).strip().split("\n")[0])[:200]
